"""What the API shows, out of memory."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shared.adapters.memory.database import (
    AgentRunRow,
    AttemptRow,
    DeliveryRow,
    EffectRow,
    InstructionRow,
    MemoryDatabase,
    RunRow,
    TaskRow,
)
from shared.domain.page import Page, Place, read_cursor

Document = dict[str, Any]


class MemoryReading:
    """See ``shared.ports.Reading``."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def read_delivery(self, source: str, delivery_id: UUID) -> Document | None:
        """Returns the delivery with its verdicts, runs, tasks, attempts and effects."""
        with self._database.transact():
            row = self._database.deliveries.get((source, delivery_id))
            if row is None:
                return None
            details = {
                "generation": 0,
                "routed_at": _time(row.routed_at),
                "trace_id": row.trace_id,
                "verdicts": row.verdicts,
                "runs": [_show_run(run) for run in row.runs],
            }
            return _show_delivery(row) | details

    def read_run(self, run_id: UUID) -> Document | None:
        """Returns the run with its tasks."""
        with self._database.transact():
            for delivery in self._database.deliveries.values():
                for run in delivery.runs:
                    if run.id == run_id:
                        context = {"delivery_id": str(delivery.delivery_id), "source": delivery.source}
                        return context | _show_run(run)
            return None

    def list_deliveries(self, filters: Mapping[str, Any], limit: int, cursor: str | None) -> Page:
        """Returns deliveries by ``filters``, absent ones being None. Raises BadCursor."""
        wanted = {name: value for name, value in filters.items() if value is not None}
        since, until = wanted.pop("since", None), wanted.pop("until", None)
        with self._database.transact():
            shown = [
                (Place(_moment(row.received_at), row.key), _show_delivery(row))
                for row in self._database.deliveries.values()
                if (since is None or _moment(row.received_at) >= since)
                and (until is None or _moment(row.received_at) < until)
            ]
        return _page(shown, wanted, limit, cursor)

    def list_runs(self, filters: Mapping[str, Any], limit: int, cursor: str | None) -> Page:
        """Returns runs without their tasks by ``filters``, absent ones being None. Raises BadCursor."""
        wanted = {name: value for name, value in filters.items() if value is not None}
        with self._database.transact():
            shown = [(Place(_moment(run.created_at), run.id), _list_run(run)) for run in self._database.runs]
        return _page(shown, wanted, limit, cursor)

    def list_tasks(self, filters: Mapping[str, Any], limit: int, cursor: str | None) -> Page:
        """Returns tasks by ``filters``, absent ones being None. Raises BadCursor."""
        wanted = {name: value for name, value in filters.items() if value is not None}
        if "run_id" in wanted:
            wanted["run_id"] = str(wanted["run_id"])
        with self._database.transact():
            shown = [
                (Place(_moment(task.created_at), task.id), _show_context(task) | _show_task(task))
                for task in self._database.tasks.values()
            ]
        return _page(shown, wanted, limit, cursor)

    def list_instructions(self, limit: int, cursor: str | None) -> Page:
        """Returns what people have told the orchestrator. Raises BadCursor."""
        with self._database.transact():
            shown = [
                (Place(_moment(row.given_at), UUID(row.instruction.id)), _show_instruction(row))
                for row in self._database.instructions.values()
            ]
        return _page(shown, {}, limit, cursor)

    def ping(self) -> None:
        """Asks the database for a sign of life."""
        with self._database.transact():
            pass


def _page(shown: list[tuple[Place, Document]], wanted: Mapping[str, Any], limit: int, cursor: str | None) -> Page:
    before = None if cursor is None else read_cursor(cursor)
    found = [
        (place, document)
        for place, document in sorted(shown, key=lambda each: each[0], reverse=True)
        if (before is None or place < before) and all(document[name] == value for name, value in wanted.items())
    ]
    last = found[limit - 1][0].write_cursor() if len(found) > limit else None
    return Page([document for _, document in found[:limit]], last)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else _moment(seconds).isoformat()


