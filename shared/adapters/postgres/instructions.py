"""Instructions, approvals and switches."""

from collections.abc import Sequence
from typing import Any

from shared.adapters.postgres.database import Database
from shared.domain.instruction import Instruction, Told
from shared.domain.subject import storable
from shared.sql import read_queries


class PostgresInstructions:
    """See ``shared.ports.Instructions``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = read_queries("instructions.sql")

    def carry_out(self, instruction: Instruction) -> Told:
        """Carries it out in one transaction with its record; the record's key lets one of two at once through."""
        parameters: dict[str, Any] = {
            "id": instruction.id,
            "kind": instruction.kind,
            "given_by": storable(instruction.given_by),
            "subject": instruction.subject,
            "run_id": instruction.run_id,
            "effect_id": instruction.effect_id,
            "except_run_id": instruction.except_run_id,
        }
        with self._database.transact() as fetch:
            if not fetch(self._queries["record_instruction"], parameters):
                [known] = fetch(self._queries["read_instruction"], parameters)
                return Told(known["run_ids"])
            if instruction.kind == "approve":
                awaiting = fetch(self._queries["list_awaiting"], parameters)
                approved = {**parameters, "effect_ids": [row["effect_id"] for row in awaiting]}
                fetch(self._queries["approve"], approved)
                told = Told([row["run_id"] for row in awaiting], [row["task_id"] for row in awaiting])
            else:
                [row] = fetch(self._queries[instruction.kind], parameters)
                told = Told(row["run_ids"], row["task_ids"])
            fetch(self._queries["record_outcome"], {**parameters, "run_ids": list(told.run_ids)})
            return told

    def read(self, instruction_id: str) -> Told | None:
        """Returns what an instruction came to."""
        rows = self._database.fetch(self._queries["read_instruction"], {"id": instruction_id})
        return Told(rows[0]["run_ids"]) if rows else None

    def read_approval(self, effect_id: str) -> str | None:
        """Returns who approved."""
        rows = self._database.fetch(self._queries["read_approval"], {"effect_id": effect_id})
        return rows[0]["given_by"] if rows else None


class PostgresSwitches:
    """See ``shared.ports.Switches``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = read_queries("instructions.sql")

    def put(self, name: str, *, is_on: bool, reason: str | None, changed_by: str) -> None:
        """Switches on or off."""
        reason = None if reason is None else storable(reason)
        parameters = {"name": name, "is_on": is_on, "reason": reason, "changed_by": changed_by}
        self._database.fetch(self._queries["put_switch"], parameters)

    def read(self) -> Sequence[dict[str, Any]]:
        """Returns every switch that was ever touched."""
        return self._database.fetch(self._queries["list_switches"])
