"""Who caused a delivery: whom it trusts, what it takes for our own doing, and what it refuses."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.guard import Provenance, Surroundings, refuse, trace_provenance
from shared.domain.workflow import Workflow
from tests.support.factories import build_workflow, read_events, read_payloads

SURROUNDINGS = Surroundings(frozenset({"our-app[bot]"}), frozenset({"codegen-sh[bot]"}))
MARK = "<!-- webhook-orchestrator effect=0b4f -->"
ADA, MALLORY = {"login": "ada"}, {"login": "mallory"}
HERE = {"full_name": "acme/widgets"}
FORK = {"full_name": "mallory/widgets"}


def trace(event: str, sender: object = ADA, **members: object) -> Provenance:
    return trace_provenance(event, {"repository": HERE, "sender": sender, **members}, SURROUNDINGS)


def by(user: object, association: str, **members: object) -> dict[str, Any]:
    return {"user": user, "author_association": association, **members}


def head(repository: object, **members: object) -> dict[str, Any]:
    return {"head": {"repo": repository}, **members}


@pytest.mark.parametrize("association", ["OWNER", "MEMBER", "COLLABORATOR"])
@pytest.mark.parametrize(
    ("event", "member"),
    [("issues", "issue"), ("issue_comment", "comment"), ("pull_request", "pull_request"), ("discussion", "discussion")],
)
def test_whoever_may_write_is_trusted(event: str, member: str, association: str) -> None:
    provenance = trace(event, **{member: by(ADA, association)})
    assert (provenance.is_trusted, provenance.cause) == (True, None)
    assert provenance.standing == f"ada is {association} to the repository"


@pytest.mark.parametrize(
    ("event", "members", "standing"),
    [
        ("issue_comment", {"comment": by(MALLORY, "NONE")}, "mallory is NONE to the repository"),
        # Whose issue it is does not matter, nor what the other member says.
        (
            "issue_comment",
            {"comment": by(MALLORY, "NONE"), "issue": by(ADA, "OWNER")},
            "mallory is NONE to the repository",
        ),
        ("commit_comment", {"comment": by(MALLORY, "CONTRIBUTOR")}, "mallory is CONTRIBUTOR to the repository"),
        ("pull_request", {"pull_request": by(MALLORY, "FIRST_TIMER")}, "mallory is FIRST_TIMER to the repository"),
        ("pull_request_review", {"review": by(MALLORY, "MANNEQUIN")}, "mallory is MANNEQUIN to the repository"),
        ("pull_request_review_comment", {"comment": by(MALLORY, "NONE")}, "mallory is NONE to the repository"),
        ("discussion_comment", {"comment": {"user": MALLORY}}, "mallory is NONE to the repository"),
        ("discussion", {"discussion": {"user": None}}, "mallory is NONE to the repository"),
        (
            "pull_request",
            {"action": "synchronize", "pull_request": by(ADA, "OWNER", **head(FORK))},
            "mallory pushed to a fork",
        ),
        (
            "pull_request",
            {"action": "synchronize", "pull_request": by(ADA, "OWNER", **head(None))},
            "mallory pushed to a fork",
        ),
        ("star", {}, "anybody may cause star, as mallory did"),
        ("fork", {"forkee": FORK}, "anybody may cause fork, as mallory did"),
        ("gollum", {"pages": []}, "anybody may cause gollum, as mallory did"),
        (
            "workflow_run",
            {"workflow_run": {"head_repository": FORK, "head_branch": "main"}},
            "workflow_run is about a commit of a fork",
        ),
        # The fork was deleted since.
        (
            "workflow_run",
            {"workflow_run": {"head_repository": None, "head_branch": "main"}},
            "workflow_run is about a commit of a fork",
        ),
        (
            "deployment_status",
            {"workflow_run": {"event": "pull_request", "head_branch": "main", "pull_requests": []}},
            "deployment_status is about a commit of a fork",
        ),
        ("workflow_job", {"workflow_job": {"head_branch": "main"}}, "anybody may cause workflow_job, as mallory did"),
        ("status", {"state": "failure", "branches": []}, "status is about a commit of a fork"),
        (
            "code_scanning_alert",
            {"ref": "refs/pull/7/merge"},
            "code_scanning_alert is about a pull request, which anybody may open",
        ),
        # Neither of them is the author: a push to the fork did it.
        (
            "pull_request",
            {"action": "auto_merge_disabled", "pull_request": by(ADA, "OWNER", **head(FORK))},
            "mallory may have auto_merge_disabled it by a push to a fork",
        ),
        (
            "pull_request",
            {"action": "closed", "pull_request": by(ADA, "OWNER", merged=False, **head(None))},
            "mallory may have closed it by a push to a fork",
        ),
        (
            "pull_request_review",
            {"action": "dismissed", "review": by(ADA, "OWNER"), "pull_request": head(FORK)},
            "mallory may have dismissed it by a push to a fork",
        ),
        # Anybody may cause it, though its commit is the repository's own.
        (
            "workflow_run",
            {"workflow_run": {"head_repository": HERE, "head_branch": "main", "event": "issue_comment"}},
            "workflow_run is about a run that anybody may cause by issue_comment",
        ),
        # Logins are the same in any case.
        ("issues", {"issue": by({"login": "Mallory"}, "NONE")}, "mallory is NONE to the repository"),
        (
            "check_suite",
            {"check_suite": {"head_branch": None, "pull_requests": []}},
            "check_suite is about a commit of a fork",
        ),
        (
            "check_run",
            {"check_run": {"check_suite": {"head_branch": None}, "pull_requests": []}},
            "check_run is about a commit of a fork",
        ),
    ],
)
def test_whoever_may_not_write_is_not(event: str, members: dict[str, Any], standing: str) -> None:
    provenance = trace(event, MALLORY, **members)
    assert (provenance.is_trusted, provenance.standing) == (False, standing)


@pytest.mark.parametrize(("association", "is_trusted"), [("NONE", False), ("MEMBER", True)])
def test_a_bot_does_what_it_does_because_of_the_author(association: str, *, is_trusted: bool) -> None:
    bot = {"login": "labeler[bot]", "type": "Bot"}
    provenance = trace("pull_request", bot, action="labeled", pull_request=by(MALLORY, association))
    standing = f"labeler[bot] acted for mallory, who is {association} to the repository"
    assert (provenance.is_trusted, provenance.standing) == (is_trusted, standing)


@pytest.mark.parametrize(
    ("event", "members", "standing"),
    [
        # A maintainer's label on a stranger's pull request.
        ("pull_request", {"action": "labeled", "pull_request": by(MALLORY, "NONE")}, "ada acted on what is mallory's"),
        ("issues", {"action": "assigned", "issue": by(MALLORY, "NONE")}, "ada acted on what is mallory's"),
        ("push", {"ref": "refs/heads/main"}, "push needs write access"),
        (
            "check_run",
            {"action": "requested_action", "check_run": {"name": "Approval"}},
            "the button of a check needs write access",
        ),
        (
            "workflow_run",
            {"workflow_run": {"head_repository": HERE, "head_branch": "main"}},
            "workflow_run is about a commit of the repository itself",
        ),
        (
            "pull_request",
            {"action": "synchronize", "pull_request": by(ADA, "MEMBER", **head(HERE))},
            "ada is MEMBER to the repository",
        ),
        (
            "pull_request",
            {"action": "closed", "pull_request": by(MALLORY, "NONE", merged=True, **head(FORK))},
            "ada acted on what is mallory's",
        ),
        (
            "pull_request_review",
            {"action": "dismissed", "review": by(MALLORY, "NONE"), "pull_request": head(HERE)},
            "ada acted on what is mallory's",
        ),
        (
            "check_suite",
            {"check_suite": {"head_branch": "main", "pull_requests": []}},
            "check_suite is about a commit of the repository itself",
        ),
        ("deployment", {"workflow_run": None}, "deployment needs write access"),
        (
            "deployment",
            {"workflow_run": {"event": "pull_request", "head_branch": "topic", "pull_requests": [{"number": 7}]}},
            "deployment is about a commit of the repository itself",
        ),
        ("status", {"branches": [{"name": "main"}]}, "status needs write access"),
        ("code_scanning_alert", {"ref": "refs/heads/main"}, "code_scanning_alert needs write access"),
    ],
)
def test_what_needs_write_access_is_trusted(event: str, members: dict[str, Any], standing: str) -> None:
    provenance = trace(event, **members)
    assert (provenance.is_trusted, provenance.standing) == (True, standing)


# Of GitHub's 75 events those that may be caused without write access, or whose payload has to say by whom.
NOT_BY_THEMSELVES = """
check_run check_suite commit_comment deployment_protection_rule deployment_review discussion discussion_comment fork
github_app_authorization gollum issue_comment issue_dependencies issues marketplace_purchase
personal_access_token_request pull_request pull_request_review pull_request_review_comment pull_request_review_thread
repository_advisory security_advisory sponsorship star status sub_issues watch workflow_job workflow_run
"""


@pytest.mark.parametrize("event", read_events())
def test_an_event_that_says_nothing_is_trusted_only_when_it_needs_write_access(event: str) -> None:
    provenance = trace(event, {"login": "mallory", "type": "User"})
    assert provenance.is_trusted == (event not in NOT_BY_THEMSELVES.split()), provenance.standing


@pytest.mark.parametrize("event", ["issues", "issue_comment", "pull_request", "discussion"])
def test_nobody_is_not_trusted(event: str) -> None:
    member = "comment" if event == "issue_comment" else event.removesuffix("s")
    provenance = trace(event, None, **{member: by(ADA, "OWNER")})
    assert (provenance.is_trusted, provenance.standing) == (False, "nobody named is OWNER to the repository")


@pytest.mark.parametrize(
    ("event", "sender", "members", "cause", "told"),
    [
        ("push", {"login": "Our-App[bot]"}, {}, "ourselves", "the sender is our-app[bot]"),
        ("push", {"login": "codegen-sh[bot]"}, {}, "an agent", "the sender is codegen-sh[bot]"),
        ("issue_comment", ADA, {"comment": {"body": f"Done\n\n{MARK}"}}, "ourselves", "the comment carries our mark"),
        ("issues", ADA, {"issue": {"body": MARK}}, "ourselves", "the issue carries our mark"),
        ("pull_request_review", ADA, {"review": {"body": MARK}}, "ourselves", "the review carries our mark"),
        ("status", ADA, {"context": "webhook-orchestrator/push"}, "ourselves", "the status is our own"),
        (
            "pull_request",
            ADA,
            {"action": "opened", "pull_request": {"user": {"login": "codegen-sh[bot]"}}},
            "an agent",
            "the pull request is codegen-sh[bot]'s",
        ),
        # A person's comment on an issue of ours is a person's.
        (
            "issue_comment",
            ADA,
            {"comment": {"body": "Thanks"}, "issue": {"body": MARK}},
            None,
            "nothing of ours caused it",
        ),
        ("push", {"login": "renovate[bot]"}, {}, None, "nothing of ours caused it"),
        (
            "check_run",
            ADA,
            {"action": "completed", "check_run": {"app": {"slug": "our-app"}}},
            "ourselves",
            "the check's App is our-app[bot]",
        ),
        (
            "check_suite",
            ADA,
            {"action": "completed", "check_suite": {"app": {"slug": "codegen-sh"}}},
            "an agent",
            "the check's App is codegen-sh[bot]",
        ),
        # A person presses a button of our check; GitHub asks every App for a look at what a person has pushed.
        (
            "check_run",
            ADA,
            {"action": "requested_action", "check_run": {"app": {"slug": "our-app"}}},
            None,
            "nothing of ours caused it",
        ),
        (
            "check_suite",
            ADA,
            {"action": "requested", "check_suite": {"app": {"slug": "our-app"}}},
            None,
            "nothing of ours caused it",
        ),
        ("push", None, {}, None, "nothing of ours caused it"),
    ],
)
def test_what_is_our_own_doing(
    event: str, sender: object, members: dict[str, Any], cause: str | None, told: str
) -> None:
    provenance = trace(event, sender, **members)
    assert (provenance.cause, provenance.trace) == (cause, told)


COMMENT = {"uses": "github.comment", "with": {"body": "Hi"}}
AGENT = {"uses": "codegen.run", "with": {"prompt": "Work"}}
APPROVAL = {"uses": "approval.wait"}
CANCEL = {"uses": "orchestrator.cancel"}


def build_guarded(*steps: dict[str, Any], **guard: object) -> Workflow:
    return Workflow.model_validate({**build_workflow(*steps).definition, "name": "guarded", "guard": guard})


@pytest.mark.parametrize(
    ("workflow", "cause", "is_trusted", "because"),
    [
        (build_guarded(AGENT), None, True, None),
        (build_guarded(AGENT), None, False, "guard.trust is write, and so it stands"),
        (build_guarded(AGENT, trust="anyone"), None, False, None),
        (build_guarded(CANCEL), None, False, "guard.trust is write, and so it stands"),
        (build_guarded(COMMENT), None, False, None),
        # Whom somebody has approved needs no trust of its own; an agent before that does.
        (build_guarded(APPROVAL, AGENT), None, False, None),
        (build_guarded(AGENT, APPROVAL), None, False, "guard.trust is write, and so it stands"),
        (build_guarded(COMMENT), "ourselves", True, "guard.loops is refuse, and ourselves caused this: so it shows"),
        (build_guarded(COMMENT), "an agent", True, None),
        (build_guarded(AGENT), "an agent", True, "guard.loops is refuse, and an agent caused this: so it shows"),
        (build_guarded(AGENT, loops="allow"), "an agent", True, None),
        (build_guarded(AGENT, loops="allow"), "ourselves", False, "guard.trust is write, and so it stands"),
    ],
)
def test_what_is_refused_and_why(workflow: Workflow, cause: Any, because: str | None, *, is_trusted: bool) -> None:  # noqa: ANN401 - a literal
    assert refuse(workflow, Provenance(is_trusted, "so it stands", cause, "so it shows")) == because


# How many of the real payloads of an event are not trusted; of all the others each is.
DISTRUSTED = {
    "code_scanning_alert": 1,
    "fork": 2,
    "github_app_authorization": 1,
    "gollum": 2,
    "marketplace_purchase": 3,
    "pull_request_review_thread": 1,
    "security_advisory": 3,
    "sponsorship": 2,
    "star": 2,
    "watch": 2,
    "workflow_job": 6,
    "workflow_run": 1,
}


def test_every_real_payload_has_its_standing() -> None:
    distrusted: Counter[str] = Counter()
    for event, payloads in read_payloads().items():
        for payload in payloads:
            provenance = trace_provenance(event, payload, SURROUNDINGS)
            assert provenance.standing
            assert provenance.cause is None
            distrusted[event] += not provenance.is_trusted
    assert +distrusted == DISTRUSTED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda each: st.lists(each, max_size=3)
)
NAMES = ["action", "sender", "repository", "comment", "issue", "pull_request", "review", "check_run", "check_suite"]
NAMES += [
    "user",
    "login",
    "head",
    "repo",
    "body",
    "full_name",
    "author_association",
    "pull_requests",
    "head_repository",
    "head_branch",
    "check_suite",
    "app",
    "slug",
    "merged",
    "branches",
    "ref",
]
OBJECTS = st.recursive(JSON, lambda each: st.dictionaries(st.sampled_from(NAMES), each, max_size=6), max_leaves=20)


@given(st.sampled_from(read_events()), st.dictionaries(st.sampled_from(NAMES), OBJECTS))
@example("check_run", {"action": [], "check_run": {"app": {}}})
@example("pull_request", {"action": {}, "pull_request": {"head": []}})
def test_a_payload_may_hold_anything_anywhere(event: str, payload: dict[str, Any]) -> None:
    assert trace_provenance(event, payload, SURROUNDINGS).standing
