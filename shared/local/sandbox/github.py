"""The sandbox GitHub: api.github.com and, at the same address, the pages its objects link to."""

import secrets
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from shared.local.sandbox import (
    faults,
    github_actions,
    github_app,
    github_checks,
    github_comments,
    github_commits,
    github_contents,
    github_graphql,
    github_issues,
    github_pulls,
    github_records,
    github_state,
    github_subjects,
    recorder,
)
from shared.local.sandbox.answers import JsonAnswer, answer_invalid_request
from shared.local.sandbox.control import build_control_router
from shared.local.sandbox.github_checks import keep_newest
from shared.local.sandbox.github_errors import (
    GitHubError,
    MissingUserAgent,
    answer_github_error,
    answer_missing_user_agent,
    answer_not_found,
    write_error,
    write_refusal,
)
from shared.local.sandbox.github_objects import build_comment, build_status
from shared.local.sandbox.github_request import Name, Number, State
from shared.local.sandbox.github_subject_objects import build_check_run, build_review
from shared.local.sandbox.github_subjects import Subject
from shared.local.sandbox.limits import LimitKeeper
from shared.local.sandbox.pages import show_page
from shared.local.sandbox.store import Store

pages = APIRouter()


@pages.get("/{owner}/{repo}/issues/{number}")
@pages.get("/{owner}/{repo}/pull/{number}")
async def show_issue(name: Name, number: Number, state: State) -> Response:
    """Shows an issue or pull request to a person."""
    records = state.records
    comments = [build_comment(state.base_url, row) for row in state.list_comments(name, number)]
    reactions = {each["id"]: records.list_reactions(name, f"comment {each['id']}") for each in comments}
    return show_page(
        "subject",
        service="GitHub",
        title=f"{name.owner}/{name.repo}#{number}",
        subject=state.subjects.read(name, number),
        subject_reactions=records.list_reactions(name, f"issue {number}"),
        reviews=[build_review(state.base_url, row) for row in records.list_reviews(name, number)],
        comments=comments,
        reactions=reactions,
    )


@pages.get("/{owner}/{repo}/commit/{sha}")
async def show_commit(name: Name, sha: str, state: State) -> Response:
    """Shows a commit's statuses and check runs to a person."""
    rows = keep_newest(state.records.list_check_runs(name, sha))
    return show_page(
        "commit",
        service="GitHub",
        title=f"{name.owner}/{name.repo}@{sha}",
        statuses=[build_status(state.base_url, row) for row in state.list_latest_statuses(name, sha)],
        check_runs=[build_check_run(state.base_url, row) for row in rows],
    )


async def _answer_invalid(request: Request, error: RequestValidationError) -> JsonAnswer:
    """Answers for a value in a path that GitHub would not find anything under."""
    if request.url.path.startswith("/_"):
        return await answer_invalid_request(request, error)
    return await answer_not_found(request, error)


def build_server(state_directory: Path, base_url: str) -> ASGIApp:
    """Returns the server; its links begin with the base URL."""
    tables = (recorder, faults, github_state, github_subjects, github_records, github_actions, github_contents)
    store = Store(state_directory / "sandbox-github.sqlite3", "".join(each.SCHEMA for each in tables))
    fault_list = faults.FaultList(store)
    state = github_state.GitHubState(store, base_url)

    app = FastAPI(
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={
            404: answer_not_found,
            405: answer_not_found,
            GitHubError: answer_github_error,
            MissingUserAgent: answer_missing_user_agent,
            RequestValidationError: _answer_invalid,
        },
    )
    app.state.github = state
    app.state.actions = github_actions.ActionsState(store)
    app.state.files = github_contents.FileStore(store)
    limits = LimitKeeper(write_refusal, write_points=5)
    app.include_router(build_control_router(store, fault_list, limits))
    app.include_router(github_actions.control)
    app.include_router(github_contents.control)
    routers = (
        *(github_actions, github_comments, github_commits, github_contents, github_issues, github_pulls),
        *(github_checks, github_graphql, github_app),
    )
    for router in (*(each.router for each in routers), github_actions.pages, pages):
        app.include_router(router)

    @app.post("/_subjects", status_code=204)
    async def script_subject(subject: Subject) -> None:
        state.subjects.script(subject)

    def list_headers(path: str) -> dict[str, str]:
        if path != "/rate_limit":
            state.rate.spend_request()
        rate = limits.read_figures() or state.rate.read_figures()
        figures = {f"x-ratelimit-{name}": str(value) for name, value in rate.items()}
        request_id = ":".join(secrets.token_hex(4).upper() for _ in range(4))
        return {**figures, "x-ratelimit-resource": "core", "x-github-request-id": request_id}

    return recorder.Recorder(
        app, store=store, faults=fault_list, limits=limits, write_error=write_error, list_headers=list_headers
    )
