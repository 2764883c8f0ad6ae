"""Pull requests: their state, files, reviewers and reviews, and merging them.

https://docs.github.com/rest/pulls
"""

import re

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.local.sandbox.answers import JsonAnswer
from shared.local.sandbox.github_auth import Token, require_user_agent
from shared.local.sandbox.github_errors import GitHubError
from shared.local.sandbox.github_fields import add_missing, is_account, read_choice, read_text, read_texts
from shared.local.sandbox.github_issues import change_subject
from shared.local.sandbox.github_objects import ACCOUNT, Repository, derive_sha
from shared.local.sandbox.github_request import Name, Number, Paging, State, read_document
from shared.local.sandbox.github_state import GitHubState
from shared.local.sandbox.github_subject_objects import build_file, build_pull, build_review
from shared.local.sandbox.github_subjects import Subject

router = APIRouter(dependencies=[Depends(require_user_agent)])

_PULLS = "/pulls/pulls"
_REVIEWS = "/pulls/reviews#create-a-review-for-a-pull-request"
_REQUESTS = "/pulls/review-requests#request-reviewers-for-a-pull-request"
_SLUG = re.compile(r"[a-z0-9_-]+")
_STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
# What GitHub says of each state it will not merge.
_REFUSALS = {
    "behind": "Head branch is out of date. Review and try the merge again.",
    "blocked": "At least 1 approving review is required by reviewers with write access.",
    "dirty": "Pull Request is not mergeable",
    "draft": "Pull Request is still a draft",
    "unknown": "Pull Request is not mergeable",
}


@router.get("/repos/{owner}/{repo}/commits/{sha}/pulls")
async def list_pulls_of_commit(name: Name, sha: str, _token: Token) -> Response:
    """Lists a commit's pull requests: the sandbox knows of none."""
    del name, sha
    return JsonAnswer([])


@router.get("/repos/{owner}/{repo}/pulls/{number}")
async def get_pull_request(name: Name, number: Number, state: State, _token: Token) -> Response:
    """Shows a pull request."""
    return JsonAnswer(_show(state, _find_pull(state, name, number)))


@router.patch("/repos/{owner}/{repo}/pulls/{number}")
async def update_pull_request(request: Request, name: Name, number: Number, state: State, _token: Token) -> Response:
    """Opens or closes a pull request, or changes its text."""
    document = await read_document(request)
    subject = _find_pull(state, name, number)
    change_subject(subject, document, f"{_PULLS}#update-a-pull-request")
    state.subjects.save(subject)
    return JsonAnswer(_show(state, subject))


@router.get("/repos/{owner}/{repo}/pulls/{number}/files")
async def list_files(request: Request, name: Name, number: Number, state: State, _token: Token) -> Response:
    """Lists what a pull request changes: nothing, unless it was scripted."""
    paging = Paging(request)
    subject = _find_pull(state, name, number)
    shown = subject.files[paging.offset : paging.offset + paging.per_page]
    files = [build_file(state.base_url, subject, file) for file in shown]
    return JsonAnswer(files, headers=paging.list_headers(state.base_url, len(subject.files)))


@router.post("/repos/{owner}/{repo}/pulls/{number}/requested_reviewers")
async def request_reviewers(request: Request, name: Name, number: Number, state: State, _token: Token) -> Response:
    """Asks people and teams for their review."""
    document = await read_document(request)
    subject = _find_pull(state, name, number)
    people, teams = read_texts(document, "reviewers", _REQUESTS), read_texts(document, "team_reviewers", _REQUESTS)
    if subject.author.lower() in {login.lower() for login in people}:
        raise GitHubError(422, "Review cannot be requested from pull request author.", docs=_REQUESTS)
    if not all(map(is_account, people)) or not all(map(_SLUG.fullmatch, teams)):
        message = (
            "Reviews may only be requested from collaborators. One or more of the users or teams you specified is"
            f" not a collaborator of the {name.owner}/{name.repo} repository."
        )
        raise GitHubError(422, message, docs=_REQUESTS)
    add_missing(subject.reviewers, people)
    add_missing(subject.teams, teams)
    state.subjects.save(subject)
    return JsonAnswer(_show(state, subject), 201)


