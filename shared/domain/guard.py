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
# write access already, or be GitHub.
# https://docs.github.com/en/webhooks/webhook-events-and-payloads
_AUTHORED: Mapping[str, str] = {
    "issues": "issue",
    "issue_comment": "comment",
    "commit_comment": "comment",
    "pull_request": "pull_request",
    "pull_request_review": "review",
    "pull_request_review_comment": "comment",
    "pull_request_review_thread": "pull_request",
    "discussion": "discussion",
    "discussion_comment": "comment",
}
# What anybody may cause, and no member says who may write.
_ANYBODY = frozenset(
    {
        # A job of a fork's run asks for an environment, and nothing says whose it is.
        "deployment_protection_rule",
        "fork",
        "github_app_authorization",
        "gollum",
        # An issue of one's own repository can be tied to one of somebody else's.
        "issue_dependencies",
        "marketplace_purchase",
        "personal_access_token_request",
        # Vulnerabilities are reported by whoever finds them.
        "repository_advisory",
        "security_advisory",
        "sponsorship",
        "star",
        "sub_issues",
        "watch",
        # Of a fork's run too, and nothing says so.
        "workflow_job",
    }
)
# What is about a commit, which may be a fork's; what a deployment of no workflow run is about, is not.
_HEADS: Mapping[str, str] = {
    "check_run": "check_run",
    "check_suite": "check_suite",
    "deployment": "workflow_run",
    "deployment_review": "workflow_run",
    "deployment_status": "workflow_run",
    "workflow_run": "workflow_run",
}
_MAY_LACK_HEAD = ("deployment", "deployment_status")
# What a push to a fork, or its end, does to a pull request. Who merges may write.
_BY_PUSH = ("synchronize", "auto_merge_disabled", "dequeued", "closed")
# The checks of an App, and what people press of them.
_CHECKS = ("check_run", "check_suite")
_PRESSED = ("requested_action", "rerequested")
# Events whose runs of GitHub Actions are about the default branch, though anybody may cause them.
# https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows
_RUN_BY_ANYBODY = frozenset({*_AUTHORED, *_ANYBODY, "pull_request_target"}) - {"pull_request"}
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


def _text(value: object, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _login(value: object, name: str) -> str:
    return _text(_member(value, name), "login")


def _weigh_trust(event: str, payload: Mapping[str, Any]) -> tuple[bool, str]:
    sender = _login(payload, "sender") or "nobody named"
    if event in _ANYBODY:
        return False, f"anybody may cause {event}, as {sender} did"
    if event in _HEADS:
        return _weigh_head(event, payload)
    if event in _AUTHORED:
        return _weigh_author(event, payload, sender)
    if event == "status" and not payload.get("branches"):
        return False, "status is about a commit of a fork"
    if event == "code_scanning_alert" and _text(payload, "ref").startswith("refs/pull/"):
        return False, "code_scanning_alert is about a pull request, which anybody may open"
    return True, f"{event} needs write access"


def _weigh_author(event: str, payload: Mapping[str, Any], sender: str) -> tuple[bool, str]:
    authored = _member(payload, _AUTHORED[event])
    action = payload.get("action")
    if event == "pull_request" and action in _BY_PUSH and not (action == "closed" and authored.get("merged") is True):
        if _is_from_fork(payload, authored):
            did = "pushed to a fork" if action == "synchronize" else f"may have {action} it by a push to a fork"
            return False, f"{sender} {did}"
    elif (
        event == "pull_request_review" and action == "dismissed" and _is_from_fork(payload, payload.get("pull_request"))
    ):
        # Settings may have it that a push dismisses what was approved before.
        return False, f"{sender} may have dismissed it by a push to a fork"
    author, login = _login(authored, "user"), _login(payload, "sender")
    association = _text(authored, "author_association") or "NONE"
    if author and login and author.lower() != login.lower():
        if _text(_member(payload, "sender"), "type") == "Bot":
            # A bot labels whatever is opened: it does so because of what the author did.
            return association in TRUSTED, f"{sender} acted for {author}, who is {association} to the repository"
        # What somebody else's is, only those with write access (or triage) may change.
        return True, f"{sender} acted on what is {author}'s"
    return association in TRUSTED and bool(login), f"{sender} is {association} to the repository"


def _weigh_head(event: str, payload: Mapping[str, Any]) -> tuple[bool, str]:
    head = _member(payload, _HEADS[event])
    if not head and event in _MAY_LACK_HEAD:
        return True, f"{event} needs write access"
    if event in _CHECKS and payload.get("action") in _PRESSED:
        return True, "the button of a check needs write access"
    cause = _text(head, "event")
    if cause in _RUN_BY_ANYBODY:
        return False, f"{event} is about a run that anybody may cause by {cause}"
    is_from_fork = _is_of_fork(payload, head)
    return not is_from_fork, f"{event} is about a commit of {'a fork' if is_from_fork else 'the repository itself'}"


def _is_of_fork(payload: Mapping[str, Any], head: Mapping[str, Any]) -> bool:
    if "head_repository" in head:
        # A fork that was deleted is null.
        return _differs(_member(head, "head_repository"), payload)
    if head.get("pull_requests"):
        return False
    # GitHub names no branch and no pull requests for the commits of forks; a workflow run's branch may be a fork's.
    suite = _member(head, "check_suite") or head
    return suite.get("head_branch") is None or _text(head, "event").startswith("pull_request")


def _is_from_fork(payload: Mapping[str, Any], pull_request: object) -> bool:
    return _differs(_member(_member(pull_request, "head"), "repo"), payload)


def _differs(repository: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
    name = _text(repository, "full_name")
    return not name or name != _text(_member(payload, "repository"), "full_name")


def _find_cause(
    event: str, payload: Mapping[str, Any], surroundings: Surroundings
) -> tuple[Literal["ourselves", "an agent"] | None, str]:
    actors = {"sender": _login(payload, "sender").lower()}
    if event in _CHECKS and payload.get("action") in ("created", "completed"):
        # Its sender is whoever pushed the commit.
        actors["check's App"] = f"{_text(_member(_member(payload, event), 'app'), 'slug')}[bot]"
    for what, login in actors.items():
        if login in surroundings.own_logins:
            return "ourselves", f"the {what} is {login}"
        if login in surroundings.agent_logins:
            return "an agent", f"the {what} is {login}"
    for name in ("comment", "review", "issue", "pull_request"):
        # Only what is new: of a comment on an issue that we opened, the comment.
        authored = _member(payload, name)
        if authored:
            if MARKER_BEGINNING in _text(authored, "body"):
                return "ourselves", f"the {name} carries our mark"
            break
    if event == "status" and _text(payload, "context").startswith(OWN_CONTEXT):
        return "ourselves", "the status is our own"
    author = _login(_member(payload, "pull_request"), "user").lower() if event == "pull_request" else ""
    if author in surroundings.agent_logins and payload.get("action") == "opened":
        return "an agent", f"the pull request is {author}'s"
    return None, "nothing of ours caused it"
