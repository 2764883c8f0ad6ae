"""Reading: lists by filter and cursor, in memory and in Postgres."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.domain.instruction import Instruction
from shared.domain.page import BadCursor
from shared.domain.run import PlannedRun
from shared.domain.statuses import Status
from tests.support.factories import RECEIVED_AT, build_delivery, build_envelope, build_payload, build_workflow
from tests.support.record_stores import RecordStore
from tests.support.task_steps import WORKFLOW, claim, finish, start

RECEIVED = datetime.fromtimestamp(RECEIVED_AT / 1000, UTC)
OTHER = build_workflow({"uses": "github.status", "with": {"state": "success"}}, name="other")


def fill(store: RecordStore) -> dict[str, str]:
    """Records four deliveries; returns their ids by the order of their coming."""
    store.put_workflows(WORKFLOW, OTHER)
    pull = build_delivery(build_payload())
    closed = build_delivery(build_payload(action="closed", sender={"login": "bob"}))
    push = build_delivery({"repository": {"full_name": "acme/gears"}, "ref": "refs/heads/main"}, event="push")
    dead = build_envelope(event="issues")
    store.deliveries.record_delivery(pull, [], [PlannedRun(WORKFLOW)])
    store.deliveries.record_delivery(closed, [], [PlannedRun(WORKFLOW), PlannedRun(OTHER)])
    store.deliveries.record_delivery(push, [], [])
    store.deliveries.record_dead_delivery(dead, "unreadable")
    deliveries = {"pull": pull.envelope, "closed": closed.envelope, "push": push.envelope, "dead": dead}
    return {name: envelope.delivery_id for name, envelope in deliveries.items()}


def test_deliveries_come_newest_first(store: RecordStore) -> None:
    ids = fill(store)
    page = store.reading.list_deliveries({}, 10, None)
    # Received in the same moment, so the later recorded one counts as newer.
    assert [item["delivery_id"] for item in page.items] == [ids[name] for name in ("dead", "push", "closed", "pull")]
    assert page.next_cursor is None
    assert set(page.items[0]) == {
        "delivery_id",
        "source",
        "event",
        "action",
        "subject",
        "repository",
        "sender",
        "status",
        "reason",
        "received_at",
        "duplicate_count",
    }


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"status": Status.DEAD}, {"dead"}),
        ({"event": "pull_request"}, {"pull", "closed"}),
        ({"event": "pull_request", "action": "closed"}, {"closed"}),
        ({"subject": "acme/widgets#7"}, {"pull", "closed", "dead"}),
        ({"repository": "acme/gears"}, {"push"}),
        ({"sender": "bob"}, {"closed"}),
        ({"source": "github"}, {"pull", "closed", "push", "dead"}),
        ({"source": "elsewhere"}, set()),
        ({"event": None, "action": None}, {"pull", "closed", "push", "dead"}),
        ({"since": RECEIVED}, {"pull", "closed", "push", "dead"}),
        ({"since": RECEIVED + timedelta(milliseconds=1)}, set()),
        ({"until": RECEIVED}, set()),
        ({"until": RECEIVED + timedelta(milliseconds=1)}, {"pull", "closed", "push", "dead"}),
        ({"action": "' or true --"}, set()),
        ({"action": "\x00"}, set()),
    ],
)
def test_deliveries_by_filter(store: RecordStore, filters: dict[str, Any], names: set[str]) -> None:
    ids = fill(store)
    page = store.reading.list_deliveries(filters, 10, None)
    assert {item["delivery_id"] for item in page.items} == {ids[name] for name in names}


def test_tasks_by_filter(store: RecordStore) -> None:
    ids = fill(store)
    tasks = store.reading.list_tasks({}, 10, None).items
    assert [(task["workflow"], task["delivery_id"]) for task in tasks].count(("greet", ids["pull"])) == 1
    assert {(task["workflow"], task["uses"]) for task in tasks} == {
        ("greet", "codegen.run"),
        ("other", "github.status"),
    }
    filters: list[tuple[dict[str, Any], int]] = [
        ({"workflow": "greet"}, 2),
        ({"uses": "github.status"}, 1),
        ({"status": Status.QUEUED}, 3),
        ({"status": Status.DEAD}, 0),
        ({"subject": "acme/widgets#7", "workflow": "other"}, 1),
        ({"run_id": UUID(tasks[0]["run_id"])}, 1),
        ({"run_id": uuid4()}, 0),
    ]
    for wanted, count in filters:
        assert len(store.reading.list_tasks(wanted, 10, None).items) == count


def test_runs_come_newest_first_without_their_tasks(store: RecordStore) -> None:
    ids = fill(store)
    page = store.reading.list_runs({}, 10, None)
    assert [(run["workflow"], run["delivery_id"]) for run in page.items[2:]] == [("greet", ids["pull"])]
    assert {(run["workflow"], run["delivery_id"]) for run in page.items[:2]} == {
        ("greet", ids["closed"]),
        ("other", ids["closed"]),
    }
    [run] = page.items[2:]
    shown = store.reading.read_run(UUID(run["run_id"]))
    assert shown is not None
    assert {**run, "tasks": shown["tasks"]} == {**shown, "repository": "acme/widgets"}


def test_runs_by_filter(store: RecordStore) -> None:
    fill(store)
    again = store.instructions.carry_out(
        Instruction(id=str(uuid4()), kind="cancel", given_by="ada", run_id=find_runs(store)[0]["run_id"])
    )
    filters: list[tuple[dict[str, Any], int]] = [
        ({"workflow": "greet"}, 2),
        ({"workflow": "other"}, 1),
        ({"workflow": "another"}, 0),
        ({"subject": "acme/widgets#7"}, 3),
        ({"subject": "acme/widgets#8"}, 0),
        ({"subject": "\x00"}, 0),
        ({"status": Status.QUEUED}, 2),
        ({"status": Status.CANCELLED}, 1),
        ({"status": Status.SUCCEEDED}, 0),
        ({"repository": "acme/widgets"}, 3),
        ({"repository": "acme/gears"}, 0),
        ({"repository": "acme/widgets", "status": Status.CANCELLED, "workflow": None}, 1),
    ]
    for wanted, count in filters:
        assert len(find_runs(store, **wanted)) == count, wanted
    assert [run["run_id"] for run in find_runs(store, status=Status.CANCELLED)] == again.run_ids


def find_runs(store: RecordStore, **filters: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - those of list_runs
    return store.reading.list_runs(filters, 10, None).items


def test_pages_of_runs(store: RecordStore) -> None:
    fill(store)
    everything = store.reading.list_runs({"subject": "acme/widgets#7"}, 3, None)
    assert everything.next_cursor is None
    first = store.reading.list_runs({"subject": "acme/widgets#7"}, 2, None)
    # What comes meanwhile is on no later page.
    store.deliveries.record_delivery(build_delivery(), [], [PlannedRun(WORKFLOW)])
    second = store.reading.list_runs({"subject": "acme/widgets#7"}, 2, first.next_cursor)
    assert first.items + second.items == everything.items
    assert second.next_cursor is None


def test_what_people_have_told_is_shown_newest_first(store: RecordStore) -> None:
    fill(store)
    [*_, run] = find_runs(store)
    told = [
        Instruction(id=str(uuid4()), kind="cancel", given_by="ada", run_id=run["run_id"]),
        Instruction(id=str(uuid4()), kind="approve", given_by="bob", subject="acme/widgets#7"),
        Instruction(id=str(uuid4()), kind="retry", given_by="api", run_id=run["run_id"]),
    ]
    for instruction in told:
        store.instructions.carry_out(instruction)
        store.advance(1.0)
    store.instructions.carry_out(told[0])

    page = store.reading.list_instructions(2, None)
    rest = store.reading.list_instructions(2, page.next_cursor)

    shown = page.items + rest.items
    assert [item["instruction_id"] for item in shown] == [instruction.id for instruction in reversed(told)]
    assert rest.next_cursor is None
    assert [item["run_id"] for item in shown] == [run["run_id"], None, run["run_id"]]
    assert [item["subject"] for item in shown] == [None, "acme/widgets#7", None]
    assert [(item["kind"], item["given_by"]) for item in shown] == [
        ("retry", "api"),
        ("approve", "bob"),
        ("cancel", "ada"),
    ]
    [again] = shown[0]["run_ids"]
    assert store.reading.read_run(UUID(again))["retry_of"] == run["run_id"]  # type: ignore[index] # it is there
    assert [item["run_ids"] for item in shown[1:]] == [[], [run["run_id"]]]
    assert datetime.fromisoformat(shown[0]["given_at"]).utcoffset() == timedelta(0)


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_pages_follow_each_other_whatever_comes_meanwhile(store: RecordStore, limit: int) -> None:
    fill(store)
    wanted = [item["delivery_id"] for item in store.reading.list_deliveries({}, 10, None).items]
    found: list[str] = []
    cursor = None
    for _ in range(len(wanted)):
        page = store.reading.list_deliveries({}, limit, cursor)
        assert len(page.items) <= limit
        found += [item["delivery_id"] for item in page.items]
        cursor = page.next_cursor
        store.deliveries.record_delivery(build_delivery(), [], [])
        if cursor is None:
            break
    assert found == wanted


def test_pages_of_tasks(store: RecordStore) -> None:
    fill(store)
    everything = store.reading.list_tasks({}, 3, None)
    assert everything.next_cursor is None
    first = store.reading.list_tasks({}, 2, None)
    second = store.reading.list_tasks({}, 2, first.next_cursor)
    assert first.items + second.items == everything.items
    assert second.next_cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "e30=", "WzEsMl0=", "\u00e4", "WyIyMDI2IiwgIngiXQ=="])
def test_cursors_that_are_none(store: RecordStore, cursor: str) -> None:
    for read in (store.reading.list_deliveries, store.reading.list_runs, store.reading.list_tasks):
        with pytest.raises(BadCursor):
            read({}, 10, cursor)
    with pytest.raises(BadCursor):
        store.reading.list_instructions(10, cursor)


def test_what_is_not_there(store: RecordStore) -> None:
    assert store.reading.read_delivery("github", uuid4()) is None
    assert store.reading.read_run(uuid4()) is None
    assert store.reading.list_deliveries({}, 10, None) == ([], None)
    store.reading.ping()


def test_a_run_is_shown_with_its_tasks_in_order(store: RecordStore) -> None:
    task = claim(store, start(store))
    settled = store.tasks.settle_task(task, finish(position=1))
    assert settled is not None
    run = store.reading.read_run(UUID(task.run_id))
    assert run is not None
    assert [each["position"] for each in run["tasks"]] == [0, 1]
    assert [each["task_id"] for each in run["tasks"]] == [task.task_id, *settled]
    for name in ("created_at", "next_attempt_at"):
        assert datetime.fromisoformat(run["tasks"][1][name]).utcoffset() == timedelta(0)
