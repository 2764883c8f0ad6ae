"""Check runs, which only a GitHub App may create.

https://docs.github.com/rest/checks/runs
"""

import re
from sqlite3 import Row

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.local.sandbox.answers import JsonAnswer
from shared.local.sandbox.github_auth import Token, require_user_agent
from shared.local.sandbox.github_errors import GitHubError
from shared.local.sandbox.github_fields import read_choice, read_text
from shared.local.sandbox.github_objects import derive_sha
from shared.local.sandbox.github_records import NewCheckRun
from shared.local.sandbox.github_request import Name, Paging, State, read_document
from shared.local.sandbox.github_subject_objects import build_check_run

router = APIRouter(dependencies=[Depends(require_user_agent)])

_DOCS = "/checks/runs#create-a-check-run"
_SHA = re.compile(r"[0-9a-fA-F]{40}")
_STATUSES = {"queued", "in_progress", "completed"}
_CONCLUSIONS = {"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}


@router.post("/repos/{owner}/{repo}/check-runs")
async def create_check_run(request: Request, name: Name, state: State, token: Token) -> Response:
    """Creates a check run on a commit."""
    if not token.startswith("ghs_"):
        raise GitHubError(403, "You must authenticate via a GitHub App.", docs=_DOCS)
    document = await read_document(request)
    sha = read_text(document, "head_sha", _DOCS, is_required=True) or ""
    if not _SHA.fullmatch(sha):
        raise GitHubError(422, f"No commit found for SHA: {sha}", docs=_DOCS)
    conclusion = read_choice(document, "conclusion", _CONCLUSIONS, _DOCS)
    status = read_choice(document, "status", _STATUSES, _DOCS) or "queued"
    if status == "completed" and conclusion is None:
        raise GitHubError(422, 'Invalid request.\n\n"conclusion" wasn\'t supplied.', docs=_DOCS)
    output = document.get("output") or {}
    if not isinstance(output, dict):
        raise GitHubError(422, "Invalid request.\n\nFor 'properties/output', it is not an object.", docs=_DOCS)
    row = state.records.add_check_run(
        name,
        NewCheckRun(
            sha,
            read_text(document, "name", _DOCS, is_required=True) or "",
            "completed" if conclusion else status,
            conclusion,
            read_text(document, "external_id", _DOCS),
            read_text(document, "details_url", _DOCS),
            read_text(output, "title", _DOCS, is_required="output" in document),
            read_text(output, "summary", _DOCS, is_required="output" in document),
            read_text(output, "text", _DOCS),
        ),
    )
    run = build_check_run(state.base_url, row)
    return JsonAnswer(run, 201, headers={"Location": str(run["url"])})


@router.get("/repos/{owner}/{repo}/commits/{ref:path}/check-runs")
async def list_check_runs(request: Request, name: Name, ref: str, state: State, _token: Token) -> Response:
    """Lists a commit's check runs, of each name the newest unless all are asked for."""
    sha = ref if _SHA.fullmatch(ref) else derive_sha(f"{name.owner}/{name.repo}@{ref}")
    asked = request.query_params
    rows = [
        row
        for row in state.records.list_check_runs(name, sha)
        if row["name"] == asked.get("check_name", row["name"]) and row["status"] == asked.get("status", row["status"])
    ]
    if asked.get("filter", "latest") == "latest":
        rows = keep_newest(rows)
    paging = Paging(request)
    shown = [build_check_run(state.base_url, row) for row in rows[paging.offset : paging.offset + paging.per_page]]
    return JsonAnswer(
        {"total_count": len(rows), "check_runs": shown}, headers=paging.list_headers(state.base_url, len(rows))
    )


def keep_newest(rows: list[Row]) -> list[Row]:
    """Returns the first check run of each name."""
    newest: dict[str, Row] = {}
    for row in rows:
        newest.setdefault(row["name"], row)
    return list(newest.values())
