"""What people tell the orchestrator about a run: approve, cancel, retry."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Header, HTTPException
from fastapi.params import Depends

from shared.bootstrap import ApiDeps
from shared.domain.errors import Permanent, Transient
from shared.domain.instruction import Instruction, InstructionKind

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
        if deps.reading.read_run(run_id) is None:
            raise HTTPException(404, "there is no such run")
        instruction = Instruction(id=str(key or uuid4()), kind=kind, given_by=GIVEN_BY, run_id=str(run_id))
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
