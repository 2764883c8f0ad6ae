"""GitHub Actions: dispatches, and workflow runs that end by themselves after a time. No webhook tells of them.

https://docs.github.com/rest/actions/workflow-runs, https://docs.github.com/rest/actions/workflows
"""

import json
import re
import time
from sqlite3 import Row
from typing import Annotated, Literal, NoReturn

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from shared.local.sandbox.answers import JsonAnswer
from shared.local.sandbox.github_auth import Token, require_user_agent
from shared.local.sandbox.github_errors import GitHubError
from shared.local.sandbox.github_objects import Json, Repository, build_author, build_repository, derive_id, derive_sha
from shared.local.sandbox.github_request import Name, Number, Paging, State, read_document
from shared.local.sandbox.pages import show_page
from shared.local.sandbox.store import Store, format_time

SCHEMA = """
CREATE TABLE IF NOT EXISTS workflow_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL COLLATE NOCASE, repo TEXT NOT NULL COLLATE NOCASE,
    workflow TEXT NOT NULL, ref TEXT NOT NULL, inputs TEXT NOT NULL, by_app INTEGER NOT NULL, created_at TEXT NOT NULL,
    run_attempt INTEGER NOT NULL, ends_at REAL NOT NULL, conclusion TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS workflow_runs_by_workflow ON workflow_runs (owner, repo, workflow, id);
CREATE TABLE IF NOT EXISTS workflow_outcomes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, definition TEXT NOT NULL
);
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'workflow_runs', 30000000000 WHERE 'workflow_runs' NOT IN (SELECT name FROM sqlite_sequence);
"""

_RUN_SECONDS = 2.0
_MOST_INPUTS = 25
_MOST_PAYLOAD_KEYS = 10
_MOST_PAYLOAD_BYTES = 64 * 1024
_MOST_EVENT_TYPE = 100
_WORKFLOW_DOCS = "/actions/workflows#create-a-workflow-dispatch-event"
_DISPATCH_DOCS = "/repos/repos#create-a-repository-dispatch-event"
_RUN_DOCS = "/actions/workflow-runs"

WorkflowName = Annotated[str, Path(pattern=r"^([0-9]+|[A-Za-z0-9._-]+\.ya?ml)$")]


class WorkflowOutcome(BaseModel):
    """How the runs of the workflows whose file name a regular expression is found in shall end.

    Attributes:
        match: the regular expression.
        conclusion: what they end with.
        after_seconds: how long they are in progress; None never ends.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: re.Pattern[str]
    conclusion: Literal["success", "failure", "cancelled", "timed_out", "neutral", "skipped", "action_required"] = (
        "success"
    )
    after_seconds: float | None = Field(default=0.0, ge=0, allow_inf_nan=False)


class ActionsState:
    """The workflow runs of every repository; workflows exist by being named."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_outcome(self, outcome: WorkflowOutcome) -> None:
        """Scripts how coming runs end; a later outcome goes before an earlier one."""
        sql = "INSERT INTO workflow_outcomes (definition) VALUES (?)"
        self._store.insert_row(sql, (outcome.model_dump_json(),))

    def add_run(self, name: Repository, workflow: str, ref: str, inputs: Json, *, by_app: bool) -> int:
        """Starts a run and returns its id."""
        return self._store.insert_row(
            "INSERT INTO workflow_runs"
            " (owner, repo, workflow, ref, inputs, by_app, created_at, run_attempt, ends_at, conclusion)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?)",
            (*name, workflow, ref, json.dumps(inputs), int(by_app), format_time(), *self._plan_end(workflow)),
        )

    def rerun(self, row: Row) -> None:
        """Starts the run's next attempt."""
        sql = "UPDATE workflow_runs SET run_attempt = run_attempt + 1, ends_at = ?, conclusion = ? WHERE id = ?"
        self._store.change_rows(sql, (*self._plan_end(row["workflow"]), row["id"]))

    def cancel(self, row: Row) -> None:
        """Ends the run."""
        sql = "UPDATE workflow_runs SET ends_at = ?, conclusion = 'cancelled' WHERE id = ?"
        self._store.change_rows(sql, (time.time(), row["id"]))

    def read_run(self, name: Repository, run_id: int) -> Row | None:
        """Returns a run, or None."""
        sql = "SELECT * FROM workflow_runs WHERE id = ? AND owner = ? AND repo = ?"
        return self._store.read_row(sql, (run_id, *name))

    def list_runs(self, name: Repository, workflow: str) -> list[Row]:
        """Returns a workflow's runs, newest first."""
        sql = "SELECT * FROM workflow_runs WHERE owner = ? AND repo = ? AND workflow = ? ORDER BY id DESC"
        return self._store.list_rows(sql, (*name, workflow))

    def _plan_end(self, workflow: str) -> tuple[float, str]:
        """Returns when a run of this workflow ends (epoch seconds), and how."""
        for row in self._store.list_rows("SELECT definition FROM workflow_outcomes ORDER BY id DESC"):
            outcome = WorkflowOutcome.model_validate_json(row["definition"])
            if outcome.match.search(workflow):
                seconds = float("inf") if outcome.after_seconds is None else outcome.after_seconds
                return time.time() + seconds, outcome.conclusion
        return time.time() + _RUN_SECONDS, "success"


