"""The sandbox Codegen: api.codegen.com and, at the same address, a page for each agent run.

https://docs.codegen.com/api-reference
"""

from http import HTTPStatus
from pathlib import Path
from sqlite3 import Row
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel
from starlette.responses import Response
from starlette.types import ASGIApp

from shared.local.sandbox import codegen_state, faults, recorder
from shared.local.sandbox.answers import JsonAnswer, answer_invalid_request
from shared.local.sandbox.codegen_state import CodegenState, Outcome, build_run
from shared.local.sandbox.control import build_control_router
from shared.local.sandbox.faults import Fault, FaultList
from shared.local.sandbox.limits import Kind, LimitKeeper
from shared.local.sandbox.pages import show_page
from shared.local.sandbox.store import Store

USER_ID = 1

_MESSAGES = {
    401: "Invalid or missing API token.",
    402: "Alloted agent runs for the current billing plan have been reached. Please upgrade your plan to continue.",
    403: "You do not have access to this organization.",
    404: "Agent run not found.",
    410: "This API is no longer available.",
    429: "Rate limit exceeded. Please try again later.",
}

SourceType = Literal[
    "LOCAL",
    "SLACK",
    "GITHUB",
    "GITHUB_CHECK_SUITE",
    "GITHUB_PR_REVIEW",
    "LINEAR",
    "API",
    "CHAT",
    "JIRA",
    "CLICKUP",
    "MONDAY",
    "SETUP_COMMANDS",
]
Skip = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=1, le=100)]


def _refuse_surrogates(text: str) -> str:
    # What UTF-8 cannot carry is a ValueError here, and so a 422.
    text.encode()
    return text


Prompt = Annotated[str, AfterValidator(_refuse_surrogates)]


class CodegenError(Exception):
    """A refusal with Codegen's body of that status."""

    def __init__(self, status: int) -> None:
        super().__init__(_MESSAGES[status])
        self.status = status


class NewRun(BaseModel):
    """Codegen's ``CreateAgentRunInput``."""

    prompt: Prompt
    images: list[str] | None = None
    metadata: dict[str, object] | None = None
    repo_id: int | None = None
    model: str | None = None
    agent_type: Literal["codegen", "claude_code"] | None = None


class ResumedRun(BaseModel):
    """Codegen's ``ResumeAgentRunInput``."""

    agent_run_id: int
    prompt: Prompt
    images: list[str] | None = None


class StoppedRun(BaseModel):
    """Codegen's ``StopAgentRunInput``."""

    agent_run_id: int
    before_card_order_id: str | None = None
    after_card_order_id: str | None = None


async def require_token(request: Request) -> None:
    """Refuses a request without a bearer token; any token will do.

    Raises:
        CodegenError: 401, there is none.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise CodegenError(401)


async def read_state(request: Request) -> CodegenState:
    """Returns the state of the server that was asked."""
    state: CodegenState = request.app.state.codegen
    return state


State = Annotated[CodegenState, Depends(read_state)]

router = APIRouter(prefix="/v1", dependencies=[Depends(require_token)])
pages = APIRouter()


@router.post("/organizations/{org_id}/agent/run")
async def create_run(org_id: int, new: NewRun, state: State) -> Response:
    """Starts an agent run."""
    run_id = state.add_run(org_id, new.prompt, new.metadata)
    return JsonAnswer(build_run(state.base_url, _find_run(state, run_id)))


@router.get("/organizations/{org_id}/agent/run/{agent_run_id}")
async def get_run(org_id: int, agent_run_id: int, state: State) -> Response:
    """Shows an agent run."""
    return JsonAnswer(build_run(state.base_url, _find_run(state, agent_run_id, org_id)))


@router.get("/organizations/{org_id}/agent/runs")
async def list_runs(
    *,
    org_id: int,
    state: State,
    user_id: int | None = None,
    source_type: SourceType | None = None,
    skip: Skip = 0,
    limit: Limit = 100,
) -> Response:
    """Lists an organization's agent runs, newest first; all are the one user's."""
    if user_id not in {None, USER_ID}:
        return JsonAnswer(_build_page([], 0, skip, limit))
    rows = state.list_runs(org_id, source_type, limit=limit, offset=skip)
    runs = [build_run(state.base_url, row) for row in rows]
    return JsonAnswer(_build_page(runs, state.count_runs(org_id, source_type), skip, limit))


@router.post("/organizations/{org_id}/agent/run/resume")
async def resume_run(org_id: int, resumed: ResumedRun, state: State) -> Response:
    """Gives an agent run, ended or not, a further prompt."""
    _find_run(state, resumed.agent_run_id, org_id)
    state.resume_run(resumed.agent_run_id, resumed.prompt)
    return JsonAnswer(build_run(state.base_url, _find_run(state, resumed.agent_run_id)))


@router.post("/organizations/{org_id}/agent/run/ban")
async def ban_run(org_id: int, stopped: StoppedRun, state: State) -> Response:
    """Stops an agent run; the real one also stops the other agents of its pull request."""
    _find_run(state, stopped.agent_run_id, org_id)
    state.stop_run(stopped.agent_run_id)
    return JsonAnswer({})


@router.post("/organizations/{org_id}/agent/run/unban")
async def unban_run(org_id: int, stopped: StoppedRun, state: State) -> Response:
    """Lets the checks of the run's pull request wake its agents again: here, nothing."""
    _find_run(state, stopped.agent_run_id, org_id)
    return JsonAnswer({})