@router.get("/repos/{owner}/{repo}/pulls/{number}/reviews")
async def list_reviews(request: Request, name: Name, number: Number, state: State, _token: Token) -> Response:
    """Lists a pull request's reviews, oldest first."""
    paging = Paging(request)
    rows = state.records.list_reviews(name, _find_pull(state, name, number).number)
    shown = rows[paging.offset : paging.offset + paging.per_page]
    reviews = [build_review(state.base_url, row) for row in shown]
    return JsonAnswer(reviews, headers=paging.list_headers(state.base_url, len(rows)))


@router.post("/repos/{owner}/{repo}/pulls/{number}/reviews")
async def create_review(request: Request, name: Name, number: Number, state: State, token: Token) -> Response:
    """Reviews a pull request; without an ``event`` the review would be pending, which nobody here asks for."""
    document = await read_document(request)
    subject = _find_pull(state, name, number)
    event = read_choice(document, "event", set(_STATES), _REVIEWS, is_required=True) or ""
    body = read_text(document, "body", _REVIEWS) or ""
    by_app = token.startswith("ghs_")
    fault = None
    if event != "COMMENT" and not by_app and subject.author == ACCOUNT:
        verb = "approve" if event == "APPROVE" else "request changes on"
        fault = f"Review Can not {verb} your own pull request"
    elif event != "APPROVE" and not body.strip():
        fault = "Review Body can't be blank"
    if fault is not None:
        # Of this operation alone the errors are texts.
        raise GitHubError(422, "Unprocessable Entity", docs=_REVIEWS, errors=[fault])
    commit_id = read_text(document, "commit_id", _REVIEWS) or subject.head
    row = state.records.add_review(name, number, state=_STATES[event], body=body, commit_id=commit_id, by_app=by_app)
    return JsonAnswer(build_review(state.base_url, row))


@router.put("/repos/{owner}/{repo}/pulls/{number}/merge")
async def merge_pull_request(request: Request, name: Name, number: Number, state: State, _token: Token) -> Response:
    """Merges a pull request, if it can be and its head is the one that is expected."""
    docs = f"{_PULLS}#merge-a-pull-request"
    document = await read_document(request)
    read_choice(document, "merge_method", {"merge", "squash", "rebase"}, docs)
    subject = _find_pull(state, name, number)
    if subject.state != "open":
        raise GitHubError(405, "Pull Request is not mergeable", docs=docs)
    if not subject.expect_head(read_text(document, "sha", docs)):
        raise GitHubError(409, "Head branch was modified. Review and try the merge again.", docs=docs)
    if subject.mergeable_state in _REFUSALS:
        raise GitHubError(405, _REFUSALS[subject.mergeable_state], docs=docs)
    subject.merge()
    state.subjects.save(subject)
    sha = derive_sha(f"{name.owner}/{name.repo}#{number} merged")
    return JsonAnswer({"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


@router.put("/repos/{owner}/{repo}/pulls/{number}/update-branch")
async def update_branch(request: Request, name: Name, number: Number, state: State, _token: Token) -> Response:
    """Merges the base into a pull request's branch: its head is another afterwards."""
    docs = f"{_PULLS}#update-a-pull-request-branch"
    document = await read_document(request)
    subject = _find_pull(state, name, number)
    if not subject.expect_head(read_text(document, "expected_head_sha", docs)):
        raise GitHubError(422, "expected head sha didn\u2019t match current head ref.", docs=docs)
    if subject.mergeable_state == "dirty":
        raise GitHubError(422, "merge conflict between base and head", docs=docs)
    if not subject.is_behind:
        raise GitHubError(422, "There are no new commits on the base branch.", docs=docs)
    subject.head_sha, subject.is_behind = derive_sha(f"{subject.head} updated"), False
    if subject.mergeable_state == "behind":
        subject.mergeable_state = "clean"
    state.subjects.save(subject)
    url = f"{state.base_url}/repos/{name.owner}/{name.repo}/pulls/{number}"
    return JsonAnswer({"message": "Updating pull request branch.", "url": url}, 202)


def _find_pull(state: GitHubState, name: Repository, number: int) -> Subject:
    subject = state.subjects.read(name, number)
    if not subject.is_pull:
        raise GitHubError(404, "Not Found", docs=f"{_PULLS}#get-a-pull-request")
    return subject


def _show(state: GitHubState, subject: Subject) -> dict[str, object]:
    return build_pull(state.base_url, subject, state.count_comments(subject.name, subject.number))
