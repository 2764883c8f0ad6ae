"""Reconcile: heal what fell between two steps.

A commit that was not followed by its send, a message that came too early, a worker that died: each leaves a
task that is due and that no message will bring to a worker. It is enqueued again; both sides are idempotent,
so once too often does no harm. Waiting agent runs are tasks that are due for their next poll.
"""

from dataclasses import dataclass

from shared.ports import DueTasks, TaskQueue, Telemetry

BATCH = 500
MAX_BATCHES = 20


@dataclass(frozen=True, slots=True)
class ReconcileDeps:
    """What reconcile works with."""

    tasks: DueTasks
    queue: TaskQueue
    telemetry: Telemetry
    stranded_after_seconds: float


def reconcile(deps: ReconcileDeps) -> int:
    """Enqueues stranded tasks; returns how many. Raises Transient when database or queue cannot be reached."""
    enqueued = 0
    for _ in range(MAX_BATCHES):
        task_ids = deps.tasks.take_due(deps.stranded_after_seconds, BATCH)
        if task_ids:
            deps.queue.send(task_ids)
            enqueued += len(task_ids)
        if len(task_ids) < BATCH:
            break
    deps.telemetry.count("reconciled")
    deps.telemetry.count("tasks_reenqueued", enqueued)
    if enqueued:
        deps.telemetry.log("tasks.reenqueued", count=enqueued)
    return enqueued
