"""What runs mean to each other, in memory and in Postgres: groups, debounce, newer news, depth, ended agents, caps."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.domain.caps import Refusal
from shared.domain.delivery import Delivery
from shared.domain.effect import Effect, Written
from shared.domain.run import PlannedRun
from shared.domain.statuses import Status
from shared.domain.task import AgentReport, ClaimedTask, Settlement
from shared.domain.workflow import Caps, Workflow
from tests.support.factories import build_delivery, build_payload
from tests.support.record_stores import RecordStore
from tests.support.task_steps import LEASE_SECONDS, claim, finish, wait

STEPS = (
    {"id": "work", "uses": "codegen.run", "with": {"prompt": "Look"}},
    {"uses": "github.comment", "with": {"body": "Done"}},
)
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
NO_CAPS = Caps()
WORKING = AgentReport("codegen", "17", "ACTIVE", "working")


def build(on_conflict: str | None = None, **fields: Any) -> Workflow:  # noqa: ANN401 - those of a workflow
    concurrency = {} if on_conflict is None else {"concurrency": {"on_conflict": on_conflict}}
    return Workflow.model_validate(
        {"name": "work", "on": {"pull_request": {}}, "steps": list(STEPS), **concurrency, **fields}
    )


def build_moment(minutes: float, sha: str = "a" * 40, state: str = "open", **members: object) -> Delivery:
    """Returns a delivery that tells of its pull request some minutes after noon."""
    at = NOON + timedelta(minutes=minutes)
    pull_request = {"number": 7, "head": {"sha": sha}, "state": state, "updated_at": at.isoformat()}
    return build_delivery(build_payload(pull_request=pull_request, **members))


def start(
    store: RecordStore,
    workflow: Workflow,
    group: str | None = "group",
    delivery: Delivery | None = None,
    *,
    is_caused_by_us: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """Records a delivery with a run of the workflow; returns the run as it is shown, and the tasks to be sent."""
    store.put_workflows(workflow)
    delivery = delivery or build_delivery()
    recorded = store.deliveries.record_delivery(
        delivery, [], [PlannedRun(workflow, group)], is_caused_by_us=is_caused_by_us
    )
    document = store.reading.read_delivery("github", UUID(delivery.envelope.delivery_id))
    assert document is not None
    [run] = document["runs"]
    return run, recorded.task_ids


def read(store: RecordStore, run: dict[str, Any]) -> dict[str, Any]:
    document = store.reading.read_run(UUID(run["run_id"]))
    assert document is not None
    return document


def plan_agent(store: RecordStore, task: ClaimedTask, fleet: Caps = NO_CAPS) -> Refusal | bool:
    return store.tasks.plan_agent(task, Effect(str(uuid4()), "codegen.run", {"prompt": "Look"}), fleet)


def start_agent(store: RecordStore, task_id: str, number: str = "17") -> ClaimedTask:
    """Has the task's agent work."""
    task = claim(store, task_id)
    assert plan_agent(store, task) is True
    report = AgentReport("codegen", number, "ACTIVE", "working")
    assert store.tasks.settle_task(task, wait(written=Written(number, None), agent_run=report)) is not None
    return task


def test_cancel_supersedes_whatever_is_unfinished(store: RecordStore) -> None:
    workflow = build("cancel")
    first, [first_task] = start(store, workflow)
    second, [second_task] = start(store, workflow)

    shown = read(store, first)
    assert (shown["status"], shown["superseded_by"]) == ("superseded", second["run_id"])
    assert shown["reason"].startswith(f"run {second['run_id']} of delivery ")
    assert [(task["status"], task["reason"]) for task in shown["tasks"]] == [("superseded", shown["reason"])]
    assert store.tasks.claim_task(first_task, LEASE_SECONDS) is None
    assert claim(store, second_task).run_id == second["run_id"]


def test_another_group_is_left_alone(store: RecordStore) -> None:
    first, _ = start(store, build("cancel"))
    start(store, build("cancel"), "another")
    assert read(store, first)["status"] == "queued"


