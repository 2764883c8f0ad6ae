"""Issues and what hangs on them: labels, assignees, reactions. Pull requests are issues here.

https://docs.github.com/rest/issues, https://docs.github.com/rest/reactions
"""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.local.sandbox.answers import JsonAnswer
from shared.local.sandbox.github_auth import Token, require_user_agent
from shared.local.sandbox.github_errors import GitHubError
from shared.local.sandbox.github_fields import (
    add_missing,
    is_account,
    read_choice,
    read_text,
    read_texts,
    refuse_field,
)
from shared.local.sandbox.github_objects import Repository
from shared.local.sandbox.github_request import Name, Number, Paging, State, read_document, read_since
from shared.local.sandbox.github_state import GitHubState
from shared.local.sandbox.github_subject_objects import build_issue, build_label, build_reaction
from shared.local.sandbox.github_subjects import Subject
from shared.local.sandbox.store import format_time

router = APIRouter(dependencies=[Depends(require_user_agent)])

_ISSUES = "/issues/issues"
_LABELS = "/issues/labels"
_REACTIONS = "/reactions/reactions"
_CONTENTS = {"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}
_REASONS = {"completed", "not_planned", "duplicate", "reopened"}
_MOST_ASSIGNEES = 10
_MOST_TITLE = 256


@router.get("/repos/{owner}/{repo}/issues")
async def list_issues(request: Request, name: Name, state: State, _token: Token) -> Response:
    """Lists issues and pull requests that were written to, the newest first."""
    paging = Paging(request)
    wanted = request.query_params.get("state", "open")
    since = read_since(request, f"{_ISSUES}#list-repository-issues")
    found = [each for each in state.subjects.list_since(name, since) if wanted in {"all", each.state}]
    shown = found[paging.offset : paging.offset + paging.per_page]
    issues = [_show(state, subject) for subject in shown]
    return JsonAnswer(issues, headers=paging.list_headers(state.base_url, len(found)))


@router.post("/repos/{owner}/{repo}/issues")
async def create_issue(request: Request, name: Name, state: State, token: Token) -> Response:
    """Opens an issue."""
    document = await read_document(request)
    docs = f"{_ISSUES}#create-an-issue"
    title = read_text(document, "title", docs, is_required=True) or ""
    if not title.strip():
        refuse_field("Issue", "title", "missing_field", docs)
    if len(title) > _MOST_TITLE:
        refuse_field("Issue", "title", "custom", docs, f"title is too long (maximum is {_MOST_TITLE} characters)")
    now = format_time()
    subject = Subject(
        owner=name.owner,
        repo=name.repo,
        number=state.subjects.choose_number(name),
        is_pull=False,
        title=title,
        body=read_text(document, "body", docs),
        by_app=token.startswith("ghs_"),
        labels=read_texts(document, "labels", docs),
        assignees=[login for login in read_texts(document, "assignees", docs) if is_account(login)],
        created_at=now,
    )
    state.subjects.save(subject)
    issue = _show(state, subject)
    return JsonAnswer(issue, 201, headers={"Location": str(issue["url"])})


@router.get("/repos/{owner}/{repo}/issues/{number}")
async def get_issue(name: Name, number: Number, state: State, _token: Token) -> Response:
    """Shows an issue or pull request."""
    return JsonAnswer(_show(state, state.subjects.read(name, number)))


@router.patch("/repos/{owner}/{repo}/issues/{number}")
async def update_issue(request: Request, name: Name, number: Number, state: State, _token: Token) -> Response:
    """Opens or closes an issue or pull request, or changes its text."""
    document = await read_document(request)
    subject = state.subjects.read(name, number)
    change_subject(subject, document, f"{_ISSUES}#update-an-issue")
    state.subjects.save(subject)
    return JsonAnswer(_show(state, subject))


def change_subject(subject: Subject, document: dict[str, object], docs: str) -> None:
    """Makes the changes that issues and pull requests have in common. Raises GitHubError: 422."""
    wanted = read_choice(document, "state", {"open", "closed"}, docs)
    reason = read_choice(document, "state_reason", _REASONS, docs)
    subject.title = read_text(document, "title", docs) or subject.title
    subject.body = read_text(document, "body", docs) or subject.body
    if wanted == "closed":
        subject.close(None if subject.is_pull else reason or "completed")
    elif wanted == "open":
        subject.state, subject.state_reason, subject.closed_at = "open", None, None


@router.get("/repos/{owner}/{repo}/issues/{number}/labels")
async def list_labels(request: Request, name: Name, number: Number, state: State, _token: Token) -> Response:
    """Lists an issue's labels."""
    paging = Paging(request)
    labels = _list_labels(state, state.subjects.read(name, number))
    shown = labels[paging.offset : paging.offset + paging.per_page]
    return JsonAnswer(shown, headers=paging.list_headers(state.base_url, len(labels)))


@router.post("/repos/{owner}/{repo}/issues/{number}/labels")
async def add_labels(request: Request, name: Name, number: Number, state: State, _token: Token) -> Response:
    """Adds labels; ones that the repository has not are made."""
    docs = f"{_LABELS}#add-labels-to-an-issue"
    labels = read_texts(await read_document(request), "labels", docs)
    if not labels or not all(label.strip() for label in labels):
        refuse_field("Label", "name", "missing_field", docs)
    subject = state.subjects.read(name, number)
    add_missing(subject.labels, labels)
    state.subjects.save(subject)
    return JsonAnswer(_list_labels(state, subject))


@router.delete("/repos/{owner}/{repo}/issues/{number}/labels/{label:path}")
async def remove_label(name: Name, number: Number, label: str, state: State, _token: Token) -> Response:
    """Removes a label."""
    subject = state.subjects.read(name, number)
    left = [each for each in subject.labels if each.lower() != label.lower()]
    if left == subject.labels:
        raise GitHubError(404, "Label does not exist", docs=f"{_LABELS}#remove-a-label-from-an-issue")
    subject.labels = left
    state.subjects.save(subject)
    return JsonAnswer(_list_labels(state, subject))


@router.post("/repos/{owner}/{repo}/issues/{number}/assignees")
async def add_assignees(request: Request, name: Name, number: Number, state: State, _token: Token) -> Response:
    """Assigns people; those who cannot be are left out without a word, as is whoever is one too many."""
    logins = read_texts(await read_document(request), "assignees", "/issues/assignees#add-assignees-to-an-issue")
    subject = state.subjects.read(name, number)
    add_missing(subject.assignees, [login for login in logins if is_account(login)])
    del subject.assignees[_MOST_ASSIGNEES:]
    state.subjects.save(subject)
    return JsonAnswer(_show(state, subject), 201)


@router.post("/repos/{owner}/{repo}/issues/{number}/reactions")
async def react_to_issue(request: Request, name: Name, number: Number, state: State, token: Token) -> Response:
    """Reacts to an issue or pull request."""
    return await _react(request, name, f"issue {number}", state, token)


@router.post("/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions")
async def react_to_comment(request: Request, name: Name, comment_id: Number, state: State, token: Token) -> Response:
    """Reacts to a comment; any number is one, since a comment of an event was not written here."""
    return await _react(request, name, f"comment {comment_id}", state, token)


@router.post("/repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions")
async def react_to_review_comment(
    request: Request, name: Name, comment_id: Number, state: State, token: Token
) -> Response:
    """Reacts to a comment on a diff; any number is one."""
    return await _react(request, name, f"review comment {comment_id}", state, token)


async def _react(request: Request, name: Repository, target: str, state: GitHubState, token: str) -> Response:
    docs = f"{_REACTIONS}#create-reaction-for-an-issue"
    content = read_choice(await read_document(request), "content", _CONTENTS, docs, is_required=True) or ""
    row, is_new = state.records.add_reaction(name, target, content, by_app=token.startswith("ghs_"))
    return JsonAnswer(build_reaction(state.base_url, row), 201 if is_new else 200)


def _show(state: GitHubState, subject: Subject) -> dict[str, object]:
    return build_issue(state.base_url, subject, state.count_comments(subject.name, subject.number))


def _list_labels(state: GitHubState, subject: Subject) -> list[dict[str, object]]:
    return [build_label(state.base_url, subject, label) for label in subject.labels]
