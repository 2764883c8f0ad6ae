"""What is GitHub's own in reviews and checks: of which commit, by whom, with which conclusion."""

from typing import Any

import httpx
import pytest

from shared.adapters.github.actions import build_actions
from shared.adapters.github.authorization import TokenAuthorization
from shared.adapters.github.client import GitHubClient
from shared.domain.errors import Permanent
from shared.ports import Action
from tests.support.factories import SHA
from tests.support.github_trial import ID, OTHER_SHA, plan, read, script
from tests.support.outside import read_document
from tests.support.sandbox_server import SandboxServer


def about_comment(**comment: object) -> dict[str, Any]:
    """Returns the document of an event about a comment, which names no commit."""
    document = read_document()
    return {**document, "subject": {**document["subject"], "sha": None}, "comment": comment}


def test_a_review_is_of_the_commit_that_was_seen(github: SandboxServer, actions: dict[str, Action]) -> None:
    action = actions["github.review"]
    action.write(plan(action, event="approve"))
    [review] = read(github, "pulls/7/reviews")
    assert (review["state"], review["commit_id"]) == ("APPROVED", SHA)
    assert review["body"].strip() == f"<!-- webhook-orchestrator effect={ID} -->"
    with pytest.raises(Permanent, match="needs 'body' for the event 'comment'"):
        plan(action, event="comment")


def test_ones_own_pull_request_is_not_reviewed(github: SandboxServer, github_client: httpx.Client) -> None:
    script(github, author="sandbox")
    action = build_actions(GitHubClient(github_client, TokenAuthorization("ghp_person")))["github.review"]
    with pytest.raises(Permanent, match=r"422.*Can not approve your own pull request"):
        action.write(plan(action, event="approve"))


@pytest.mark.parametrize("kind", ["github.review", "github.check_run", "github.status", "github.merge"])
def test_an_event_without_a_commit_is_about_the_head(
    github: SandboxServer, actions: dict[str, Action], kind: str
) -> None:
    script(github, head_sha=OTHER_SHA)
    arguments: dict[str, dict[str, Any]] = {
        "github.review": {"event": "approve"},
        "github.check_run": {"name": "lint"},
        "github.status": {"state": "pending"},
        "github.merge": {},
    }
    assert plan(actions[kind], document=about_comment(), **arguments[kind]).request["sha"] == OTHER_SHA
    nothing = {**read_document(), "subject": {"key": "acme/widgets", "repository": "acme/widgets"}}
    with pytest.raises(Permanent, match=r"needs '(sha|number)': the subject acme/widgets has none"):
        plan(actions[kind], document=nothing, **arguments[kind])


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ({"conclusion": "success"}, "completed"),
        ({}, "in_progress"),
        ({"status": "queued"}, "queued"),
        ({"status": "completed"}, None),
        ({"status": "in_progress", "conclusion": "failure"}, None),
    ],
)
def test_a_check_run_is_completed_with_a_conclusion(
    actions: dict[str, Action], arguments: dict[str, Any], status: str | None
) -> None:
    action = actions["github.check_run"]
    if status is None:
        with pytest.raises(Permanent, match="needs a 'conclusion' with the status 'completed', and with no other"):
            plan(action, name="lint", **arguments)
    else:
        assert plan(action, name="lint", **arguments).request["status"] == status


def test_a_check_run_reports(github: SandboxServer, actions: dict[str, Action]) -> None:
    action = actions["github.check_run"]
    first = action.write(plan(action, "e1", name="lint", details_url="https://ci.example/1"))
    effect = plan(action, "e2", name="lint", conclusion="failure", text="x" * 70_000)
    second = action.write(effect)
    assert second.outputs == {"check_run_id": int(second.external_id)}
    assert action.look_up(plan(action, "e1", name="lint")) == first
    shown = read(github, f"commits/{SHA}/check-runs?filter=latest")
    [newest] = shown["check_runs"]
    assert (newest["id"], newest["external_id"], newest["conclusion"]) == (int(second.external_id), "e2", "failure")
    assert (newest["output"]["title"], newest["output"]["summary"]) == ("lint", "lint")
    assert newest["output"]["text"].endswith("(cut: the text has 70,000 characters)")
    assert len(newest["output"]["text"]) == 65_535
    assert "output" not in github.list_received(method="POST")[0]["body"]


def test_only_an_app_creates_check_runs(github_client: httpx.Client, github: SandboxServer) -> None:
    action = build_actions(GitHubClient(github_client, TokenAuthorization("ghp_person")))["github.check_run"]
    with pytest.raises(Permanent, match=r"You must authenticate via a GitHub App.*: only a GitHub App"):
        action.write(plan(action, name="lint"))
    assert len(github.list_received(method="POST")) == 1