def test_an_agent_whose_run_is_superseded_is_brought_to_its_end(store: RecordStore) -> None:
    workflow = build("cancel")
    first, [task_id] = start(store, workflow)
    start_agent(store, task_id)
    _, sent = start(store, workflow)
    assert task_id in sent

    store.advance(31.0)
    ending = claim(store, task_id)
    assert (ending.is_over, ending.agent_run_id, ending.attempt) == (True, "17", 1)
    # Its worker says that the agent still works, and later that it does no more.
    assert store.tasks.settle_task(ending, wait(outcome=None, agent_run=WORKING)) == []
    store.advance(31.0)
    ending = claim(store, task_id)
    assert store.tasks.settle_task(ending, Settlement(Status.WAITING, agent_run=WORKING, is_agent_over=True)) == []
    store.advance(31.0)
    assert store.tasks.claim_task(task_id, LEASE_SECONDS) is None
    [task] = read(store, first)["tasks"]
    assert (task["status"], task["attempt_count"], len(task["attempts"])) == ("superseded", 1, 1)
    assert task["agent_runs"][0]["finished_at"] is not None


def test_never_two_agents_of_a_group_at_once(store: RecordStore) -> None:
    workflow = build("cancel")
    first, [first_task] = start(store, workflow)
    start_agent(store, first_task)
    _, sent = start(store, workflow)
    [second_task] = set(sent) - {first_task}

    second = claim(store, second_task)
    assert plan_agent(store, second) == Refusal("busy", f"the agent of run {first['run_id']} still works")
    store.advance(31.0)
    store.tasks.settle_task(claim(store, first_task), Settlement(Status.WAITING, is_agent_over=True))
    assert plan_agent(store, second) is True


def test_a_worker_that_is_at_it_may_report_and_begins_nothing_more(store: RecordStore) -> None:
    workflow = build("cancel")
    first, [task_id] = start(store, workflow)
    task = claim(store, task_id)
    assert plan_agent(store, task) is True
    start(store, workflow)
    assert read(store, first)["tasks"][0]["status"] == "running"

    settlement = wait(written=Written("17", "https://agent/17"), agent_run=WORKING)
    assert store.tasks.settle_task(task, settlement) == []

    shown = read(store, first)
    assert (shown["status"], shown["tasks"][0]["status"]) == ("superseded", "superseded")
    assert shown["tasks"][0]["agent_runs"][0]["agent_run_id"] == "17"
    store.advance(31.0)
    assert claim(store, task_id).is_over


def test_a_step_that_ends_while_its_run_is_superseded_has_no_successor(store: RecordStore) -> None:
    workflow = build("cancel")
    first, [task_id] = start(store, workflow)
    task = claim(store, task_id)
    start(store, workflow)
    assert store.tasks.settle_task(task, finish(position=1)) == []
    shown = read(store, first)
    assert (shown["status"], [each["status"] for each in shown["tasks"]]) == ("superseded", ["succeeded"])


def test_nothing_is_planned_in_a_run_that_is_over(store: RecordStore) -> None:
    workflow = build("cancel")
    _, [task_id] = start(store, workflow)
    task = claim(store, task_id)
    start(store, workflow)
    assert plan_agent(store, task) is False
    assert not store.tasks.plan_effect(task, Effect(str(uuid4()), "github.comment", {}))


def test_an_effect_that_was_planned_and_not_written_is_dropped(store: RecordStore) -> None:
    workflow = build("cancel")
    first, [task_id] = start(store, workflow)
    assert plan_agent(store, claim(store, task_id)) is True
    # The worker dies.
    store.advance(LEASE_SECONDS + 1)
    _, sent = start(store, workflow)
    assert task_id in sent
    ending = claim(store, task_id)
    assert (ending.is_over, ending.agent_run_id, ending.effect is not None) == (True, None, True)
    # However often the look-up fails, it is given up at the agent's own deadline.
    assert ending.agent_age_seconds > LEASE_SECONDS
    store.tasks.settle_task(ending, Settlement(Status.WAITING, is_agent_over=True, is_effect_dropped=True))
    assert read(store, first)["tasks"][0]["effects"] == []
    assert store.tasks.claim_task(task_id, LEASE_SECONDS) is None


def test_reconcile_finds_agents_that_outlive_their_runs(store: RecordStore) -> None:
    workflow = build("cancel")
    _, [task_id] = start(store, workflow)
    start_agent(store, task_id)
    _, sent = start(store, workflow)
    store.advance(400.0)
    assert set(store.tasks.take_due(300.0, 10)) == set(sent)
    assert store.tasks.take_due(300.0, 10) == []