@router.get("/users/me")
async def get_me() -> Response:
    """Shows whose token it is."""
    return JsonAnswer(
        {
            "id": USER_ID,
            "email": None,
            "github_user_id": str(USER_ID),
            "github_username": "sandbox",
            "avatar_url": None,
            "full_name": None,
            "role": "ADMIN",
            "is_admin": True,
        }
    )


@router.get("/organizations/{org_id}/repos")
async def list_repositories(org_id: int, skip: Skip = 0, limit: Limit = 100) -> Response:
    """Lists an organization's repositories: always the same one."""
    repository = {
        "id": 1,
        "name": "sandbox",
        "full_name": "sandbox/sandbox",
        "description": None,
        "github_id": "1",
        "organization_id": org_id,
        "visibility": "public",
        "archived": False,
        "setup_status": "COMPLETE",
        "language": None,
    }
    return JsonAnswer(_build_page([repository][skip:], 1, skip, limit))


@pages.get("/agent/trace/{run_id}")
async def show_run(run_id: int, state: State) -> Response:
    """Shows an agent run to a person."""
    row = _find_run(state, run_id)
    run = build_run(state.base_url, row)
    return show_page("run", service="Codegen", title=f"Agent run {run_id}", run=run, prompt=row["prompt"])


def _find_run(state: CodegenState, run_id: int, org_id: int | None = None) -> Row:
    row = state.read_run(run_id)
    if row is None or org_id not in {None, row["organization_id"]}:
        raise CodegenError(404)
    return row


def _build_page(items: list[dict[str, object]], total: int, skip: int, limit: int) -> dict[str, object]:
    return {
        "items": items,
        "total": total,
        "page": skip // limit + 1,
        "size": limit,
        "pages": -(-total // limit),
    }


async def _answer_error(request: Request, error: CodegenError) -> JsonAnswer:
    del request
    return JsonAnswer({"message": str(error), "status_code": error.status}, error.status)


def _write_error(fault: Fault) -> object:
    """Returns the body Codegen sends where it fails as the fault does."""
    status = fault.status or 500
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return {"detail": [{"loc": ["body"], "msg": "Sandbox fault", "type": "value_error"}]}
    return {"message": _MESSAGES.get(status, "Internal server error"), "status_code": status}


def _write_refusal(kind: Kind, retry_after: int | None) -> JsonAnswer:
    """Answers 429 where a limit was met; Codegen does not say for how long."""
    del kind, retry_after
    return JsonAnswer({"message": _MESSAGES[429], "status_code": 429}, 429)


def build_server(state_directory: Path, base_url: str, run_seconds: float) -> ASGIApp:
    """Returns the server; its links begin with the base URL, and a run takes so many seconds."""
    store = Store(state_directory / "sandbox-codegen.sqlite3", recorder.SCHEMA + faults.SCHEMA + codegen_state.SCHEMA)
    fault_list = FaultList(store)
    state = CodegenState(store, base_url, run_seconds)

    app = FastAPI(
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={CodegenError: _answer_error, RequestValidationError: answer_invalid_request},
    )
    app.state.codegen = state
    limits = LimitKeeper(_write_refusal, write_points=1)
    app.include_router(build_control_router(store, fault_list, limits))
    app.include_router(router)
    app.include_router(pages)

    @app.post("/_outcome", status_code=204)
    async def add_outcome(outcome: Outcome) -> None:
        state.add_outcome(outcome)

    return recorder.Recorder(
        app, store=store, faults=fault_list, limits=limits, write_error=_write_error, list_headers=lambda _path: {}
    )
