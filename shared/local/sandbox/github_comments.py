"""The comments of issues and pull requests.

https://docs.github.com/rest/issues/comments
"""

from sqlite3 import Row

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.local.sandbox.answers import JsonAnswer
from shared.local.sandbox.github_auth import Token, require_user_agent
from shared.local.sandbox.github_errors import GitHubError
from shared.local.sandbox.github_objects import Repository, build_comment
from shared.local.sandbox.github_request import Name, Number, Paging, State, read_document, read_since
from shared.local.sandbox.github_state import GitHubState

router = APIRouter(dependencies=[Depends(require_user_agent)])

_DOCS = "/issues/comments"
# GitHub says 65,536 characters, and counts four bytes for each.
_MOST_BYTES = 4 * 65536


@router.get("/repos/{owner}/{repo}/issues/{number}/comments")
async def list_comments(request: Request, name: Name, number: Number, state: State, _token: Token) -> Response:
    """Lists an issue's comments, oldest first."""
    paging = Paging(request)
    since = read_since(request, f"{_DOCS}#list-issue-comments")
    total = state.count_comments(name, number, since)
    rows = state.list_comments(name, number, since=since, limit=paging.per_page, offset=paging.offset)
    comments = [build_comment(state.base_url, row) for row in rows]
    return JsonAnswer(comments, headers=paging.list_headers(state.base_url, total))


@router.post("/repos/{owner}/{repo}/issues/{number}/comments")
async def create_comment(request: Request, name: Name, number: Number, state: State, token: Token) -> Response:
    """Writes a comment, by the App's bot where the token is an installation's."""
    text = _read_text(await read_document(request), f"{_DOCS}#create-an-issue-comment")
    comment_id = state.add_comment(name, number, text, by_app=token.startswith("ghs_"))
    comment = build_comment(state.base_url, _find_comment(state, name, comment_id, "get"))
    return JsonAnswer(comment, 201, headers={"Location": str(comment["url"])})


@router.get("/repos/{owner}/{repo}/issues/comments/{comment_id}")
async def get_comment(name: Name, comment_id: Number, state: State, _token: Token) -> Response:
    """Shows a comment."""
    return JsonAnswer(build_comment(state.base_url, _find_comment(state, name, comment_id, "get")))


@router.patch("/repos/{owner}/{repo}/issues/comments/{comment_id}")
async def update_comment(request: Request, name: Name, comment_id: Number, state: State, _token: Token) -> Response:
    """Replaces a comment's text."""
    _find_comment(state, name, comment_id, "update")
    state.change_comment(comment_id, _read_text(await read_document(request), f"{_DOCS}#update-an-issue-comment"))
    return JsonAnswer(build_comment(state.base_url, _find_comment(state, name, comment_id, "update")))


@router.delete("/repos/{owner}/{repo}/issues/comments/{comment_id}")
async def delete_comment(name: Name, comment_id: Number, state: State, _token: Token) -> Response:
    """Deletes a comment."""
    if not state.delete_comment(name, comment_id):
        raise GitHubError(404, "Not Found", docs=f"{_DOCS}#delete-an-issue-comment")
    return Response(status_code=204)


def _find_comment(state: GitHubState, name: Repository, comment_id: int, verb: str) -> Row:
    row = state.read_comment(name, comment_id)
    if row is None:
        raise GitHubError(404, "Not Found", docs=f"{_DOCS}#{verb}-an-issue-comment")
    return row


def _read_text(document: dict[str, object], docs: str) -> str:
    if "body" not in document:
        raise GitHubError(422, 'Invalid request.\n\n"body" wasn\'t supplied.', docs=docs)
    text = document["body"]
    if not isinstance(text, str):
        shown = "nil" if text is None else text
        raise GitHubError(422, f"Invalid request.\n\nFor 'properties/body', {shown} is not a string.", docs=docs)
    fault = None
    if not text.strip():
        fault = "Body cannot be blank"
    elif len(text.encode()) > _MOST_BYTES:
        fault = "Body is too long (maximum is 65536 characters)"
    if fault:
        error = {"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": fault}
        raise GitHubError(422, "Validation Failed", docs=docs, errors=[error])
    return text
