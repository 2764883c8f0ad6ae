"""Workflows: what is in force for whom, its versions, and the organisation's own."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.params import Depends
from fastapi.responses import JSONResponse

from shared.bootstrap import ApiDeps

Repository = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", description="`owner/repo`: with the workflows of its own file"),
]
Name = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
_YAML = {"requestBody": {"required": True, "content": {"application/yaml": {"schema": {"type": "string"}}}}}


def build_router(deps: ApiDeps, protected: Sequence[Depends]) -> APIRouter:
    """Returns the routes."""
    router = APIRouter(prefix="/api/v1/workflows", tags=["workflows"], dependencies=protected)
    workflows = deps.workflows

    @router.get("")
    async def list_workflows(*, repository: Repository = None) -> dict[str, Any]:
        """Lists the workflows in force with their origin; for a repository also what is wrong with its file."""
        found = workflows.list_workflows(repository)
        return {"items": found["workflows"], "file": found["file"]}

    @router.put("", openapi_extra=_YAML, responses={422: {"description": "The file's faults; nothing was changed"}})
    async def put_workflows(request: Request) -> Response:
        """Puts a file of the organisation's workflows into force, in place of all that it had.

        They override the defaults of the same names; a repository's own override them. Route takes them up within
        30 seconds.
        """
        body = await request.body()
        reading = deps.read_workflows(_decode(body))
        if reading.faults:
            return JSONResponse({"detail": [fault._asdict() for fault in reading.faults]}, 422)
        workflows.put_organization(reading.workflows)
        items = [{"name": workflow.name, "version": workflow.version} for workflow in reading.workflows]
        return JSONResponse({"items": items})

    @router.get("/{name}/versions")
    async def list_versions(name: Name) -> dict[str, Any]:
        """Lists the versions of a name, newest first, and for whom each is in force: a run keeps its own."""
        items = workflows.list_versions(name)
        if not items:
            raise HTTPException(404, "there is no such workflow")
        return {"items": items}

    @router.delete("/{name}", status_code=204)
    async def delete_workflow(name: Name) -> None:
        """Takes the organisation's workflow of that name out of force; what it overrode is in force again."""
        if not workflows.drop_organization(name):
            raise HTTPException(404, "the organisation has no such workflow")

    return router


def _decode(body: bytes) -> str | None:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
