"""Switches: what is off for everybody, at once and without a deployment."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from fastapi.params import Depends

from functions.api.runs import GIVEN_BY
from shared.bootstrap import ApiDeps

SWITCHES = ("agents",)


def build_router(deps: ApiDeps, protected: Sequence[Depends]) -> APIRouter:
    """Returns the routes."""
    router = APIRouter(prefix="/api/v1/switches", tags=["switches"], dependencies=protected)

    @router.get("")
    async def list_switches() -> dict[str, Any]:
        """Lists the switches that were ever touched; one that was not is on."""
        return {"items": list(deps.switches.read())}

    @router.put("/{name}")
    async def put_switch(
        name: str,
        *,
        is_on: Annotated[bool, Body()],
        reason: Annotated[str | None, Body(max_length=500)] = None,
    ) -> dict[str, Any]:
        """Switches agents off or on: while they are off none is started, and runs that want one end as cancelled."""
        if name not in SWITCHES:
            raise HTTPException(404, f"there is no such switch: there is {', '.join(SWITCHES)}")
        deps.switches.put(name, is_on=is_on, reason=reason, changed_by=GIVEN_BY)
        deps.telemetry.log("switch.changed", level="WARNING", switch=name, is_on=is_on, reason=reason)
        return {"name": name, "is_on": is_on, "reason": reason}

    return router
