"""Runs, and what people tell the orchestrator about one: approve, cancel, retry."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID, uuid4, uuid5

from fastapi import APIRouter, Header, HTTPException
from fastapi.params import Depends

from functions.api.answers import Cursor, Limit, find, show_page
from shared.bootstrap import ApiDeps
from shared.domain.errors import Permanent, Transient
from shared.domain.instruction import Instruction, InstructionKind
from shared.domain.statuses import Status

GIVEN_BY = "api"
Key = Annotated[
    UUID | None,
    Header(alias="Idempotency-Key", description="A UUID; the same instruction given again does nothing again"),
]
_NOTHING = {
    "approve": "nothing in the run waits for approval",
    "cancel": "the run is over",
    "retry": "the run has not failed, died or been cancelled",
}


def build_router(deps: ApiDeps, protected: Sequence[Depends]) -> APIRouter:
    """Returns the routes."""
    router = APIRouter(prefix="/api/v1/runs", tags=["runs"], dependencies=protected)

    def give(kind: InstructionKind, run_id: UUID, key: UUID | None) -> dict[str, Any]:
        find(deps.reading.read_run(run_id), "run")
        # Of the key, the kind and the run: a key that is used again for something else is no repetition.
        instruction_id = uuid4() if key is None else uuid5(key, f"{kind} {run_id}")
        instruction = Instruction(id=str(instruction_id), kind=kind, given_by=GIVEN_BY, run_id=str(run_id))
        told = deps.instructions.carry_out(instruction)
        if not told.run_ids:
            raise HTTPException(409, _NOTHING[kind])
        if told.task_ids:
            try:
                deps.queue.send(told.task_ids)
            except (Transient, Permanent) as error:
                # It is carried out all the same: reconcile sends what could not be sent.
                deps.telemetry.log("task.stranded", level="WARNING", run_id=str(run_id), reason=str(error))
        return {"run_ids": list(told.run_ids)}

    @router.get("")
    async def list_runs(
        *,
        workflow: str | None = None,
        subject: str | None = None,
        status: Status | None = None,
        repository: str | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> dict[str, Any]:
        """Lists runs without their tasks, newest first."""
        filters = {"workflow": workflow, "subject": subject, "status": status, "repository": repository}
        return show_page(deps.reading.list_runs(filters, limit, cursor))

    @router.get("/{run_id}")
    async def read_run(run_id: UUID) -> dict[str, Any]:
        """Shows a run with its tasks."""
        return find(deps.reading.read_run(run_id), "run")

    @router.post("/{run_id}/approve")
    async def approve(run_id: UUID, *, key: Key = None) -> dict[str, Any]:
        """Approves the step of the run that waits for it; 409 when none does."""
        return give("approve", run_id, key)

    @router.post("/{run_id}/cancel")
    async def cancel(run_id: UUID, *, key: Key = None) -> dict[str, Any]:
        """Cancels the run, and the agent that works for it; 409 when it is over."""
        return give("cancel", run_id, key)

    @router.post("/{run_id}/retry")
    async def retry(run_id: UUID, *, key: Key = None) -> dict[str, Any]:
        """Runs the workflow once more, in the version that it had; 409 unless the run has failed."""
        return give("retry", run_id, key)

    return router
