"""``orchestrator.*``: what a step tells the orchestrator itself about runs."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from shared.domain.action_arguments import read_arguments
from shared.domain.effect import Effect, Written
from shared.domain.errors import Permanent
from shared.domain.explanation import explain
from shared.domain.instruction import Instruction, InstructionKind, Told
from shared.ports import Instructions, Reading, TaskQueue

Json = Mapping[str, Any]
# As far back as a person who asks "why?" wants to hear.
EXPLAINED_DELIVERIES = 10


class GiveInstruction:
    """``orchestrator.approve``, ``orchestrator.cancel``, ``orchestrator.retry``.

    Carried out in our own database, once for the effect's id. The run that gives it is none that it is about.
    """

    def __init__(self, kind: InstructionKind, instructions: Instructions, queue: TaskQueue) -> None:
        self._kind = kind
        self._instructions = instructions
        self._queue = queue

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns what the instruction is about: ``run_id``, or the subject's runs. Raises Permanent."""
        scope = _read_scope(f"orchestrator.{self._kind}", arguments, document)
        question = _read_question(document) if self._kind == "approve" and "run_id" not in scope else None
        if question is not None:
            # The check is about a commit, the run that asked perhaps about a branch.
            scope = {"effect_id": question, "given_by": scope["given_by"]}
        return {**scope, "except_run_id": document["run"]["id"]}

    def look_up(self, effect: Effect) -> Written | None:
        """Returns what it came to, when it was carried out."""
        told = self._instructions.read(effect.id)
        return None if told is None else _written(effect, told)

    def write(self, effect: Effect) -> Written:
        """Carries it out, and tells workers."""
        told = self._instructions.carry_out(Instruction(id=effect.id, kind=self._kind, **effect.request))
        # What cannot be sent now, reconcile sends.
        if told.task_ids:
            self._queue.send(told.task_ids)
        return _written(effect, told)


class Explain:
    """``orchestrator.explain``: tells in Markdown what became of the subject's latest deliveries. It only reads."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns what is to be explained. Raises Permanent."""
        return {**_read_scope("orchestrator.explain", arguments, document), "but": document["delivery"]["id"]}

    def look_up(self, effect: Effect) -> Written | None:
        """Has nothing to find: reading leaves no mark."""
        return None

    def write(self, effect: Effect) -> Written:
        """Reads and tells."""
        run_id, subject = effect.request.get("run_id"), effect.request.get("subject")
        if run_id is not None:
            run = self._reading.read_run(UUID(run_id))
            if run is None:
                raise Permanent(f"orchestrator.explain knows no run {run_id}")
            found = [(run["source"], run["delivery_id"])]
        else:
            page = self._reading.list_deliveries({"subject": subject}, EXPLAINED_DELIVERIES, None)
            found = [(item["source"], item["delivery_id"]) for item in page.items]
        deliveries = [
            document
            for source, delivery_id in found
            if delivery_id != effect.request["but"]
            and (document := self._reading.read_delivery(source, UUID(delivery_id))) is not None
        ]
        return Written(effect.id, None, {"text": explain(subject or f"run {run_id}", deliveries)})


def _read_scope(action: str, arguments: Json, document: Json) -> dict[str, Any]:
    read = read_arguments(action, arguments, document)
    if "run_id" in read:
        try:
            scope = {"run_id": str(UUID(read["run_id"]))}
        except ValueError:
            raise Permanent(f"{action} wants the id of a run as 'run_id', not {read['run_id']!r}") from None
    else:
        scope = {"subject": read.get("subject") or document["subject"]["key"]}
    sender = document.get("sender")
    login = sender.get("login") if isinstance(sender, dict) else None
    return scope if action == "orchestrator.explain" else {**scope, "given_by": str(login or "a workflow")}


def _read_question(document: Json) -> str | None:
    """Returns the effect whose check run's button was pressed, or None when none was."""
    check = document.get("check_run") if document.get("action") == "requested_action" else None
    try:
        return str(UUID(check["external_id"])) if isinstance(check, dict) else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _written(effect: Effect, told: Told) -> Written:
    return Written(effect.id, None, {"run_ids": list(told.run_ids), "count": len(told.run_ids)})