async def read_actions(request: Request) -> ActionsState:
    """Returns the workflow runs of the server that was asked."""
    state: ActionsState = request.app.state.actions
    return state


Actions = Annotated[ActionsState, Depends(read_actions)]

router = APIRouter(dependencies=[Depends(require_user_agent)])
control = APIRouter()
pages = APIRouter()


@control.post("/_workflow_outcome", status_code=204)
async def add_outcome(outcome: WorkflowOutcome, actions: Actions) -> None:
    """Scripts how coming workflow runs end."""
    actions.add_outcome(outcome)


@router.post("/repos/{owner}/{repo}/dispatches")
async def create_repository_dispatch(request: Request, name: Name, _token: Token) -> Response:
    """Takes a repository_dispatch; nothing listens to it."""
    del name
    document = await read_document(request)
    event_type, payload = document.get("event_type"), document.get("client_payload", {})
    if not isinstance(event_type, str) or not 0 < len(event_type) <= _MOST_EVENT_TYPE:
        _refuse('Invalid request.\n\n"event_type" wasn\'t supplied.', _DISPATCH_DOCS)
    if not isinstance(payload, dict) or len(payload) > _MOST_PAYLOAD_KEYS:
        _refuse(f"No more than {_MOST_PAYLOAD_KEYS} properties are allowed in client_payload", _DISPATCH_DOCS)
    if len(json.dumps(payload)) >= _MOST_PAYLOAD_BYTES:
        _refuse("client_payload is too large.", _DISPATCH_DOCS)
    return Response(status_code=204)


@router.post("/repos/{owner}/{repo}/actions/workflows/{workflow}/dispatches")
async def create_workflow_dispatch(
    *, request: Request, name: Name, workflow: WorkflowName, state: State, actions: Actions, token: Token
) -> Response:
    """Starts a workflow, and says which run that is where it is asked to."""
    document = await read_document(request)
    ref, inputs = document.get("ref"), document.get("inputs", {})
    if not isinstance(ref, str) or not ref:
        _refuse('Invalid request.\n\n"ref" wasn\'t supplied.', _WORKFLOW_DOCS)
    if not isinstance(inputs, dict) or len(inputs) > _MOST_INPUTS:
        _refuse(f"No more than {_MOST_INPUTS} inputs are allowed", _WORKFLOW_DOCS)
    run_id = actions.add_run(name, workflow, ref, inputs, by_app=token.startswith("ghs_"))
    if document.get("return_run_details") is not True:
        return Response(status_code=204)
    path = f"{name.owner}/{name.repo}/actions/runs/{run_id}"
    details = {
        "workflow_run_id": run_id,
        "run_url": f"{state.base_url}/repos/{path}",
        "html_url": f"{state.base_url}/{path}",
    }
    return JsonAnswer(details)


@router.get("/repos/{owner}/{repo}/actions/workflows/{workflow}/runs")
async def list_workflow_runs(
    request: Request, name: Name, workflow: WorkflowName, state: State, actions: Actions, _token: Token
) -> Response:
    """Lists a workflow's runs, newest first; all of them were dispatched."""
    asked = request.query_params
    rows = [row for row in actions.list_runs(name, workflow) if asked.get("branch", row["ref"]) == row["ref"]]
    runs = [build_workflow_run(state.base_url, row) for row in rows]
    if asked.get("event", "workflow_dispatch") != "workflow_dispatch":
        runs = []
    paging = Paging(request)
    page = {"total_count": len(runs), "workflow_runs": runs[paging.offset : paging.offset + paging.per_page]}
    return JsonAnswer(page, headers=paging.list_headers(state.base_url, len(runs)))


