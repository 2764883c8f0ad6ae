"""Reading: lists by filter and cursor, in memory and in Postgres."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

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
    for read in (store.reading.list_deliveries, store.reading.list_tasks):
        with pytest.raises(BadCursor):
            read({}, 10, cursor)


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
