"""The sandbox's own paths: what it received, how it shall misbehave, and a fresh start."""

from fastapi import APIRouter
from pydantic import JsonValue

from shared.local.sandbox.answers import JsonAnswer
from shared.local.sandbox.faults import Fault, FaultList
from shared.local.sandbox.limits import LimitKeeper, Limits, Spent
from shared.local.sandbox.recorder import list_received
from shared.local.sandbox.store import Store


def build_control_router(store: Store, faults: FaultList, limits: LimitKeeper) -> APIRouter:
    """Returns the routes that both servers share; they ask for no token and are never recorded."""
    router = APIRouter()

    @router.get("/_health")
    async def show_health() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/_received", response_model=None)
    async def show_received(path: str = "", method: str | None = None) -> JsonAnswer:
        return JsonAnswer(list_received(store, path, method))

    @router.get("/_faults", response_model=None)
    async def show_faults() -> list[JsonValue]:
        return faults.list_faults()

    @router.post("/_faults", response_model=None)
    async def add_faults(given: list[Fault]) -> list[JsonValue]:
        faults.add_faults(given)
        return faults.list_faults()

    @router.delete("/_faults", status_code=204)
    async def clear_faults() -> None:
        faults.clear()

    @router.get("/_limits", response_model=None)
    async def show_limits() -> dict[str, JsonValue]:
        return limits.report()

    @router.post("/_limits", response_model=None)
    async def set_limits(given: Limits) -> dict[str, JsonValue]:
        limits.set_limits(given)
        return limits.report()

    @router.post("/_spent", status_code=204)
    async def spend(spent: Spent) -> None:
        limits.spend(spent)

    @router.post("/_reset", status_code=204)
    async def reset() -> None:
        faults.clear()
        limits.set_limits(Limits())
        store.empty_tables()

    return router
