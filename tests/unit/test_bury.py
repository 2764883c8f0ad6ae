"""Bury: whatever lands in a dead-letter queue is recorded and seen."""

import json
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.memory.deliveries import MemoryDeliveries
from shared.adapters.memory.tasks import MemoryTasks
from shared.domain.errors import Transient
from shared.domain.statuses import Status
from shared.usecases.bury import MAX_KEPT_CHARACTERS, BuryDeps, bury
from shared.usecases.execute import execute
from tests.support.factories import build_envelope, build_workflow
from tests.support.orchestra import Orchestra


def offer(orchestra: Orchestra, body: str, message_id: str = "m1") -> None:
    tasks, deliveries = MemoryTasks(orchestra.database), MemoryDeliveries(orchestra.database)
    bury(message_id, "tasks-dlq", body, 20, BuryDeps(deliveries, tasks, orchestra.telemetry))


def start() -> tuple[Orchestra, str]:
    orchestra = Orchestra(build_workflow())
    orchestra.deliveries.send(build_envelope())
    orchestra.route_batch()
    [task_id] = orchestra.database.tasks
    return orchestra, str(task_id)


def test_a_task_is_dead_with_its_run() -> None:
    orchestra, task_id = start()
    offer(orchestra, json.dumps({"task_id": task_id}))
    task = orchestra.database.tasks[UUID(task_id)]
    assert (task.status, task.reason) == (Status.DEAD, "not processed after 20 receipts from the queue")
    assert orchestra.statuses == [Status.DEAD]
    assert orchestra.telemetry.metrics["dead_tasks"] == 1
    execute(task_id, orchestra.execute_deps)
    assert orchestra.world.writes == []


def test_a_finished_task_stays_as_it_is() -> None:
    orchestra, task_id = start()
    orchestra.run_to_end()
    offer(orchestra, json.dumps({"task_id": task_id}))
    assert orchestra.statuses == [Status.SUCCEEDED]
    assert orchestra.telemetry.metrics["dead_tasks"] == 0


def test_an_unknown_task_is_told_of() -> None:
    orchestra, _ = start()
    offer(orchestra, json.dumps({"task_id": str(uuid4())}))
    assert orchestra.telemetry.lines[-1].fields["is_buried"] is False


def test_a_delivery_is_dead_and_can_be_redelivered() -> None:
    orchestra = Orchestra(build_workflow())
    envelope = build_envelope()
    offer(orchestra, envelope.encode())
    [row] = orchestra.database.deliveries.values()
    assert (row.status, row.reason) == (Status.DEAD, "not processed after 20 receipts from the queue")
    assert row.body == envelope.deflated
    assert orchestra.telemetry.messages == ["delivery.died"]
    orchestra.deliveries.send(envelope)
    orchestra.run_to_end()
    assert len(orchestra.world.writes) == 2


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[" * 100_000,
        '{"task_id": null}',
        '{"task_id": 7}',
        '{"task_id": ["x"]}',
        '{"task_id": "no id"}',
        '{"v": 2, "body": null}',
        '{"\\u0000": 1, "v": 1, "body": null}',
        "\x00 \ud800",
        "x" * (MAX_KEPT_CHARACTERS + 1),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_neither_is_kept(body: str) -> None:
    orchestra = Orchestra()
    offer(orchestra, body)
    [letter] = orchestra.database.dead_letters.values()
    assert (letter.message_id, letter.queue) == ("m1", "tasks-dlq")
    assert len(letter.body) <= MAX_KEPT_CHARACTERS
    for text in (letter.body, letter.reason):
        assert "\x00" not in text
        assert text.encode().decode() == text
    assert orchestra.telemetry.messages == ["letter.buried"]
    offer(orchestra, body)
    assert len(orchestra.database.dead_letters) == 1


@given(st.text(st.characters(codec=None)))
def test_no_text_is_refused(body: str) -> None:
    orchestra = Orchestra()
    offer(orchestra, body)
    assert len(orchestra.database.dead_letters) == 1


def test_an_outage_keeps_the_message() -> None:
    orchestra, task_id = start()
    orchestra.database.is_up = False
    for body in (json.dumps({"task_id": task_id}), build_envelope().encode(), "neither"):
        with pytest.raises(Transient):
            offer(orchestra, body)
