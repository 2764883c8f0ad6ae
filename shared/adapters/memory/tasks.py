"""Tasks, attempts, effects and agent runs in memory, by the rules of ``shared/sql/execute.sql``."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from shared.adapters.memory.database import AgentRunRow, AttemptRow, EffectRow, MemoryDatabase, RunRow, TaskRow
from shared.adapters.memory.groups import (
    find_awaited,
    find_spender,
    gather_facts,
    has_open_agent,
    is_blocked,
    is_leased,
)
from shared.domain.caps import Refusal, refuse_agent
from shared.domain.effect import Effect
from shared.domain.envelope import Envelope
from shared.domain.statuses import Status
from shared.domain.subject import storable, storable_json
from shared.domain.task import AgentReport, ClaimedTask, EarlierTask, Settlement
from shared.domain.workflow import Caps

_UNFINISHED = frozenset({Status.QUEUED, Status.WAITING, Status.RUNNING})
_ENDED = frozenset({Status.SUPERSEDED, Status.CANCELLED})
_NEVER = float("-inf")


class MemoryTasks:
    """See ``shared.ports.TaskRecords``, ``DueTasks`` and ``TaskGraves``."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def claim_task(self, task_id: str, lease_seconds: float) -> ClaimedTask | None:
        """Claims one attempt of the task."""
        with self._database.transact() as now:
            task = self._database.tasks.get(UUID(task_id))
            if (
                task is None
                or task.next_attempt_at > now
                or is_leased(task, now)
                or is_blocked(self._database, task.run)
            ):
                return None
            if task.status not in _UNFINISHED and not (task.status in _ENDED and has_open_agent(task)):
                return None
            if task.run.finished_at is None and task.status is not Status.WAITING:
                _begin_attempt(task, now)
            if task.run.status is Status.QUEUED:
                task.run.status = Status.RUNNING
            task.lease_until = now + lease_seconds
            task.lease_token = str(self._database.new_id())
            spender = find_spender(self._database, task.run) if task.position == 0 else None
            return _claimed(task, task.lease_token, now, spender)

    def plan_effect(self, task: ClaimedTask, effect: Effect) -> bool:
        """Records what is about to be written."""
        with self._database.transact() as now:
            return self._plan(task, effect, now, is_agent=False)

    def plan_agent(self, task: ClaimedTask, effect: Effect, fleet: Caps) -> Refusal | bool:
        """Records that an agent is about to be started, unless something stands against it."""
        with self._database.transact() as now:
            run = self._database.tasks[UUID(task.task_id)].run
            refusal = refuse_agent(gather_facts(self._database, run, now), run.workflow.guard.max_agent_runs, fleet)
            return self._plan(task, effect, now, is_agent=True) if refusal is None else refusal

    def settle_task(self, task: ClaimedTask, settlement: Settlement) -> Sequence[str] | None:
        """Records what the attempt or poll came to."""
        with self._database.transact() as now:
            row = self._held(task)
            if row is None:
                return None
            reason = None if settlement.reason is None else storable(settlement.reason)
            is_over, is_final = row.run.finished_at is not None, settlement.status.is_final
            row.status, row.reason = settlement.status, reason
            if is_over and not is_final:
                row.status, row.reason = row.run.status, row.run.reason
            row.outputs = None if settlement.outputs is None else storable_json(settlement.outputs)
            row.next_attempt_at = now + settlement.delay_seconds
            row.enqueued_at = row.next_attempt_at if settlement.is_enqueued else None
            row.lease_until = row.lease_token = None
            if is_final or is_over:
                row.finished_at = row.finished_at or now
            _settle_attempt(row, task.attempt, settlement, reason, now)
            if settlement.written is not None and row.effect is not None and row.effect.done_at is None:
                row.effect.done_at = now
                row.effect.external_id, row.effect.url = settlement.written.external_id, settlement.written.url
            is_agent_over = settlement.is_agent_over or is_final
            if row.effect is not None and is_agent_over:
                row.effect.ended_at = now
            if settlement.is_effect_dropped and row.effect is not None and row.effect.done_at is None:
                row.effect = None
            if settlement.agent_run is not None and row.effect is not None:
                _settle_agent_run(row, settlement.agent_run, now, is_over=is_agent_over)
            if is_over:
                return []
            _settle_run(row.run, settlement, reason, now)
            if settlement.course is None or settlement.course.position is None:
                return find_awaited(self._database, row.run)
            return [str(self._database.add_task(row.run, settlement.course.position, now).id)]

    def take_due(self, stranded_after_seconds: float, limit: int) -> Sequence[str]:
        """Returns stranded tasks, marked as enqueued now."""
        with self._database.transact() as now:
            long_ago = now - stranded_after_seconds
            due = [task for task in self._database.tasks.values() if _is_stranded(task, now, long_ago)]
            taken = sorted(due, key=lambda task: task.next_attempt_at)[:limit]
            for task in taken:
                task.enqueued_at = now
            return [str(task.id) for task in taken]

    def bury_task(self, task_id: str, reason: str) -> bool:
        """Marks the task and its run dead."""
        with self._database.transact() as now:
            task = self._database.tasks.get(UUID(task_id))
            if task is None or task.status not in _UNFINISHED:
                return False
            task.status, task.reason, task.finished_at = Status.DEAD, reason, now
            task.lease_until = task.lease_token = None
            for attempt in task.attempts:
                if attempt.outcome is None:
                    attempt.finished_at, attempt.outcome, attempt.error = now, "dead", reason
            if task.effect is not None:
                task.effect.ended_at = task.effect.ended_at or now
            if task.run.finished_at is None:
                task.run.status, task.run.reason, task.run.finished_at = Status.DEAD, reason, now
            return True

    def _plan(self, task: ClaimedTask, effect: Effect, now: float, *, is_agent: bool) -> bool:
        row = self._held(task)
        if row is None or row.effect is not None or row.lease_until is None or row.lease_until <= now:
            return False
        if row.run.finished_at is not None:
            return False
        kept = replace(effect, request=storable_json(effect.request), planned_at=datetime.fromtimestamp(now, UTC))
        row.effect = EffectRow(effect=kept, planned_at=now, is_agent=is_agent)
        return True

    def _held(self, task: ClaimedTask) -> TaskRow | None:
        row = self._database.tasks[UUID(task.task_id)]
        return row if row.lease_token == task.lease_token else None


