"""Instructions, approvals and switches in memory, by the rules of ``shared/sql/instructions.sql``."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.adapters.memory.database import InstructionRow, MemoryDatabase, RunRow, SwitchRow, TaskRow
from shared.adapters.memory.groups import end_run, find_awaited
from shared.domain.instruction import Instruction, Told
from shared.domain.statuses import Status

_RETRIED = frozenset({Status.FAILED, Status.DEAD, Status.CANCELLED})


class MemoryInstructions:
    """See ``shared.ports.Instructions``."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def carry_out(self, instruction: Instruction) -> Told:
        """Carries it out, once for its id."""
        carried_out: dict[str, Callable[[Instruction, float], Told]] = {
            "approve": self._approve,
            "cancel": self._cancel,
            "retry": self._retry,
        }
        with self._database.transact() as now:
            known = self._database.instructions.get(instruction.id)
            if known is not None:
                return Told(known.run_ids)
            told = carried_out[instruction.kind](instruction, now)
            self._database.instructions[instruction.id] = InstructionRow(
                instruction=instruction, given_at=now, run_ids=told.run_ids
            )
            return told

    def read(self, instruction_id: str) -> Told | None:
        """Returns what an instruction came to."""
        with self._database.transact():
            known = self._database.instructions.get(instruction_id)
            return None if known is None else Told(known.run_ids)

    def read_approval(self, effect_id: str) -> str | None:
        """Returns who approved."""
        with self._database.transact():
            return self._database.approvals.get(effect_id)

    def _concerned(self, instruction: Instruction) -> list[RunRow]:
        return [
            run
            for run in self._database.runs
            if str(run.id) == instruction.run_id
            or (run.subject == instruction.subject and str(run.id) != instruction.except_run_id)
        ]

    def _cancel(self, instruction: Instruction, now: float) -> Told:
        ended = [run for run in self._concerned(instruction) if run.finished_at is None]
        task_ids: list[str] = []
        for run in ended:
            task_ids += end_run(run, Status.CANCELLED, f"cancelled by {instruction.given_by}", now)
        for run in ended:
            task_ids += find_awaited(self._database, run)
        return Told([str(run.id) for run in ended], task_ids)

    def _retry(self, instruction: Instruction, now: float) -> Told:
        latest = {run.workflow.name: run for run in self._concerned(instruction)}
        again = []
        for run in latest.values():
            if run.status in _RETRIED:
                new = RunRow(
                    id=self._database.new_id(),
                    delivery=run.delivery,
                    workflow=run.workflow,
                    created_at=now,
                    subject=run.subject,
                    moment=run.moment,
                    group=run.group,
                    on_conflict="queue" if run.on_conflict == "once" else run.on_conflict,
                    depth=run.depth,
                    retry_of=run.id,
                )
                run.delivery.runs.append(new)
                again.append(self._database.add_task(new, 0, now))
        return Told([str(task.run.id) for task in again], [str(task.id) for task in again])

    def _approve(self, instruction: Instruction, now: float) -> Told:
        approved = []
        concerned = self._concerned(instruction)
        for task in self._database.tasks.values():
            effect_id = _awaited_effect(task)
            if effect_id is None or effect_id in self._database.approvals:
                continue
            if task.run in concerned or effect_id == instruction.effect_id:
                self._database.approvals[effect_id] = instruction.given_by
                approved.append(task)
        for task in approved:
            if task.lease_until is None:
                task.next_attempt_at = task.enqueued_at = now
        return Told([str(task.run.id) for task in approved], [str(task.id) for task in approved])


def _awaited_effect(task: TaskRow) -> str | None:
    is_waiting = task.status is Status.WAITING and task.run.finished_at is None and task.effect is not None
    if not is_waiting or task.effect is None or task.effect.effect.kind != "approval.wait":
        return None
    return task.effect.effect.id


class MemorySwitches:
    """See ``shared.ports.Switches``."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def put(self, name: str, *, is_on: bool, reason: str | None, changed_by: str) -> None:
        """Switches on or off."""
        with self._database.transact() as now:
            self._database.switches[name] = SwitchRow(
                name=name, is_on=is_on, reason=reason, changed_by=changed_by, changed_at=now
            )

    def read(self) -> Sequence[dict[str, Any]]:
        """Returns every switch that was ever touched."""
        with self._database.transact():
            return [
                {
                    "name": name,
                    "is_on": row.is_on,
                    "reason": row.reason,
                    "changed_by": row.changed_by,
                    "changed_at": datetime.fromtimestamp(row.changed_at, UTC),
                }
                for name, row in sorted(self._database.switches.items())
            ]
