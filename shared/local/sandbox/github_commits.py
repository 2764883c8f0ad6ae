"""Commit statuses and the rate limit.

https://docs.github.com/rest/commits, https://docs.github.com/rest/rate-limit
"""

import re
from typing import NoReturn

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.local.sandbox.answers import JsonAnswer
from shared.local.sandbox.github_auth import Token, require_user_agent
from shared.local.sandbox.github_errors import GitHubError
from shared.local.sandbox.github_objects import (
    build_author,
    build_repository,
    build_status,
    derive_sha,
)
from shared.local.sandbox.github_request import Name, Paging, State, read_document
from shared.local.sandbox.github_state import NewStatus

router = APIRouter(dependencies=[Depends(require_user_agent)])

_DOCS = "/commits/statuses#create-a-commit-status"
_SHA = re.compile(r"[0-9a-fA-F]{40}")
_NO_SHA = "0" * 40
_STATES = {"error", "failure", "pending", "success"}
_MOST_DESCRIPTION = 140
_MOST_STATUSES = 1000


@router.post("/repos/{owner}/{repo}/statuses/{sha:path}")
async def create_status(request: Request, name: Name, sha: str, state: State, token: Token) -> Response:
    """Gives a commit a status."""
    document = await read_document(request)
    if not _SHA.fullmatch(sha) or sha == _NO_SHA:
        raise GitHubError(422, f"No commit found for SHA: {sha}", docs=_DOCS)
    new = _read_status(document)
    if state.count_statuses(name, sha, new.context) >= _MOST_STATUSES:
        _refuse_field("sha", "This SHA and context has reached the maximum number of statuses.")
    by_app = token.startswith("ghs_")
    state.add_status(name, sha, new, by_app=by_app)
    newest = state.list_latest_statuses(name, sha)[0]
    status = build_status(state.base_url, newest) | {"creator": build_author(state.base_url, by_app=by_app)}
    return JsonAnswer(status, 201, headers={"Location": str(status["url"])})


@router.get("/repos/{owner}/{repo}/commits/{ref:path}/status")
async def get_combined_status(request: Request, name: Name, ref: str, state: State, _token: Token) -> Response:
    """Shows the last status of each context of a commit, and what they come to."""
    sha = ref if _SHA.fullmatch(ref) else derive_sha(f"{name.owner}/{name.repo}@{ref}")
    rows = state.list_latest_statuses(name, sha)
    states = {row["state"] for row in rows}
    paging = Paging(request)
    url = f"{state.base_url}/repos/{name.owner}/{name.repo}/commits/{sha}"
    combined = {
        "state": _combine_states(states),
        "statuses": [
            build_status(state.base_url, row) for row in rows[paging.offset : paging.offset + paging.per_page]
        ],
        "sha": sha,
        "total_count": len(rows),
        "repository": build_repository(state.base_url, *name),
        "commit_url": url,
        "url": f"{url}/status",
    }
    return JsonAnswer(combined, headers=paging.list_headers(state.base_url, len(rows)))


@router.get("/rate_limit")
async def get_rate_limit(state: State, _token: Token) -> Response:
    """Shows the rate limits; asking costs nothing."""
    core = state.rate.read_figures()
    unused = {"remaining": core["limit"], "used": 0}
    resources = {"core": core, "search": core | unused, "graphql": core | unused}
    return JsonAnswer({"resources": resources, "rate": core})


def _read_status(document: dict[str, object]) -> NewStatus:
    state = document.get("state")
    if state not in _STATES:
        _refuse_field("state", "state is not included in the list")
    context = _read_text(document, "context")
    if context == "":
        error = {"resource": "Status", "code": "missing_field", "field": "context"}
        raise GitHubError(422, "Validation Failed", docs=_DOCS, errors=[error])
    description = _read_text(document, "description")
    if description is not None and len(description) > _MOST_DESCRIPTION:
        _refuse_field("description", f"description is too long (maximum is {_MOST_DESCRIPTION} characters)")
    return NewStatus(str(state), context or "default", _read_text(document, "target_url"), description)


def _read_text(document: dict[str, object], field: str) -> str | None:
    value = document.get(field)
    if value is None or isinstance(value, str):
        return value
    message = f"Invalid request.\n\nFor 'properties/{field}', {value} is not a string."
    raise GitHubError(422, message, docs=_DOCS)


def _refuse_field(field: str, message: str) -> NoReturn:
    error = {"resource": "Status", "code": "custom", "field": field, "message": message}
    raise GitHubError(422, "Validation Failed", docs=_DOCS, errors=[error])


def _combine_states(states: set[str]) -> str:
    """Returns what a commit's statuses come to.

    https://docs.github.com/rest/commits/statuses#get-the-combined-status-for-a-specific-reference
    """
    if states & {"error", "failure"}:
        return "failure"
    return "success" if states == {"success"} else "pending"