def _begin_attempt(task: TaskRow, now: float) -> None:
    for attempt in task.attempts:
        if attempt.outcome is None:
            attempt.finished_at, attempt.outcome, attempt.error = now, "lost", "the worker did not report back"
    task.status = Status.RUNNING
    task.attempt_count += 1
    task.attempts.append(AttemptRow(number=task.attempt_count, started_at=now))


def _claimed(task: TaskRow, lease_token: str, now: float, once_spent_by: str | None) -> ClaimedTask:
    delivery, agent_run = task.run.delivery, task.agent_run
    workflow = task.run.workflow
    return ClaimedTask(
        task_id=str(task.id),
        run_id=str(task.run.id),
        lease_token=lease_token,
        position=task.position,
        attempt=task.attempt_count,
        is_waiting=task.status is Status.WAITING,
        workflow=workflow,
        envelope=Envelope(
            delivery.source,
            str(delivery.delivery_id),
            delivery.event,
            delivery.subject,
            delivery.content_type,
            0,
            None,
            delivery.body,
            delivery.body_key,
            delivery.trace_id,
        ),
        earlier=[
            EarlierTask(
                each.position, workflow.step_name(each.position), each.status, each.reason, dict(each.outputs or {})
            )
            for each in task.run.tasks
            if each.position < task.position
        ],
        effect=None if task.effect is None else task.effect.effect,
        agent_run_id=None if agent_run is None else agent_run.report.agent_run_id,
        poll_count=0 if agent_run is None else agent_run.poll_count,
        agent_age_seconds=_agent_age(task, now),
        subject=task.run.subject,
        is_over=task.run.finished_at is not None,
        once_spent_by=once_spent_by,
    )


def _agent_age(task: TaskRow, now: float) -> float:
    if task.agent_run is not None:
        return now - task.agent_run.created_at
    return 0.0 if task.effect is None else now - task.effect.planned_at


def _settle_attempt(task: TaskRow, number: int, settlement: Settlement, reason: str | None, now: float) -> None:
    if settlement.outcome is None:
        return
    [attempt] = [each for each in task.attempts if each.number == number]
    if settlement.outcome == "deferred":
        task.attempts.remove(attempt)
        task.attempt_count -= 1
        return
    attempt.finished_at, attempt.outcome, attempt.error = now, settlement.outcome, reason
    attempt.retry_in_seconds = settlement.delay_seconds if settlement.outcome == "retried" else None


def _settle_agent_run(task: TaskRow, report: AgentReport, now: float, *, is_over: bool) -> None:
    finished_at = now if is_over else None
    texts = {name: storable_json(getattr(report, name)) for name in ("status", "url", "result", "summary")}
    report = replace(report, **texts)
    if task.agent_run is None:
        task.agent_run = AgentRunRow(report=report, created_at=now, finished_at=finished_at)
        return
    known = task.agent_run
    known.report = replace(report, url=report.url or known.report.url)
    known.poll_count += 1
    known.finished_at = finished_at


def _settle_run(run: RunRow, settlement: Settlement, reason: str | None, now: float) -> None:
    if settlement.course is not None:
        run.status = settlement.course.status
    else:
        run.status = Status.WAITING if settlement.status is Status.WAITING else Status.RUNNING
    if settlement.run_reason is not None and run.reason is None:
        run.reason = reason
    run.finished_at = now if run.status.is_final else None


def _is_stranded(task: TaskRow, now: float, long_ago: float) -> bool:
    enqueued_at = _NEVER if task.enqueued_at is None else task.enqueued_at
    if task.lease_until is None:
        is_idle = task.status in {Status.QUEUED, Status.WAITING} or (task.status in _ENDED and has_open_agent(task))
        return is_idle and task.next_attempt_at <= now and enqueued_at < long_ago
    return task.lease_until < now and (enqueued_at < task.lease_until or enqueued_at < long_ago)
