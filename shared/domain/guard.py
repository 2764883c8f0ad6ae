"""Who caused a delivery: whether they may be trusted to start agents, and whether it was ourselves.

Nothing is asked of GitHub: the payload says what the sender is to the repository.
https://docs.github.com/en/graphql/reference/enums#commentauthorassociation
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from shared.domain.effect import MARKER_BEGINNING
from shared.domain.workflow import Workflow

TRUSTED = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
# What anybody may cause, each with the member that says whose it is. To cause any other event, one must have
# write access already.
# https://docs.github.com/en/webhooks/webhook-events-and-payloads
_AUTHORED: Mapping[str, str] = {
    "issues": "issue",
    "issue_comment": "comment",
    "commit_comment": "comment",
    "pull_request": "pull_request",
    "pull_request_target": "pull_request",
    "pull_request_review": "review",
    "pull_request_review_comment": "comment",
    "pull_request_review_thread": "pull_request",
    "discussion": "discussion",
    "discussion_comment": "comment",
}
_ANYBODY = frozenset({"fork", "gollum", "sponsorship", "star", "watch"})
_HEADS: Mapping[str, str] = {
    "check_run": "check_run",
    "check_suite": "check_suite",
    "workflow_run": "workflow_run",
    "workflow_job": "workflow_job",
}
# The contexts of our own commit statuses begin so; they carry no other mark.
OWN_CONTEXT = "webhook-orchestrator"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Who we and our agents are to GitHub.

    Attributes:
        own_logins: under which our own App acts, in lower case (``our-app[bot]``).
        agent_logins: under which agents act (``codegen-sh[bot]``).
    """

    own_logins: frozenset[str] = frozenset()
    agent_logins: frozenset[str] = frozenset()


class Provenance(NamedTuple):
    """Where a delivery comes from.

    Attributes:
        is_trusted: caused by somebody with write access.
        standing: why, or why not.
        cause: what of ours caused it: our own App or a mark of it, an agent, or nothing.
        trace: how that shows.
    """

    is_trusted: bool
    standing: str
    cause: Literal["ourselves", "an agent"] | None
    trace: str


def trace_provenance(event: str, payload: Mapping[str, Any], surroundings: Surroundings) -> Provenance:
    """Returns where a delivery comes from. Never raises: a payload may hold anything anywhere."""
    is_trusted, standing = _weigh_trust(event, payload)
    cause, trace = _find_cause(event, payload, surroundings)
    return Provenance(is_trusted, standing, cause, trace)


def refuse(workflow: Workflow, provenance: Provenance) -> str | None:
    """Returns why a workflow that matches may not run all the same; None when it may."""
    guard = workflow.guard
    if guard.loops == "refuse" and provenance.cause is not None:
        is_refused = provenance.cause == "ourselves" or workflow.starts_agents
        if is_refused:
            return f"guard.loops is refuse, and {provenance.cause} caused this: {provenance.trace}"
    if guard.trust == "write" and workflow.needs_trust and not provenance.is_trusted:
        return f"guard.trust is write, and {provenance.standing}"
    return None


def _member(value: object, name: str) -> Mapping[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _login(value: object, name: str) -> str:
    return str(_member(value, name).get("login") or "")


def _weigh_trust(event: str, payload: Mapping[str, Any]) -> tuple[bool, str]:
    sender = _login(payload, "sender") or "nobody named"
    if event in _ANYBODY:
        return False, f"anybody may cause {event}, as {sender} did"
    head = _member(payload, _HEADS.get(event, ""))
    if head:
        return _weigh_head(event, payload, head)
    authored = _member(payload, _AUTHORED.get(event, ""))
    if not authored:
        return True, f"{event} needs write access"
    if event == "pull_request" and payload.get("action") == "synchronize" and _is_from_fork(payload, authored):
        return False, f"{sender} pushed to a fork"
    author = _login(authored, "user")
    if author and author != _login(payload, "sender"):
        # What somebody else's is, only those with write access (or triage) may change.
        return True, f"{sender} acted on what is {author}'s"
    association = str(authored.get("author_association") or "NONE")
    return association in TRUSTED, f"{sender} is {association} to the repository"


def _weigh_head(event: str, payload: Mapping[str, Any], head: Mapping[str, Any]) -> tuple[bool, str]:
    suite = _member(head, "check_suite") or head
    repository = _member(payload, "repository").get("full_name")
    origin = _member(head, "head_repository").get("full_name", repository)
    # GitHub names no branch and no pull requests for the commits of forks.
    if payload.get("action") in {"requested_action", "rerequested"}:
        return True, "the button of a check needs write access"
    is_from_fork = origin != repository or (suite.get("head_branch") is None and not head.get("pull_requests"))
    return not is_from_fork, f"{event} is about a commit of {'a fork' if is_from_fork else 'the repository itself'}"


def _is_from_fork(payload: Mapping[str, Any], pull_request: Mapping[str, Any]) -> bool:
    # A fork that was deleted is null.
    origin = _member(_member(pull_request, "head"), "repo").get("full_name")
    return bool(origin != _member(payload, "repository").get("full_name"))


def _find_cause(
    event: str, payload: Mapping[str, Any], surroundings: Surroundings
) -> tuple[Literal["ourselves", "an agent"] | None, str]:
    sender = _login(payload, "sender").lower()
    if sender and sender in surroundings.own_logins:
        return "ourselves", f"the sender is {sender}"
    if sender and sender in surroundings.agent_logins:
        return "an agent", f"the sender is {sender}"
    for name in ("comment", "review", "issue", "pull_request"):
        # Only what is new: of a comment on an issue that we opened, the comment.
        authored = _member(payload, name)
        if authored:
            if MARKER_BEGINNING in str(authored.get("body") or ""):
                return "ourselves", f"the {name} carries our mark"
            break
    if event == "status" and str(payload.get("context") or "").startswith(OWN_CONTEXT):
        return "ourselves", "the status is our own"
    author = _login(_member(payload, "pull_request"), "user").lower() if event == "pull_request" else ""
    if author in surroundings.agent_logins and payload.get("action") == "opened":
        return "an agent", f"the pull request is {author}'s"
    return None, "nothing of ours caused it"