def _show_delivery(row: DeliveryRow) -> Document:
    return {
        "delivery_id": str(row.delivery_id),
        "source": row.source,
        "event": row.event,
        "action": row.action,
        "subject": row.subject,
        "repository": row.repository,
        "sender": row.sender,
        "status": row.status.value,
        "reason": row.reason,
        "received_at": _time(row.received_at),
        "duplicate_count": row.duplicate_count,
    }


def _list_run(run: RunRow) -> Document:
    delivery = run.delivery
    context = {
        "repository": delivery.repository,
        "delivery_id": str(delivery.delivery_id),
        "source": delivery.source,
    }
    return context | {name: value for name, value in _show_run(run).items() if name != "tasks"}


def _show_instruction(row: InstructionRow) -> Document:
    instruction = row.instruction
    return {
        "instruction_id": instruction.id,
        "kind": instruction.kind,
        "subject": instruction.subject,
        "run_id": instruction.run_id,
        "given_by": instruction.given_by,
        "given_at": _time(row.given_at),
        "run_ids": list(row.run_ids),
    }


def _show_run(run: RunRow) -> Document:
    return {
        "run_id": str(run.id),
        "workflow": run.workflow.name,
        "version": run.workflow.version,
        "subject": run.subject,
        "status": run.status.value,
        "reason": run.reason,
        "group": run.group,
        "superseded_by": None if run.superseded_by is None else str(run.superseded_by),
        "retry_of": None if run.retry_of is None else str(run.retry_of),
        "created_at": _time(run.created_at),
        "finished_at": _time(run.finished_at),
        "tasks": [_show_task(task) for task in run.tasks],
    }


def _show_context(task: TaskRow) -> Document:
    return {
        "run_id": str(task.run.id),
        "workflow": task.run.workflow.name,
        "subject": task.run.subject,
        "delivery_id": str(task.run.delivery.delivery_id),
    }


def _show_task(task: TaskRow) -> Document:
    return {
        "task_id": str(task.id),
        "position": task.position,
        "step": task.run.workflow.step_name(task.position),
        "uses": task.run.workflow.steps[task.position].uses,
        "status": task.status.value,
        "reason": task.reason,
        "attempt_count": task.attempt_count,
        "next_attempt_at": _time(task.next_attempt_at) if task.finished_at is None else None,
        "created_at": _time(task.created_at),
        "finished_at": _time(task.finished_at),
        "outputs": task.outputs,
        "attempts": [_show_attempt(attempt) for attempt in task.attempts],
        "effects": [] if task.effect is None else [_show_effect(task.effect)],
        "agent_runs": [] if task.agent_run is None else [_show_agent_run(task.agent_run)],
    }


def _show_attempt(attempt: AttemptRow) -> Document:
    return {
        "attempt": attempt.number,
        "started_at": _time(attempt.started_at),
        "finished_at": _time(attempt.finished_at),
        "outcome": attempt.outcome,
        "error": attempt.error,
        "retry_in_seconds": attempt.retry_in_seconds,
    }


def _show_effect(row: EffectRow) -> Document:
    return {
        "effect_id": row.effect.id,
        "kind": row.effect.kind,
        "status": "planned" if row.done_at is None else "done",
        "url": row.url,
        "external_id": row.external_id,
        "planned_at": _time(row.planned_at),
        "done_at": _time(row.done_at),
    }


def _show_agent_run(row: AgentRunRow) -> Document:
    return {
        "agent": row.report.agent,
        "agent_run_id": row.report.agent_run_id,
        "status": row.report.status,
        "url": row.report.url,
        "result": row.report.result,
        "summary": row.report.summary,
        "pull_requests": list(row.report.pull_requests),
        "poll_count": row.poll_count,
        "created_at": _time(row.created_at),
        "finished_at": _time(row.finished_at),
    }
