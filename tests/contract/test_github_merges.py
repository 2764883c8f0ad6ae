"""What is GitHub's own in merging: why it will not, at which head, and by itself."""

from typing import Any

import pytest

from shared.domain.errors import Limited, OutcomeUnknown, Permanent, Transient
from shared.ports import Action
from tests.support.factories import SHA
from tests.support.github_trial import ID, OTHER_SHA, R, plan, read, script
from tests.support.outside import check_graphql
from tests.support.sandbox_server import SandboxServer


def test_a_merge_is_what_was_asked_for(github: SandboxServer, actions: dict[str, Action]) -> None:
    script(github)
    action = actions["github.merge"]
    action.write(plan(action, method="squash", commit_title="Title", commit_message="Text"))
    [sent] = github.list_received(method="PUT")
    wanted = {"sha": SHA, "merge_method": "squash", "commit_title": "Title", "commit_message": "Text"}
    assert sent["body"] == wanted
    assert read(github, "pulls/7")["merged"] is True


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"mergeable_state": "blocked"}, "cannot be merged: a required review or check is missing .*405"),
        ({"mergeable_state": "dirty"}, "it conflicts with its base"),
        ({"mergeable_state": "draft"}, "it is a draft"),
        ({"mergeable_state": "behind"}, "its branch is behind the base and must be updated first"),
        ({"head_sha": OTHER_SHA}, f"its head is no longer {SHA}, which the event was about .*409"),
        ({"state": "closed"}, "it is closed"),
        ({"state": "closed", "merged_at": "2026-01-01T00:00:00Z", "head_sha": OTHER_SHA}, "its head is no longer"),
    ],
)
def test_why_it_will_not_merge(
    github: SandboxServer, actions: dict[str, Action], members: dict[str, Any], why: str
) -> None:
    script(github, **members)
    action = actions["github.merge"]
    effect = plan(action)
    assert action.look_up(effect) is None
    with pytest.raises(Permanent, match=f"acme/widgets#7 cannot be merged: .*{why.removeprefix('cannot be merged: ')}"):
        action.write(effect)


@pytest.mark.parametrize("what", ["unknown", "base"])
def test_what_github_does_not_know_yet_is_asked_again(
    github: SandboxServer, actions: dict[str, Action], what: str
) -> None:
    script(github, mergeable_state="unknown" if what == "unknown" else "clean")
    if what == "base":
        message = {"message": "Base branch was modified. Review and try the merge again.", "status": "405"}
        github.add_faults({"method": "PUT", "status": 405, "body": message})
    action = actions["github.merge"]
    with pytest.raises(Transient) as failed:
        action.write(plan(action))
    assert (type(failed.value), failed.value.after_seconds) == (Transient, 5.0)
    script(github, mergeable_state="clean")
    action.write(plan(action))


def test_a_merge_of_somebody_else_is_no_second_one(github: SandboxServer, actions: dict[str, Action]) -> None:
    script(github, state="closed", merged_at="2026-01-01T00:00:00Z")
    action = actions["github.merge"]
    assert action.write(plan(action)) == action.look_up(plan(action))
    assert github.list_received(method="PUT") == []


def test_auto_merge_waits_and_then_merges(github: SandboxServer, actions: dict[str, Action]) -> None:
    script(github, mergeable_state="blocked")
    action = actions["github.auto_merge"]
    effect = plan(action, method="rebase")
    assert action.write(effect).outputs == {"is_merged": False}
    [sent] = github.list_received(path="/graphql")
    assert sent["body"]["variables"]["input"] == {
        "pullRequestId": read(github, "pulls/7")["node_id"],
        "mergeMethod": "REBASE",
        "expectedHeadOid": SHA,
        "clientMutationId": ID,
    }
    assert read(github, "pulls/7")["auto_merge"]["merge_method"] == "rebase"
    script(github, mergeable_state="clean")
    found = action.look_up(effect)
    assert found is not None
    assert found.outputs == {"is_merged": True}