def test_queue_waits_for_the_one_under_way_and_keeps_the_newest(store: RecordStore) -> None:
    workflow = build("queue")
    first, [first_task] = start(store, workflow)
    task = claim(store, first_task)
    second, [second_task] = start(store, workflow)
    third, [third_task] = start(store, workflow)

    assert [read(store, run)["status"] for run in (first, second, third)] == ["running", "superseded", "queued"]
    assert store.tasks.claim_task(second_task, LEASE_SECONDS) is None
    assert store.tasks.claim_task(third_task, LEASE_SECONDS) is None
    # Whoever ends the first is told that the third may begin.
    assert store.tasks.settle_task(task, finish()) == [third_task]
    assert claim(store, third_task).run_id == third["run_id"]


def test_a_run_with_several_steps_keeps_its_turn_between_them(store: RecordStore) -> None:
    workflow = build("queue")
    _, [first_task] = start(store, workflow)
    created = store.tasks.settle_task(claim(store, first_task), finish(position=1))
    assert created is not None
    [next_task] = created
    _, [waiting_task] = start(store, workflow)
    assert store.tasks.claim_task(waiting_task, LEASE_SECONDS) is None
    assert store.tasks.settle_task(claim(store, next_task), finish()) == [waiting_task]


def test_skip_does_not_start_beside_another(store: RecordStore) -> None:
    workflow = build("skip")
    first, [task_id] = start(store, workflow)
    second, sent = start(store, workflow)
    assert (second["status"], sent, second["tasks"]) == ("cancelled", [], [])
    reason = f"concurrency.on_conflict is skip, and run {first['run_id']} of the group is under way"
    assert second["reason"] == reason
    store.tasks.settle_task(claim(store, task_id), finish())
    assert start(store, workflow)[0]["status"] == "queued"


def test_once_is_the_newest_until_it_has_begun_and_then_never_again(store: RecordStore) -> None:
    workflow = build("once")
    first, _ = start(store, workflow)
    second, [task_id] = start(store, workflow)
    assert [read(store, run)["status"] for run in (first, second)] == ["superseded", "queued"]
    store.tasks.settle_task(claim(store, task_id), finish())
    third, sent = start(store, workflow)
    assert (third["status"], sent) == ("cancelled", [])
    assert third["reason"] == f"concurrency.on_conflict is once, and run {second['run_id']} of the group has begun"


def test_a_debounced_run_is_due_later(store: RecordStore) -> None:
    workflow = build("queue", debounce="30s")
    store.put_workflows(workflow)
    recorded = store.deliveries.record_delivery(build_delivery(), [], [PlannedRun(workflow, "group")])
    [task] = recorded.tasks
    assert task.delay_seconds == 30
    assert store.tasks.claim_task(task.task_id, LEASE_SECONDS) is None
    store.advance(31.0)
    claim(store, task.task_id)


def test_an_older_moment_is_superseded_by_what_is_known(store: RecordStore) -> None:
    newer = build_moment(5, "b" * 40)
    start(store, build(), None, newer)
    run, sent = start(store, build(), None, build_moment(0, "a" * 40))
    assert (run["status"], sent) == ("superseded", [])
    assert newer.envelope.delivery_id in run["reason"]


@pytest.mark.parametrize(
    ("delivery", "status"),
    [
        (build_moment(0, "b" * 40), "queued"),  # older, and of the same head and state
        (build_moment(0, "b" * 40, "closed"), "superseded"),
        (build_moment(5, "a" * 40), "queued"),  # of the same second: nobody knows
        (build_moment(9, "a" * 40), "queued"),
        (build_delivery(build_payload()), "queued"),  # tells of no time
    ],
)
def test_only_what_is_older_and_different_is_superseded(store: RecordStore, delivery: Delivery, status: str) -> None:
    start(store, build(), None, build_moment(5, "b" * 40))
    again = build_delivery(delivery.payload)
    assert start(store, build(), None, again)[0]["status"] == status


def test_a_check_of_a_commit_that_is_no_longer_the_head_is_superseded(store: RecordStore) -> None:
    start(store, build(), None, build_moment(5, "b" * 40))
    for started_at, sha, status in (
        (NOON, "a" * 40, "superseded"),
        (NOON, "b" * 40, "queued"),
        (NOON + timedelta(minutes=9), "a" * 40, "queued"),
    ):
        check = {"head_sha": sha, "started_at": started_at.isoformat(), "pull_requests": [{"number": 7}]}
        payload = {**build_payload(), "check_run": check}
        del payload["pull_request"]
        delivery = build_delivery(payload, event="check_run")
        assert delivery.subject.key == "acme/widgets#7"
        assert start(store, build(), None, delivery)[0]["status"] == status


