"""Instructions: the audit of what people have told the orchestrator about runs."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.params import Depends

from functions.api.answers import Cursor, Limit, show_page
from shared.bootstrap import ApiDeps


def build_router(deps: ApiDeps, protected: Sequence[Depends]) -> APIRouter:
    """Returns the routes."""
    router = APIRouter(prefix="/api/v1/instructions", tags=["instructions"], dependencies=protected)

    @router.get("")
    async def list_instructions(*, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
        """Lists who told what and which runs it was carried out on (none: there was nothing to do), newest first."""
        return show_page(deps.reading.list_instructions(limit, cursor))

    return router