@router.get("/repos/{owner}/{repo}/actions/runs/{run_id}")
async def get_workflow_run(name: Name, run_id: Number, state: State, actions: Actions, _token: Token) -> Response:
    """Shows a workflow run."""
    return JsonAnswer(build_workflow_run(state.base_url, _find_run(actions, name, run_id, "get-a-workflow-run")))


@router.post("/repos/{owner}/{repo}/actions/runs/{run_id}/cancel")
async def cancel_workflow_run(name: Name, run_id: Number, actions: Actions, _token: Token) -> Response:
    """Stops a workflow run that has not ended."""
    row = _find_run(actions, name, run_id, "cancel-a-workflow-run")
    if _is_completed(row):
        docs = f"{_RUN_DOCS}#cancel-a-workflow-run"
        raise GitHubError(409, "Cannot cancel a workflow run that is completed.", docs=docs)
    actions.cancel(row)
    return JsonAnswer({}, 202)


@router.post("/repos/{owner}/{repo}/actions/runs/{run_id}/rerun-failed-jobs")
async def rerun_failed_jobs(name: Name, run_id: Number, actions: Actions, _token: Token) -> Response:
    """Starts a workflow run's next attempt."""
    docs = "re-run-failed-jobs-from-a-workflow-run"
    row = _find_run(actions, name, run_id, docs)
    if not _is_completed(row) or row["conclusion"] == "success":
        message = "This workflow run cannot be retried" if _is_completed(row) else "The workflow run is already running"
        raise GitHubError(403, message, docs=f"{_RUN_DOCS}#{docs}")
    actions.rerun(row)
    return JsonAnswer({}, 201)


@pages.get("/{owner}/{repo}/actions/runs/{run_id}")
async def show_workflow_run(name: Name, run_id: Number, state: State, actions: Actions) -> Response:
    """Shows a workflow run to a person."""
    row = _find_run(actions, name, run_id, "get-a-workflow-run")
    run = build_workflow_run(state.base_url, row)
    title = f"Workflow run {run_id}"
    return show_page("workflow_run", service="GitHub", title=title, run=run, inputs=json.loads(row["inputs"]))


def build_workflow_run(base_url: str, row: Row) -> Json:
    """Returns a workflow run, whose commit is the one its branch's name derives."""
    name = f"{row['owner']}/{row['repo']}"
    url = f"{base_url}/repos/{name}/actions/runs/{row['id']}"
    workflow = row["workflow"]
    workflow_id = int(workflow) if workflow.isdecimal() else derive_id(workflow)
    author = build_author(base_url, by_app=bool(row["by_app"]))
    repository = build_repository(base_url, row["owner"], row["repo"])
    completed = _is_completed(row)
    return {
        "id": row["id"],
        "name": workflow,
        "node_id": f"WFR_{row['id']}",
        "head_branch": row["ref"],
        "head_sha": derive_sha(f"{name}@{row['ref']}"),
        "path": f".github/workflows/{workflow}",
        "display_title": workflow,
        "run_number": 1,
        "run_attempt": row["run_attempt"],
        "event": "workflow_dispatch",
        "status": "completed" if completed else "in_progress",
        "conclusion": row["conclusion"] if completed else None,
        "workflow_id": workflow_id,
        "check_suite_id": row["id"],
        "check_suite_node_id": f"CS_{row['id']}",
        "url": url,
        "html_url": f"{base_url}/{name}/actions/runs/{row['id']}",
        "pull_requests": [],
        **dict.fromkeys(("created_at", "updated_at", "run_started_at"), row["created_at"]),
        **dict.fromkeys(("actor", "triggering_actor"), author),
        **{f"{part}_url": f"{url}/{part}" for part in ("jobs", "logs", "artifacts", "cancel", "rerun")},
        "check_suite_url": f"{base_url}/repos/{name}/check-suites/{row['id']}",
        "workflow_url": f"{base_url}/repos/{name}/actions/workflows/{workflow_id}",
        "previous_attempt_url": None,
        "head_commit": None,
        "repository": repository,
        "head_repository": repository,
    }


def _is_completed(row: Row) -> bool:
    return bool(time.time() >= row["ends_at"])


def _find_run(actions: ActionsState, name: Repository, run_id: int, anchor: str) -> Row:
    row = actions.read_run(name, run_id)
    if row is None:
        raise GitHubError(404, "Not Found", docs=f"{_RUN_DOCS}#{anchor}")
    return row


def _refuse(message: str, docs: str) -> NoReturn:
    raise GitHubError(422, message, docs=docs)