def test_an_agent_is_not_started_for_a_head_that_has_moved_on(store: RecordStore) -> None:
    _, [task_id] = start(store, build(), None, build_moment(0, "a" * 40))
    newer = build_moment(5, "b" * 40)
    store.deliveries.record_delivery(newer, [], [])
    refusal = plan_agent(store, claim(store, task_id))
    assert isinstance(refusal, Refusal)
    assert refusal.kind == "superseded"
    assert newer.envelope.delivery_id in refusal.reason


def test_the_pull_request_of_a_commit_is_the_newest(store: RecordStore) -> None:
    store.deliveries.record_delivery(build_moment(0, "a" * 40), [], [])
    assert store.deliveries.find_pull_request("acme/widgets", "a" * 40) == "acme/widgets#7"
    assert store.deliveries.find_pull_request("acme/widgets", "b" * 40) is None
    assert store.deliveries.find_pull_request("acme/gears", "a" * 40) is None


def test_agent_runs_stand_one_behind_the_other_only_so_deep(store: RecordStore) -> None:
    workflow = build(guard={"loops": "allow", "max_depth": 2})
    _, [first] = start(store, workflow, None)
    start_agent(store, first, "1")
    # Its bot has just done something, so the agent is looked at again too.
    _, sent = start(store, workflow, None, is_caused_by_us=True)
    [second] = set(sent) - {first}
    start_agent(store, second, "2")
    third, sent = start(store, workflow, None, is_caused_by_us=True)
    assert (third["status"], set(sent)) == ("cancelled", {first, second})
    assert third["reason"] == "guard.max_depth is 2, and as many agent runs stand behind this one"
    assert start(store, workflow, None)[0]["status"] == "queued"


def test_what_an_agents_bot_does_hastens_the_polls_in_its_repository(store: RecordStore) -> None:
    _, [task_id] = start(store, build(), None)
    start_agent(store, task_id)
    assert store.tasks.claim_task(task_id, LEASE_SECONDS) is None
    elsewhere = build_payload(repository={"id": 2, "full_name": "acme/gears"})
    assert store.deliveries.record_delivery(build_delivery(elsewhere), [], [], is_caused_by_us=True).task_ids == []
    recorded = store.deliveries.record_delivery(build_delivery(), [], [], is_caused_by_us=True)
    assert recorded.task_ids == [task_id]
    assert claim(store, task_id).is_waiting


@pytest.mark.parametrize(
    ("caps", "fleet", "name"),
    [
        ({"per_subject": 1}, NO_CAPS, "guard.max_agent_runs.per_subject"),
        ({"per_repository": 1}, NO_CAPS, "guard.max_agent_runs.per_repository"),
        ({"per_day": 1}, NO_CAPS, "guard.max_agent_runs.per_day"),
        ({}, Caps(per_subject=1), "the deployment's max_agent_runs.per_subject"),
        ({}, Caps(per_repository=1), "the deployment's max_agent_runs.per_repository"),
        ({}, Caps(per_day=1), "the deployment's max_agent_runs.per_day"),
    ],
)
def test_caps_hold_for_a_day(store: RecordStore, caps: dict[str, int], fleet: Caps, name: str) -> None:
    workflow = build(guard={"max_agent_runs": caps})
    _, [first] = start(store, workflow, None)
    assert plan_agent(store, claim(store, first), fleet) is True
    _, [second] = start(store, workflow, None)
    task = claim(store, second)
    assert plan_agent(store, task, fleet) == Refusal("declined", f"{name} is 1, and 1 were started within 24 hours")
    store.advance(86_401.0)
    assert plan_agent(store, claim(store, second), fleet) is True


def test_a_buried_task_leaves_its_group(store: RecordStore) -> None:
    workflow = build("queue")
    _, [first] = start(store, workflow)
    start_agent(store, first)
    _, [second] = start(store, workflow)
    assert store.tasks.bury_task(first, "not processed after 20 receipts")
    assert plan_agent(store, claim(store, second)) is True
