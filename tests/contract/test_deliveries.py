"""DeliveryRecords and WorkflowCatalog: in memory and in Postgres."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import ANY
from uuid import UUID, uuid4

import pytest

from shared.domain.delivery import Delivery
from shared.domain.errors import Transient
from shared.domain.run import PlannedRun
from shared.domain.workflow import Verdict, judge
from shared.ports import RecordedDelivery
from tests.support.factories import RECEIVED_AT, build_delivery, build_envelope, build_payload, build_workflow
from tests.support.record_stores import RecordStore

FIRST = build_workflow(name="first")
SECOND = build_workflow({"id": "say", "uses": "github.comment", "with": {"body": "Hi"}}, name="second")
OTHER = build_workflow(name="other", on={"push": {}})


def record(store: RecordStore, delivery: Delivery) -> RecordedDelivery:
    workflows = [FIRST, OTHER, SECOND]
    store.put_workflows(*workflows)
    verdicts = [judge(each, delivery.envelope.event, delivery.action, delivery.document) for each in workflows]
    matched = [PlannedRun(each) for each, verdict in zip(workflows, verdicts, strict=True) if verdict.matched]
    return store.deliveries.record_delivery(delivery, verdicts, matched)


def read(store: RecordStore, delivery: Delivery) -> dict[str, Any]:
    document = store.reading.read_delivery("github", UUID(delivery.envelope.delivery_id))
    assert document is not None
    return document


def test_a_delivery_is_recorded_with_verdicts_runs_and_first_tasks(store: RecordStore) -> None:
    delivery = build_delivery()
    recorded = record(store, delivery)
    document = read(store, delivery)
    tasks = [task for run in document["runs"] for task in run["tasks"]]

    received_at = datetime.fromisoformat(document["received_at"])
    assert received_at.timestamp() * 1000 == pytest.approx(RECEIVED_AT, abs=0.01)
    assert not recorded.is_known
    assert sorted(recorded.task_ids) == sorted(task["task_id"] for task in tasks)
    assert document == {
        "delivery_id": delivery.envelope.delivery_id,
        "source": "github",
        "generation": 0,
        "event": "pull_request",
        "action": "opened",
        "subject": "acme/widgets#7",
        "repository": "acme/widgets",
        "sender": "ada",
        "status": "succeeded",
        "reason": None,
        "received_at": ANY,
        "routed_at": ANY,
        "duplicate_count": 0,
        "trace_id": delivery.envelope.trace_id,
        "verdicts": [
            {"workflow": "first", "version": FIRST.version, "matched": True, "because": "no clauses"},
            {
                "workflow": "other",
                "version": OTHER.version,
                "matched": False,
                "because": 'event is "pull_request", wants "push"',
            },
            {"workflow": "second", "version": SECOND.version, "matched": True, "because": "no clauses"},
        ],
        "runs": ANY,
    }
    run = next(each for each in document["runs"] if each["workflow"] == "second")
    assert run == {
        "run_id": ANY,
        "workflow": "second",
        "version": SECOND.version,
        "subject": "acme/widgets#7",
        "status": "queued",
        "reason": None,
        "group": None,
        "superseded_by": None,
        "retry_of": None,
        "created_at": ANY,
        "finished_at": None,
        "tasks": [
            {
                "task_id": ANY,
                "position": 0,
                "step": "say",
                "uses": "github.comment",
                "status": "queued",
                "reason": None,
                "attempt_count": 0,
                "next_attempt_at": ANY,
                "created_at": ANY,
                "finished_at": None,
                "outputs": None,
                "attempts": [],
                "effects": [],
                "agent_runs": [],
            }
        ],
    }
    assert [each["workflow"] for each in document["runs"]].count("first") == 1


def test_a_delivery_that_nothing_matches_is_recorded(store: RecordStore) -> None:
    delivery = build_delivery()
    assert store.deliveries.record_delivery(delivery, [], []) == (False, ANY)
    document = read(store, delivery)
    assert (document["status"], document["verdicts"], document["runs"]) == ("succeeded", [], [])


def test_duplicates_are_counted(store: RecordStore) -> None:
    delivery = build_delivery()
    record(store, delivery)
    upper = replace(delivery.envelope, delivery_id=delivery.envelope.delivery_id.upper(), hook_id="67890")
    for _ in range(3):
        recorded = record(store, replace(delivery, envelope=upper))
        assert (recorded.is_known, list(recorded.task_ids)) == (True, [])
    document = read(store, delivery)
    assert document["duplicate_count"] == 3
    assert len(document["runs"]) == 2


def test_the_source_belongs_to_the_identity(store: RecordStore) -> None:
    delivery = build_delivery()
    other = replace(delivery, envelope=replace(delivery.envelope, source="elsewhere"))
    assert not record(store, delivery).is_known
    assert not record(store, other).is_known


def test_of_many_at_once_one_is_new(store: RecordStore) -> None:
    store.put_workflows(FIRST)
    delivery = build_delivery()

    def record_once(_number: int) -> bool:
        return store.deliveries.record_delivery(delivery, [], [PlannedRun(FIRST)]).is_known

    with ThreadPoolExecutor(8) as pool:
        known = list(pool.map(record_once, range(8)))

    assert known.count(False) == 1
    assert read(store, delivery)["duplicate_count"] == 7
    assert len(read(store, delivery)["runs"]) == 1


def test_all_or_nothing(store: RecordStore) -> None:
    store.put_workflows(FIRST)
    delivery = build_delivery()
    with pytest.raises(store.refusal):
        store.deliveries.record_delivery(delivery, [], [PlannedRun(FIRST), PlannedRun(SECOND)])
    assert store.reading.read_delivery("github", UUID(delivery.envelope.delivery_id)) is None
    assert store.reading.list_tasks({}, 10, None).items == []
    assert not record(store, delivery).is_known


def test_a_dead_delivery_is_taken_up_again_by_a_redelivery(store: RecordStore) -> None:
    delivery = build_delivery()
    unread = replace(delivery.envelope, subject="elsewhere", event="issues")
    assert store.deliveries.record_dead_delivery(unread, "the body cannot be inflated \x00")
    dead = read(store, delivery)
    assert (dead["status"], dead["reason"]) == ("dead", "the body cannot be inflated \ufffd")
    assert (dead["subject"], dead["event"], dead["verdicts"], dead["runs"]) == ("elsewhere", "issues", [], [])

    recorded = record(store, delivery)

    assert not recorded.is_known
    assert len(recorded.task_ids) == 2
    alive = read(store, delivery)
    assert (alive["status"], alive["reason"], alive["duplicate_count"]) == ("succeeded", None, 1)
    assert (alive["subject"], alive["event"], alive["action"]) == ("acme/widgets#7", "pull_request", "opened")
    assert len(alive["verdicts"]) == 3
    assert record(store, delivery).is_known


def test_what_is_known_does_not_die(store: RecordStore) -> None:
    delivery = build_delivery()
    record(store, delivery)
    assert not store.deliveries.record_dead_delivery(delivery.envelope, "late")
    assert read(store, delivery)["status"] == "succeeded"
    other = build_envelope()
    assert store.deliveries.record_dead_delivery(other, "first")
    assert not store.deliveries.record_dead_delivery(other, "second")
    document = store.reading.read_delivery("github", UUID(other.delivery_id))
    assert document is not None
    assert document["reason"] == "first"


def test_any_text_of_a_payload_is_storable(store: RecordStore) -> None:
    hostile = "\x00 \ud800 \uffff \U0001f600 ' \" \\ $1 %s {conditions}" + "x" * 5000
    payload = build_payload(
        action=hostile,
        sender={"login": hostile},
        repository={"id": 1, "full_name": hostile},
        pull_request={},
        ref=hostile,
    )
    delivery = build_delivery(json.dumps(payload).encode())
    match = {"action": [{"anything-but": [hostile]}], "sender": {"login": [hostile + "!"]}}
    workflow = build_workflow(on={"pull_request": {"match": match}})
    verdict = judge(workflow, "pull_request", delivery.action, delivery.document)
    store.put_workflows(FIRST)

    store.deliveries.record_delivery(delivery, [verdict], [PlannedRun(FIRST)])

    document = read(store, delivery)
    for name in ("action", "subject", "repository", "sender"):
        assert document[name].startswith("\ufffd ? \uffff \U0001f600 ' \" \\ $1 %s {conditions}xxx")
    assert document["verdicts"] == [verdict._asdict()]
    assert store.reading.list_deliveries({"repository": document["repository"]}, 5, None).items != []


def test_dead_letters_are_kept_once(store: RecordStore) -> None:
    for body in ("first", "second"):
        store.deliveries.record_dead_letter("m1", "tasks-dlq", body, "no envelope")
    store.deliveries.record_dead_letter("m2", "deliveries-dlq.fifo", "'; drop table deliveries", "no envelope")
    assert list(store.list_dead_letters()) == [
        ("m1", "tasks-dlq", "first", "no envelope"),
        ("m2", "deliveries-dlq.fifo", "'; drop table deliveries", "no envelope"),
    ]


def test_workflows_in_force_come_by_name(store: RecordStore) -> None:
    store.put_workflows(SECOND, FIRST)
    assert list(store.catalog.read()) == [FIRST, SECOND]
    assert [workflow.version for workflow in store.catalog.read()] == [FIRST.version, SECOND.version]


def test_there_may_be_no_workflow(store: RecordStore) -> None:
    assert list(store.catalog.read()) == []


def test_a_workflow_of_the_same_name_takes_the_place_of_the_other(store: RecordStore) -> None:
    store.put_workflows(FIRST, SECOND)
    newer = build_workflow({"uses": "github.comment", "with": {"body": "New"}}, name="first")
    store.put_workflows(newer)
    assert list(store.catalog.read()) == [newer, SECOND]


CALLS: list[Callable[[RecordStore], object]] = [
    lambda store: store.deliveries.record_delivery(
        build_delivery(), [Verdict("a", "b", matched=False, because="c")], []
    ),
    lambda store: store.deliveries.record_dead_delivery(build_envelope(), "reason"),
    lambda store: store.deliveries.record_dead_letter("m1", "queue", "body", "reason"),
    lambda store: store.catalog.read(),
    lambda store: store.tasks.claim_task(str(uuid4()), 90.0),
    lambda store: store.tasks.take_due(300.0, 10),
    lambda store: store.tasks.bury_task(str(uuid4()), "reason"),
    lambda store: store.reading.read_delivery("github", uuid4()),
    lambda store: store.reading.read_run(uuid4()),
    lambda store: store.reading.list_deliveries({}, 10, None),
    lambda store: store.reading.list_tasks({}, 10, None),
    lambda store: store.reading.ping(),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: ".".join(call.__code__.co_names[:2]))
def test_an_unreachable_database_is_transient(store: RecordStore, call: Callable[[RecordStore], object]) -> None:
    call(store)
    store.switch_off()
    with pytest.raises(Transient, match="the database cannot be used"):
        call(store)