def test_what_can_be_merged_is_merged_at_once(github: SandboxServer, actions: dict[str, Action]) -> None:
    script(github, mergeable_state="clean")
    action = actions["github.auto_merge"]
    assert action.write(plan(action)).outputs == {"is_merged": True}
    assert [each["path"] for each in github.list_received(method="PUT")] == [f"{R}/pulls/7/merge"]


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"mergeable_state": "unstable"}, "in unstable status .nothing required is missing"),
        ({"mergeable_state": "blocked", "allows_auto_merge": False}, "Auto merge is not allowed for this repository"),
        ({"mergeable_state": "blocked", "head_sha": OTHER_SHA}, "Head sha didn't match"),
        ({"state": "closed"}, "Can't enable auto-merge for this pull request"),
    ],
)
def test_why_it_will_not_merge_by_itself(
    github: SandboxServer, actions: dict[str, Action], members: dict[str, Any], fault: str
) -> None:
    script(github, **members)
    action = actions["github.auto_merge"]
    with pytest.raises(Permanent, match=f"github refused github.auto_merge: .*{fault}"):
        action.write(plan(action))


RATE_LIMITED = {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded for installation ID 1."}]}
SECONDARY = {"errors": [{"message": "You have exceeded a secondary rate limit."}]}
WRONG = {"data": None, "errors": [{"message": "Something went wrong while executing your query. Please include X."}]}


@pytest.mark.parametrize(
    ("fault", "error", "after_seconds"),
    [
        ({"body": RATE_LIMITED}, Limited, 60.0),
        ({"body": SECONDARY, "retry_after": 33}, Limited, 33.0),
        ({"body": RATE_LIMITED, "headers": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}}, Limited, 1.0),
        ({"body": WRONG}, OutcomeUnknown, None),
        ({"status": 502}, OutcomeUnknown, None),
        ({"status": 403, "retry_after": 12}, Limited, 12.0),
    ],
)
def test_graphql_tells_its_faults_with_200(
    github: SandboxServer,
    actions: dict[str, Action],
    fault: dict[str, Any],
    error: type[Exception],
    after_seconds: float | None,
) -> None:
    script(github, mergeable_state="blocked")
    action = actions["github.auto_merge"]
    effect = plan(action)
    github.add_faults({"path": "^/graphql$", "status": 200, **fault})
    with pytest.raises(error) as failed:
        action.write(effect)
    assert getattr(failed.value, "after_seconds", None) == after_seconds
    assert action.look_up(effect) is None


def test_the_schema_is_what_a_mutation_is_checked_against() -> None:
    query = "mutation($input: EnablePullRequestAutoMergeInput!) { x }"
    for given in ('{"pullRequest": "x"}', '{"mergeMethod": "MERGE"}', '{"pullRequestId": "x", "mergeMethod": "merge"}'):
        with pytest.raises(AssertionError):
            check_graphql(f'{{"query": "{query}", "variables": {{"input": {given}}}}}'.encode())


@pytest.mark.parametrize(
    ("members", "is_updated"),
    [({}, True), ({"is_behind": False}, False), ({"head_sha": OTHER_SHA}, False)],
)
def test_a_head_is_updated_once(
    github: SandboxServer, actions: dict[str, Action], members: dict[str, Any], *, is_updated: bool
) -> None:
    script(github, **members)
    action = actions["github.update_branch"]
    effect = plan(action)
    assert action.write(effect).outputs == {"is_updated": is_updated}
    head = read(github, "pulls/7")["head"]["sha"]
    assert action.write(effect).outputs == {"is_updated": False}
    assert read(github, "pulls/7")["head"]["sha"] == head
    assert github.list_received(method="PUT")[0]["body"] == {"expected_head_sha": SHA}


def test_a_branch_that_conflicts_is_not_updated(github: SandboxServer, actions: dict[str, Action]) -> None:
    script(github, mergeable_state="dirty")
    action = actions["github.update_branch"]
    with pytest.raises(Permanent, match="merge conflict between base and head"):
        action.write(plan(action))
