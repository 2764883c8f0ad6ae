"""The REST API: deliveries, runs and tasks as they are recorded, and the service's health.

The endpoints are coroutines that block: a Lambda environment serves one request at a time, so a thread to
hand the work to would only cost.
https://fastapi.tiangolo.com/
"""

import hmac
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from functions.api import instructions, runs, switches, workflows
from functions.api.answers import Cursor, Limit, find, show_page
from shared.bootstrap import ApiDeps
from shared.domain.errors import Permanent, Transient
from shared.domain.page import BadCursor
from shared.domain.statuses import Status

_bearer = HTTPBearer(auto_error=False, description="The API token (API_TOKEN)")


def create_app(deps: ApiDeps) -> FastAPI:
    """Returns the application over what it reads from."""
    app = FastAPI(
        title="Webhook Orchestrator",
        version="1",
        description="What happened to every webhook: deliveries, verdicts, runs, tasks, attempts and effects.",
        redoc_url=None,
    )
    reading = deps.reading

    async def authorize(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode(), deps.config.api_token.encode()):
            raise HTTPException(
                401,
                "a bearer token is needed: authorization: Bearer <API_TOKEN>",
                {"www-authenticate": "Bearer"},
            )

    protected = [Depends(authorize)]

    @app.exception_handler(Transient)
    async def unavailable(request: Request, error: Exception) -> JSONResponse:
        deps.telemetry.log("request.failed", level="ERROR", path=request.url.path, reason=str(error))
        return JSONResponse({"detail": "the records cannot be read at the moment: try again"}, 503)

    @app.exception_handler(BadCursor)
    async def bad_cursor(_request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.get("/health", tags=["health"])
    async def health(*, deep: bool = False) -> JSONResponse:
        """Tells that the API answers; with `deep=1` also whether database, cache and queue do."""
        if not deep:
            return JSONResponse({"status": "ok"})
        checks = {
            "database": _is_up(reading.ping),
            "cache": deps.is_cache_up(),
            "queue": _is_up(deps.ping_queue),
        }
        is_well = all(checks.values())
        body = {"status": "ok" if is_well else "degraded", "checks": checks}
        return JSONResponse(body, 200 if is_well else 503)

    @app.get("/api/v1/deliveries", tags=["deliveries"], dependencies=protected)
    async def list_deliveries(
        *,
        status: Status | None = None,
        event: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        repository: str | None = None,
        sender: str | None = None,
        source: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> dict[str, Any]:
        """Lists deliveries, newest first."""
        filters = {
            "status": status,
            "event": event,
            "action": action,
            "subject": subject,
            "repository": repository,
            "sender": sender,
            "source": source,
            "since": since,
            "until": until,
        }
        return show_page(reading.list_deliveries(filters, limit, cursor))

    @app.get("/api/v1/deliveries/{delivery_id}", tags=["deliveries"], dependencies=protected)
    async def read_delivery(delivery_id: UUID, *, source: str = "github") -> dict[str, Any]:
        """Shows a delivery: every workflow's verdict on it, and its runs with tasks, attempts and effects."""
        return find(reading.read_delivery(source, delivery_id), "delivery")

    @app.get("/api/v1/tasks", tags=["tasks"], dependencies=protected)
    async def list_tasks(
        *,
        status: Status | None = None,
        uses: str | None = None,
        workflow: str | None = None,
        run_id: UUID | None = None,
        subject: str | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> dict[str, Any]:
        """Lists tasks, newest first."""
        filters = {"status": status, "uses": uses, "workflow": workflow, "run_id": run_id, "subject": subject}
        return show_page(reading.list_tasks(filters, limit, cursor))

    for noun in (instructions, runs, switches, workflows):
        app.include_router(noun.build_router(deps, protected))
    return app


def _is_up(check: Any) -> bool:  # noqa: ANN401
    try:
        check()
    except (Transient, Permanent):
        return False
    return True
