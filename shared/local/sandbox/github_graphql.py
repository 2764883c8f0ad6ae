"""GraphQL, as far as REST does not reach: turning auto-merge on. Its errors come with HTTP 200.

https://docs.github.com/graphql/reference/mutations#enablepullrequestautomerge
"""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.local.sandbox.answers import JsonAnswer
from shared.local.sandbox.github_auth import Token, require_user_agent
from shared.local.sandbox.github_request import State, read_document
from shared.local.sandbox.github_state import GitHubState
from shared.local.sandbox.github_subject_objects import read_node_id
from shared.local.sandbox.store import format_time

router = APIRouter(dependencies=[Depends(require_user_agent)])

_MUTATION = "enablePullRequestAutoMerge"
_METHODS = {"MERGE", "SQUASH", "REBASE"}


class _Refusal(Exception):
    """An error of the answer: its type and sentence."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@router.post("/graphql")
async def answer_query(request: Request, state: State, _token: Token) -> Response:
    """Turns auto-merge on."""
    document = await read_document(request)
    variables = document.get("variables")
    wanted = variables.get("input") if isinstance(variables, dict) else None
    if _MUTATION not in str(document.get("query")) or not isinstance(wanted, dict):
        return JsonAnswer({"errors": [{"message": "The sandbox knows one mutation, with an $input."}]})
    try:
        return JsonAnswer({"data": {_MUTATION: {"pullRequest": _enable(state, wanted)}}})
    except _Refusal as refusal:
        place = {"locations": [{"line": 2, "column": 3}], "path": [_MUTATION]}
        error = {"type": refusal.kind, **place, "message": str(refusal)}
        return JsonAnswer({"data": {_MUTATION: None}, "errors": [error]})


def _enable(state: GitHubState, wanted: dict[str, object]) -> dict[str, object]:
    node_id, method = wanted.get("pullRequestId"), wanted.get("mergeMethod", "MERGE")
    found = read_node_id(node_id)
    if found is None:
        raise _Refusal("NOT_FOUND", f"Could not resolve to a node with the global id of '{node_id}'.")
    subject = state.subjects.read(*found)
    fault = None
    if method not in _METHODS:
        fault = f"Argument 'mergeMethod' has an invalid value ({method})."
    elif not subject.allows_auto_merge:
        fault = "Pull request Auto merge is not allowed for this repository"
    elif subject.state != "open":
        fault = "Can't enable auto-merge for this pull request"
    elif not subject.expect_head(wanted.get("expectedHeadOid")):
        fault = "Head sha didn't match expected value."
    elif subject.mergeable_state in {"clean", "unstable"}:
        fault = f"Pull request Pull request is in {subject.mergeable_state} status"
    if fault is not None:
        raise _Refusal("UNPROCESSABLE", fault)
    subject.auto_merge = str(method).lower()  # type: ignore[assignment] # one of the three just above
    state.subjects.save(subject)
    return {"number": subject.number, "autoMergeRequest": {"enabledAt": format_time(), "mergeMethod": method}}
