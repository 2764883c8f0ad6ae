"""Reconcile: what no message would bring to a worker is enqueued again, and not more."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.domain.errors import Transient
from shared.usecases.reconcile import BATCH, MAX_BATCHES, reconcile
from shared.usecases.route import route
from tests.support.factories import build_envelope, build_workflow
from tests.support.orchestra import STRANDED_AFTER_SECONDS, Orchestra


def strand(count: int) -> Orchestra:
    """Returns an orchestra whose tasks were committed but never sent."""
    orchestra = Orchestra(build_workflow())
    for _ in range(count):
        route(build_envelope(), orchestra.route_deps)
    return orchestra


def test_what_was_never_sent_is_sent_after_a_while() -> None:
    orchestra = strand(3)
    assert reconcile(orchestra.reconcile_deps) == 0
    orchestra.clock.advance(STRANDED_AFTER_SECONDS + 1)
    assert reconcile(orchestra.reconcile_deps) == 3
    assert len(orchestra.task_queue.messages) == 3
    assert reconcile(orchestra.reconcile_deps) == 0
    assert orchestra.telemetry.metrics["reconciled"] == 3
    assert orchestra.telemetry.metrics["tasks_reenqueued"] == 3
    assert orchestra.telemetry.messages.count("tasks.reenqueued") == 1


def test_a_dead_workers_task_is_sent_at_once() -> None:
    orchestra = strand(1)
    [task_id] = orchestra.database.tasks
    assert orchestra.execute_deps.records.claim_task(str(task_id), 10.0) is not None
    orchestra.clock.advance(11.0)
    assert reconcile(orchestra.reconcile_deps) == 1


class ManyTasks:
    """More tasks than one call takes."""

    def __init__(self, count: int) -> None:
        self.count = count

    def take_due(self, stranded_after_seconds: float, limit: int) -> Sequence[str]:
        assert stranded_after_seconds == STRANDED_AFTER_SECONDS
        taken = min(limit, self.count)
        self.count -= taken
        return ["task"] * taken


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, BATCH + 1, BATCH * MAX_BATCHES])
def test_all_are_taken_batch_by_batch(count: int) -> None:
    orchestra = Orchestra()
    assert reconcile(replace(orchestra.reconcile_deps, tasks=ManyTasks(count))) == count
    assert len(orchestra.task_queue.messages) == count


def test_one_call_does_not_go_on_for_ever() -> None:
    orchestra = Orchestra()
    tasks = ManyTasks(BATCH * MAX_BATCHES + 7)
    assert reconcile(replace(orchestra.reconcile_deps, tasks=tasks)) == BATCH * MAX_BATCHES
    assert tasks.count == 7


def test_an_outage_is_raised_so_that_the_schedule_shows_it() -> None:
    orchestra = strand(1)
    orchestra.database.is_up = False
    with pytest.raises(Transient):
        reconcile(orchestra.reconcile_deps)
