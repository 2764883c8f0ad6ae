"""The steps of a task's life, for the contract suites of its records."""

from typing import Any
from uuid import uuid4

from shared.domain.effect import Effect
from shared.domain.run import PlannedRun
from shared.domain.statuses import Status
from shared.domain.task import ClaimedTask, Settlement
from shared.domain.workflow import Course, Workflow
from tests.support.factories import build_delivery, build_workflow
from tests.support.record_stores import RecordStore

WORKFLOW = build_workflow()
LEASE_SECONDS = 90.0


def start(store: RecordStore, workflow: Workflow = WORKFLOW) -> str:
    """Records a delivery that the workflow matches, and returns the id of its first task."""
    store.put_workflows(workflow)
    recorded = store.deliveries.record_delivery(build_delivery(), [], [PlannedRun(workflow)])
    [task_id] = recorded.task_ids
    return task_id


def claim(store: RecordStore, task_id: str) -> ClaimedTask:
    """Claims the task, which must be there to be claimed."""
    task = store.tasks.claim_task(task_id, LEASE_SECONDS)
    assert task is not None
    return task


def retry(seconds: float = 5.0, reason: str = "github is away") -> Settlement:
    """Returns the settlement of an attempt that is to be made again."""
    return Settlement(Status.QUEUED, outcome="retried", reason=reason, delay_seconds=seconds, is_enqueued=True)


def wait(seconds: float = 30.0, *, outcome: Any = "succeeded", **fields: Any) -> Settlement:  # noqa: ANN401 - those of a settlement
    """Returns the settlement of an attempt or a poll after which an agent works."""
    return Settlement(Status.WAITING, outcome=outcome, delay_seconds=seconds, is_enqueued=True, **fields)


def finish(status: Status = Status.SUCCEEDED, position: int | None = None, **fields: Any) -> Settlement:  # noqa: ANN401 - those of a settlement
    """Returns the settlement that ends the task; the run goes on at ``position``, or ends with it."""
    course = Course(position, status if position is None else Status.RUNNING)
    return Settlement(status, course=course, **{"outcome": "succeeded", **fields})


def plan(store: RecordStore, task: ClaimedTask, request: dict[str, Any] | None = None) -> Effect:
    """Plans an effect of the task's step, which must be allowed."""
    effect = Effect(str(uuid4()), task.step.uses, request or {"prompt": "Work"})
    assert store.tasks.plan_effect(task, effect)
    return effect
