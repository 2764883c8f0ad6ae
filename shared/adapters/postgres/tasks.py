"""Tasks, attempts, effects and agent runs."""

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from shared.adapters.postgres.database import Database, Row
from shared.domain.caps import AgentCounts, AgentFacts, Refusal, refuse_agent
from shared.domain.effect import Effect
from shared.domain.envelope import Envelope
from shared.domain.statuses import Status
from shared.domain.subject import storable, storable_json
from shared.domain.task import AgentReport, ClaimedTask, EarlierTask, Settlement
from shared.domain.workflow import Caps, Workflow
from shared.sql import read_queries


class PostgresTasks:
    """See ``shared.ports.TaskRecords``, ``DueTasks`` and ``TaskGraves``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = read_queries("execute.sql")
        # A version never changes, so a worker parses each once.
        self._workflows: dict[str, Workflow] = {}

    def claim_task(self, task_id: str, lease_seconds: float) -> ClaimedTask | None:
        """Claims one attempt of the task."""
        rows = self._database.fetch(self._queries["claim_task"], {"task_id": task_id, "lease_seconds": lease_seconds})
        return self._claimed(rows[0]) if rows else None

    def plan_effect(self, task: ClaimedTask, effect: Effect) -> bool:
        """Records what is about to be written."""
        return bool(self._database.fetch(self._queries["plan_effect"], _effect_columns(task, effect, is_agent=False)))

    def plan_agent(self, task: ClaimedTask, effect: Effect, fleet: Caps) -> Refusal | bool:
        """Records that an agent is about to be started, unless something stands against it."""
        with self._database.transact() as fetch:
            fetch(self._queries["lock_agents"], None)
            [row] = fetch(self._queries["weigh_agent"], {"run_id": task.run_id})
            refusal = refuse_agent(_read_facts(row), task.workflow.guard.max_agent_runs, fleet)
            if refusal is not None:
                return refusal
            return bool(fetch(self._queries["plan_effect"], _effect_columns(task, effect, is_agent=True)))

    def settle_task(self, task: ClaimedTask, settlement: Settlement) -> Sequence[str] | None:
        """Records what the attempt or poll came to."""
        rows = self._database.fetch(self._queries["settle_task"], _settlement_columns(task, settlement))
        if not rows:
            return None
        return [task_id for task_id in (rows[0]["next_task_id"], rows[0]["awaited_task_id"]) if task_id is not None]

    def take_due(self, stranded_after_seconds: float, limit: int) -> Sequence[str]:
        """Returns stranded tasks, marked as enqueued now."""
        rows = self._database.fetch(
            self._queries["due_tasks"], {"stranded_after_seconds": stranded_after_seconds, "limit": limit}
        )
        return [row["task_id"] for row in rows]

    def bury_task(self, task_id: str, reason: str) -> bool:
        """Marks the task and its run dead."""
        return bool(self._database.fetch(self._queries["bury_task"], {"task_id": task_id, "reason": reason}))

    def _claimed(self, row: Row) -> ClaimedTask:
        workflow = self._workflows.get(row["version"])
        if workflow is None:
            workflow = self._workflows[row["version"]] = Workflow.model_validate(row["definition"])
        effect = None
        if row["effect_id"] is not None:
            effect = Effect(row["effect_id"], row["kind"], row["request"], row["planned_at"])
        return ClaimedTask(
            task_id=row["task_id"],
            run_id=row["run_id"],
            lease_token=row["lease_token"],
            position=row["position"],
            attempt=row["attempt_count"],
            is_waiting=row["status"] == Status.WAITING,
            workflow=workflow,
            envelope=Envelope(
                row["source"],
                row["delivery_id"],
                row["event"],
                row["subject"],
                row["content_type"],
                0,
                None,
                row["body"],
                row["body_key"],
                row["trace_id"],
            ),
            earlier=[
                EarlierTask(
                    each["position"],
                    each["step"],
                    Status(each["status"]),
                    each["reason"],
                    each["outputs"] or {},
                )
                for each in row["earlier"]
            ],
            effect=effect,
            agent_run_id=row["agent_run_id"],
            poll_count=row["poll_count"] or 0,
            agent_age_seconds=row["agent_age_seconds"] or 0.0,
            subject=row["subject"],
            is_over=row["is_over"],
            once_spent_by=row["once_spent_by"],
        )


def _effect_columns(task: ClaimedTask, effect: Effect, *, is_agent: bool) -> dict[str, Any]:
    return {
        "task_id": task.task_id,
        "lease_token": task.lease_token,
        "effect_id": effect.id,
        "kind": effect.kind,
        "request": Jsonb(storable_json(effect.request)),
        "is_agent": is_agent,
    }


def _read_facts(row: Row) -> AgentFacts:
    return AgentFacts(
        off=f"{row['off_reason'] or 'no reason given'} ({row['off_by']})" if row["is_off"] else None,
        moved_on_by=row["moved_on_by"],
        busy_run_id=row["busy_run_id"],
        counts=AgentCounts(row["subject_count"], row["repository_count"], row["all_count"]),
        own_counts=AgentCounts(row["own_subject_count"], row["own_repository_count"], row["own_count"]),
    )


def _settlement_columns(task: ClaimedTask, settlement: Settlement) -> dict[str, Any]:
    course, written, agent_run = settlement.course, settlement.written, settlement.agent_run
    if course is None:
        run_status = Status.WAITING if settlement.status is Status.WAITING else Status.RUNNING
        next_step: dict[str, Any] = {}
    else:
        run_status = course.status
        next_step = {}
        if course.position is not None:
            next_step = {
                "position": course.position,
                "step": task.workflow.step_name(course.position),
                "uses": task.workflow.steps[course.position].uses,
            }
    reason = None if settlement.reason is None else storable(settlement.reason)
    return {
        "task_id": task.task_id,
        "lease_token": task.lease_token,
        "attempt": task.attempt,
        "status": settlement.status.value,
        "is_final": settlement.status.is_final,
        "outcome": settlement.outcome,
        "reason": reason,
        "delay_seconds": settlement.delay_seconds,
        "retry_in_seconds": settlement.delay_seconds if settlement.outcome == "retried" else None,
        "is_enqueued": settlement.is_enqueued,
        "outputs": None if settlement.outputs is None else Jsonb(storable_json(settlement.outputs)),
        "external_id": None if written is None else written.external_id,
        "url": None if written is None else written.url,
        "is_agent_over": settlement.is_agent_over or settlement.status.is_final,
        "is_effect_dropped": settlement.is_effect_dropped and written is None,
        "agent_run": Jsonb({} if agent_run is None else storable_json(_agent_columns(agent_run))),
        "next_step": Jsonb(next_step),
        "run_status": run_status.value,
        "run_reason": None if settlement.run_reason is None else reason,
        "is_run_final": run_status.is_final,
    }


def _agent_columns(report: AgentReport) -> dict[str, Any]:
    return {
        "agent": report.agent,
        "agent_run_id": report.agent_run_id,
        "status": report.status,
        "url": report.url,
        "result": report.result,
        "summary": report.summary,
        "pull_requests": list(report.pull_requests),
    }
