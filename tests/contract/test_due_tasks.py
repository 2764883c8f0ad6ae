"""DueTasks: what is stranded is taken, what is on its way is not, and nothing twice."""

from concurrent.futures import ThreadPoolExecutor

from shared.domain.effect import Written
from shared.domain.statuses import Status
from shared.domain.task import AgentReport, Settlement
from tests.support.record_stores import RecordStore
from tests.support.task_steps import LEASE_SECONDS, claim, finish, plan, retry, start, wait

STRANDED_AFTER_SECONDS = 300.0


def take(store: RecordStore, limit: int = 10) -> list[str]:
    return list(store.tasks.take_due(STRANDED_AFTER_SECONDS, limit))


def test_a_new_task_is_on_its_way(store: RecordStore) -> None:
    task_id = start(store)
    store.advance(STRANDED_AFTER_SECONDS - 10)
    assert take(store) == []
    store.advance(11.0)
    assert take(store) == [task_id]


def test_nothing_is_taken_twice(store: RecordStore) -> None:
    task_id = start(store)
    store.advance(STRANDED_AFTER_SECONDS + 1)
    assert take(store) == [task_id]
    assert take(store) == []
    store.advance(STRANDED_AFTER_SECONDS + 1)
    assert take(store) == [task_id]


def test_many_at_once_share_what_there_is(store: RecordStore) -> None:
    task_ids = [start(store) for _ in range(12)]
    store.advance(STRANDED_AFTER_SECONDS + 1)
    with ThreadPoolExecutor(4) as pool:
        taken = [task_id for batch in pool.map(lambda _: take(store, 3), range(4)) for task_id in batch]
    taken += take(store, 100)
    assert sorted(taken) == sorted(task_ids)


def test_a_retry_that_is_in_the_queue_is_left_there(store: RecordStore) -> None:
    task = claim(store, start(store))
    store.tasks.settle_task(task, retry(600.0))
    store.advance(601.0)
    assert take(store) == []
    store.advance(STRANDED_AFTER_SECONDS)
    assert take(store) == [task.task_id]


def test_a_retry_beyond_the_queues_delay_is_taken_when_it_is_due(store: RecordStore) -> None:
    task = claim(store, start(store))
    store.tasks.settle_task(
        task, Settlement(Status.QUEUED, outcome="deferred", delay_seconds=3600.0, is_enqueued=False)
    )
    store.advance(3590.0)
    assert take(store) == []
    store.advance(11.0)
    assert take(store) == [task.task_id]


def test_a_waiting_task_is_taken_when_its_poll_is_long_due(store: RecordStore) -> None:
    task = claim(store, start(store))
    plan(store, task)
    report = AgentReport("codegen", "run-1", "ACTIVE", "working")
    store.tasks.settle_task(task, wait(30.0, agent_run=report, written=Written("run-1", None)))
    store.advance(31.0)
    assert take(store) == []
    store.advance(STRANDED_AFTER_SECONDS)
    assert take(store) == [task.task_id]


def test_a_task_under_a_lease_is_left_to_its_worker(store: RecordStore) -> None:
    task_id = start(store)
    store.advance(STRANDED_AFTER_SECONDS + 1)
    claim(store, task_id)
    assert take(store) == []
    store.advance(LEASE_SECONDS - 10)
    assert take(store) == []


def test_an_expired_lease_is_taken_at_once_and_once(store: RecordStore) -> None:
    task_id = start(store)
    claim(store, task_id)
    store.advance(LEASE_SECONDS + 1)
    assert take(store) == [task_id]
    assert take(store) == []
    store.advance(STRANDED_AFTER_SECONDS + 1)
    assert take(store) == [task_id]


def test_finished_tasks_are_not_due(store: RecordStore) -> None:
    task = claim(store, start(store))
    store.tasks.settle_task(task, finish())
    buried = start(store)
    assert store.tasks.bury_task(buried, "spent")
    store.advance(10_000.0)
    assert take(store) == []


def test_the_longest_due_come_first(store: RecordStore) -> None:
    task_ids = [start(store) for _ in range(4)]
    # The first one made is the last to be due.
    for delay_seconds, task_id in zip((40.0, 30.0, 20.0, 10.0), task_ids, strict=True):
        later = Settlement(Status.QUEUED, outcome="deferred", delay_seconds=delay_seconds)
        store.tasks.settle_task(claim(store, task_id), later)
    store.advance(41.0)
    assert sorted(take(store, 2)) == sorted(task_ids[2:])
    assert sorted(take(store, 2)) == sorted(task_ids[:2])
