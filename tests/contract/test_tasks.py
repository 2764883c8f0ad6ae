"""TaskRecords and TaskGraves: leases, attempts, effects and agent runs, in memory and in Postgres."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.domain.effect import Effect, Written
from shared.domain.envelope import Envelope
from shared.domain.run import PlannedRun
from shared.domain.statuses import Status
from shared.domain.task import AgentReport, ClaimedTask, EarlierTask, Settlement
from shared.domain.workflow import Course
from tests.support.factories import build_delivery
from tests.support.record_stores import RecordStore
from tests.support.task_steps import LEASE_SECONDS, WORKFLOW, claim, finish, plan, retry, start, wait

REPORT = AgentReport("codegen", "run-1", "ACTIVE", "working", "https://codegen/run-1")


def read_run(store: RecordStore, task: ClaimedTask) -> dict[str, Any]:
    run = store.reading.read_run(UUID(task.run_id))
    assert run is not None
    return run


def read_task(store: RecordStore, task: ClaimedTask) -> dict[str, Any]:
    found: dict[str, Any] = read_run(store, task)["tasks"][task.position]
    return found


def list_outcomes(store: RecordStore, task: ClaimedTask) -> list[tuple[int, str | None]]:
    return [(attempt["attempt"], attempt["outcome"]) for attempt in read_task(store, task)["attempts"]]


def test_a_claim_has_all_that_a_worker_needs(store: RecordStore) -> None:
    store.put_workflows(WORKFLOW)
    delivery = build_delivery()
    [task_id] = store.deliveries.record_delivery(delivery, [], [PlannedRun(WORKFLOW)]).task_ids

    task = claim(store, task_id)

    assert (task.task_id, task.position, task.attempt, task.is_waiting) == (task_id, 0, 1, False)
    assert (task.workflow, task.workflow.version) == (WORKFLOW, WORKFLOW.version)
    assert (task.effect, task.agent_run_id, task.poll_count, list(task.earlier)) == (None, None, 0, [])
    sent = delivery.envelope
    assert task.envelope == Envelope(
        "github", sent.delivery_id, "pull_request", "acme/widgets#7", sent.content_type, 0, None, sent.deflated
    )
    run = read_run(store, task)
    assert (run["status"], run["delivery_id"], run["source"]) == ("running", sent.delivery_id, "github")
    assert (read_task(store, task)["status"], list_outcomes(store, task)) == ("running", [(1, None)])


def test_a_body_stored_apart_is_pointed_to(store: RecordStore) -> None:
    store.put_workflows(WORKFLOW)
    delivery = build_delivery()
    apart = replace(delivery, envelope=delivery.envelope.stored_apart())
    [task_id] = store.deliveries.record_delivery(apart, [], [PlannedRun(WORKFLOW)]).task_ids
    envelope = claim(store, task_id).envelope
    assert (envelope.deflated, envelope.body_key) == (None, delivery.envelope.stored_key)


def test_of_many_claimers_one_gets_the_task(store: RecordStore) -> None:
    task_id = start(store)
    with ThreadPoolExecutor(8) as pool:
        claimed = [
            task for task in pool.map(lambda _: store.tasks.claim_task(task_id, LEASE_SECONDS), range(8)) if task
        ]
    assert len(claimed) == 1
    assert list_outcomes(store, claimed[0]) == [(1, None)]


def test_nobody_gets_a_task_that_is_unknown_held_or_finished(store: RecordStore) -> None:
    assert store.tasks.claim_task(str(uuid4()), LEASE_SECONDS) is None
    task_id = start(store)
    task = claim(store, task_id)
    assert store.tasks.claim_task(task_id, LEASE_SECONDS) is None
    assert store.tasks.settle_task(task, finish()) == []
    store.advance(10_000.0)
    assert store.tasks.claim_task(task_id, LEASE_SECONDS) is None


@pytest.mark.parametrize("status", [status for status in Status if status.is_final])
def test_an_end_is_final(store: RecordStore, status: Status) -> None:
    task = claim(store, start(store))
    store.tasks.settle_task(task, finish(status, reason="so it is"))
    store.advance(10_000.0)
    assert store.tasks.claim_task(task.task_id, LEASE_SECONDS) is None
    assert not store.tasks.bury_task(task.task_id, "late")
    assert list(store.tasks.take_due(300.0, 10)) == []
    shown = read_task(store, task)
    assert (shown["status"], shown["reason"], shown["next_attempt_at"]) == (status, "so it is", None)
    assert shown["finished_at"] is not None
    run = read_run(store, task)
    assert (run["status"], run["reason"]) == (status, None if status is Status.SUCCEEDED else "so it is")
    assert run["finished_at"] is not None


def test_a_retry_is_not_due_before_its_time(store: RecordStore) -> None:
    task = claim(store, start(store))
    assert store.tasks.settle_task(task, retry(40.0)) == []
    shown = read_task(store, task)
    assert (shown["status"], shown["reason"], shown["attempt_count"]) == ("queued", "github is away", 1)
    [attempt] = shown["attempts"]
    assert (attempt["outcome"], attempt["error"], attempt["retry_in_seconds"]) == ("retried", "github is away", 40.0)
    assert attempt["finished_at"] is not None
    assert read_run(store, task)["status"] == "running"
    store.advance(30.0)
    assert store.tasks.claim_task(task.task_id, LEASE_SECONDS) is None
    store.advance(11.0)
    assert claim(store, task.task_id).attempt == 2
    assert list_outcomes(store, task) == [(1, "retried"), (2, None)]


def test_a_deferred_attempt_is_not_counted(store: RecordStore) -> None:
    task_id = start(store)
    deferred = Settlement(Status.QUEUED, outcome="deferred", reason="out of budget", delay_seconds=0.0)
    for _ in range(3):
        task = claim(store, task_id)
        assert task.attempt == 1
        store.tasks.settle_task(task, deferred)
        shown = read_task(store, task)
        assert (shown["attempt_count"], shown["attempts"], shown["reason"]) == (0, [], "out of budget")
    task = claim(store, task_id)
    store.tasks.settle_task(task, retry(0.0))
    task = claim(store, task_id)
    assert task.attempt == 2
    store.tasks.settle_task(task, deferred)
    assert list_outcomes(store, task) == [(1, "retried")]


def test_an_expired_lease_is_taken_over_and_the_lost_attempt_counted(store: RecordStore) -> None:
    task_id = start(store)
    lost = claim(store, task_id)
    store.advance(LEASE_SECONDS - 10)
    assert store.tasks.claim_task(task_id, LEASE_SECONDS) is None
    store.advance(11.0)
    task = claim(store, task_id)
    assert task.attempt == 2
    assert list_outcomes(store, task) == [(1, "lost"), (2, None)]
    attempt = read_task(store, task)["attempts"][0]
    assert (attempt["error"], attempt["finished_at"] is None) == ("the worker did not report back", False)
    assert task.lease_token != lost.lease_token


def test_who_lost_the_lease_says_nothing(store: RecordStore) -> None:
    task_id = start(store)
    lost = claim(store, task_id)
    store.advance(LEASE_SECONDS + 1)
    task = claim(store, task_id)
    before = read_run(store, task)

    assert not store.tasks.plan_effect(lost, Effect(str(uuid4()), "codegen.run", {}))
    for settlement in (
        finish(),
        retry(),
        wait(agent_run=REPORT, written=Written("run-1", None)),
        Settlement(Status.QUEUED, outcome="deferred"),
        finish(Status.DEAD, outcome="dead"),
        finish(position=1),
    ):
        assert store.tasks.settle_task(lost, settlement) is None

    assert read_run(store, task) == before
    plan(store, task)
    assert store.tasks.settle_task(task, finish()) == []


def test_who_is_late_may_not_begin_a_write_but_may_still_report(store: RecordStore) -> None:
    task = claim(store, start(store))
    store.advance(LEASE_SECONDS + 1)
    assert not store.tasks.plan_effect(task, Effect(str(uuid4()), "codegen.run", {}))
    assert store.tasks.settle_task(task, finish()) == []
    assert read_task(store, task)["status"] == "succeeded"


def test_a_settled_lease_is_over(store: RecordStore) -> None:
    task = claim(store, start(store))
    store.tasks.settle_task(task, retry())
    assert not store.tasks.plan_effect(task, Effect(str(uuid4()), "codegen.run", {}))
    assert store.tasks.settle_task(task, finish()) is None


def test_an_effect_is_said_before_and_after(store: RecordStore) -> None:
    task = claim(store, start(store))
    request = {"prompt": "Work", "nested": {"list": [1, None, True, 1.5, "x"]}}
    effect = plan(store, task, request)
    [planned] = read_task(store, task)["effects"]
    assert (planned["effect_id"], planned["kind"], planned["status"]) == (effect.id, "codegen.run", "planned")
    assert (planned["external_id"], planned["url"], planned["done_at"]) == (None, None, None)

    store.tasks.settle_task(task, retry(0.0))
    again = claim(store, task.task_id)
    assert again.effect is not None
    assert (again.effect.id, again.effect.kind, again.effect.request) == (effect.id, "codegen.run", request)
    assert again.effect.planned_at is not None
    assert again.effect.planned_at.utcoffset() is not None
    assert again.effect.planned_at.isoformat()[:19] == planned["planned_at"][:19]

    store.tasks.settle_task(again, finish(written=Written("42", "https://github/42")))
    [done] = read_task(store, task)["effects"]
    assert (done["status"], done["external_id"], done["url"]) == ("done", "42", "https://github/42")
    assert done["done_at"] is not None


def test_a_task_plans_one_effect(store: RecordStore) -> None:
    task = claim(store, start(store))
    effect = plan(store, task)
    assert not store.tasks.plan_effect(task, Effect(str(uuid4()), "codegen.run", {}))
    assert [each["effect_id"] for each in read_task(store, task)["effects"]] == [effect.id]


def test_an_effect_that_was_certainly_not_written_is_dropped(store: RecordStore) -> None:
    task = claim(store, start(store))
    plan(store, task)
    store.tasks.settle_task(task, replace(retry(0.0), is_effect_dropped=True))
    again = claim(store, task.task_id)
    assert again.effect is None
    plan(store, again)
    written = wait(0.0, written=Written("run-1", None), agent_run=REPORT, is_effect_dropped=True)
    store.tasks.settle_task(again, written)
    # What was written stays, whatever is said of it.
    assert [each["status"] for each in read_task(store, task)["effects"]] == ["done"]


def test_any_text_of_an_effect_is_storable(store: RecordStore) -> None:
    task = claim(store, start(store))
    plan(store, task, {"body": "\x00 \ud800 \uffff", "list": ["\x00"], "na\x00me": {"deep": "\udfff"}})
    report = replace(REPORT, result="\x00 \ud800", summary="\x00", status="ACT\x00IVE", url="https://codegen/\x00")
    store.tasks.settle_task(task, wait(0.0, written=Written("run-1", None), agent_run=report, reason="\x00 \ud800"))
    waiting = claim(store, task.task_id)
    assert waiting.effect is not None
    assert waiting.effect.request == {"body": "\ufffd ? \uffff", "list": ["\ufffd"], "na\ufffdme": {"deep": "?"}}
    shown = read_task(store, task)
    assert shown["reason"] == "\ufffd ?"
    [agent_run] = shown["agent_runs"]
    assert (agent_run["result"], agent_run["summary"], agent_run["status"]) == ("\ufffd ?", "\ufffd", "ACT\ufffdIVE")
    store.tasks.settle_task(waiting, finish(outcome=None, outputs={"text": "\x00 \ud800", "list": ("\x00",)}))
    assert read_task(store, task)["outputs"] == {"text": "\ufffd ?", "list": ["\ufffd"]}


def test_a_waiting_task_is_polled_without_an_attempt(store: RecordStore) -> None:
    task_id = start(store)
    task = claim(store, task_id)
    plan(store, task)
    store.tasks.settle_task(task, wait(30.0, agent_run=REPORT, written=Written("run-1", REPORT.url)))
    assert (read_task(store, task)["status"], read_run(store, task)["status"]) == ("waiting", "waiting")
    assert store.tasks.claim_task(task_id, LEASE_SECONDS) is None

    for poll_count in range(3):
        store.advance(31.0)
        poll = claim(store, task_id)
        assert (poll.is_waiting, poll.attempt, poll.agent_run_id, poll.poll_count) == (True, 1, "run-1", poll_count)
        assert poll.agent_age_seconds == pytest.approx(31.0 * (poll_count + 1), abs=30.0)
        assert (read_task(store, task)["status"], read_run(store, task)["status"]) == ("waiting", "waiting")
        store.tasks.settle_task(poll, wait(30.0, outcome=None, agent_run=replace(REPORT, url=None)))
    assert list_outcomes(store, task) == [(1, "succeeded")]
    assert read_task(store, task)["attempt_count"] == 1

    store.advance(31.0)
    poll = claim(store, task_id)
    ended = AgentReport(
        "codegen", "run-1", "COMPLETE", "succeeded", result="Done", pull_requests=("https://github/pull/1",)
    )
    outputs = {"result": "Done"}
    store.tasks.settle_task(poll, finish(outcome=None, agent_run=ended, outputs=outputs, position=1))
    shown = read_task(store, task)
    [agent_run] = shown["agent_runs"]
    assert (shown["status"], shown["outputs"]) == ("succeeded", outputs)
    assert {name: agent_run[name] for name in agent_run.keys() - {"created_at", "finished_at"}} == {
        "agent": "codegen",
        "agent_run_id": "run-1",
        "status": "COMPLETE",
        "url": "https://codegen/run-1",
        "result": "Done",
        "summary": None,
        "pull_requests": ["https://github/pull/1"],
        "poll_count": 4,
    }
    assert agent_run["finished_at"] is not None


def test_a_failed_poll_waits_on(store: RecordStore) -> None:
    task = claim(store, start(store))
    plan(store, task)
    store.tasks.settle_task(task, wait(0.0, agent_run=REPORT, written=Written("run-1", None)))
    poll = claim(store, task.task_id)
    store.tasks.settle_task(poll, wait(0.0, outcome=None, reason="codegen is away"))
    shown = read_task(store, task)
    assert (shown["status"], shown["reason"]) == ("waiting", "codegen is away")
    [agent_run] = shown["agent_runs"]
    assert (agent_run["poll_count"], agent_run["finished_at"]) == (0, None)


def test_a_lost_poll_is_no_lost_attempt(store: RecordStore) -> None:
    task = claim(store, start(store))
    plan(store, task)
    store.tasks.settle_task(task, wait(0.0, agent_run=REPORT, written=Written("run-1", None)))
    claim(store, task.task_id)
    store.advance(LEASE_SECONDS + 1)
    poll = claim(store, task.task_id)
    assert (poll.is_waiting, poll.attempt) == (True, 1)
    assert list_outcomes(store, task) == [(1, "succeeded")]


def test_the_next_step_knows_the_earlier_ones(store: RecordStore) -> None:
    task = claim(store, start(store))
    [next_id] = store.tasks.settle_task(task, finish(outputs={"url": "u", "n": [1]}, position=1)) or []
    run = read_run(store, task)
    assert (run["status"], run["finished_at"]) == ("running", None)
    assert [(each["position"], each["step"], each["uses"], each["status"]) for each in run["tasks"]] == [
        (0, "work", "codegen.run", "succeeded"),
        (1, "2", "github.comment", "queued"),
    ]
    following = claim(store, next_id)
    assert (following.run_id, following.position, following.attempt) == (task.run_id, 1, 1)
    assert list(following.earlier) == [EarlierTask(0, "work", Status.SUCCEEDED, None, {"url": "u", "n": [1]})]
    assert following.effect is None


def test_an_earlier_failure_is_handed_on(store: RecordStore) -> None:
    task = claim(store, start(store))
    settled = store.tasks.settle_task(task, finish(Status.FAILED, reason="the agent run ended as ERROR", position=1))
    assert settled is not None
    following = claim(store, settled[0])
    [earlier] = following.earlier
    assert earlier == EarlierTask(0, "work", Status.FAILED, "the agent run ended as ERROR", {})
    store.tasks.settle_task(following, Settlement(Status.SUCCEEDED, Course(None, Status.FAILED), "succeeded"))
    run = read_run(store, task)
    assert (run["status"], run["reason"]) == ("failed", "the agent run ended as ERROR")


def test_a_buried_task_is_dead_with_its_run(store: RecordStore) -> None:
    task = claim(store, start(store))
    assert store.tasks.bury_task(task.task_id, "its messages were spent")
    shown = read_task(store, task)
    assert (shown["status"], shown["reason"]) == ("dead", "its messages were spent")
    assert list_outcomes(store, task) == [(1, "dead")]
    assert shown["attempts"][0]["error"] == "its messages were spent"
    run = read_run(store, task)
    assert (run["status"], run["reason"], run["finished_at"] is None) == ("dead", "its messages were spent", False)
    assert store.tasks.settle_task(task, finish()) is None
    assert not store.tasks.plan_effect(task, Effect(str(uuid4()), "codegen.run", {}))
    store.advance(10_000.0)
    assert store.tasks.claim_task(task.task_id, LEASE_SECONDS) is None
    assert not store.tasks.bury_task(task.task_id, "again")


def test_a_task_that_was_never_tried_can_be_buried(store: RecordStore) -> None:
    task_id = start(store)
    assert store.tasks.bury_task(task_id, "its messages were spent")
    assert not store.tasks.bury_task(str(uuid4()), "there is no such task")
    [shown] = store.reading.list_tasks({"status": Status.DEAD}, 10, None).items
    assert (shown["task_id"], shown["attempts"]) == (task_id, [])
