"""What is GitHub's own in acting on issues: whose comment it is, who can be assigned, which files changed."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.effect import Effect
from shared.domain.errors import Limited, OutcomeUnknown, Permanent, Transient
from shared.ports import Action
from tests.support.github_trial import R, plan, read, script
from tests.support.outside import read_document
from tests.support.sandbox_server import SandboxServer


def test_a_marker_names_one_comment_that_is_written_at_first_and_then_edited(
    github: SandboxServer, actions: dict[str, Action]
) -> None:
    action = actions["github.update_comment"]
    first = action.write(plan(action, "e1", marker="analysis", body="One"))
    other = action.write(plan(action, "e2", marker="other", body="Else"))
    second = action.write(plan(action, "e3", marker="analysis", body="Two"))
    assert (first.external_id, first.url) == (second.external_id, second.url)
    assert [comment["body"].partition("\n")[0] for comment in read(github, "issues/7/comments")] == ["Two", "Else"]
    assert other.external_id != first.external_id
    assert action.look_up(plan(action, "e1", marker="analysis", body="One")) is None
    assert action.look_up(plan(action, "e3", marker="analysis", body="Two")) == second


def test_a_comment_of_an_earlier_step_is_edited_by_its_id(github: SandboxServer, actions: dict[str, Action]) -> None:
    comment, update = actions["github.comment"], actions["github.update_comment"]
    written = comment.write(plan(comment, body="Working"))
    effect = plan(update, "e2", comment_id=written.external_id, body="Done")
    assert update.look_up(effect) is None
    updated = update.write(effect)
    assert updated == written
    assert update.look_up(effect) == written
    [shown] = read(github, "issues/7/comments")
    assert shown["body"] == "Done\n\n<!-- webhook-orchestrator effect=e2 -->"


@pytest.mark.parametrize(
    ("body", "user"),
    [
        ("A text of somebody's", {}),
        ("Copied\n\n<!-- webhook-orchestrator effect=e1 -->", {"author_association": "CONTRIBUTOR"}),
        ("Copied\n\n<!-- webhook-orchestrator effect=e1 -->", {"author_association": "NONE", "user": None}),
    ],
)
def test_a_comment_of_somebody_else_is_not_edited(
    github: SandboxServer, actions: dict[str, Action], body: str, user: dict[str, Any]
) -> None:
    made = github.client.post(f"{R}/issues/7/comments", json={"body": body}).json()
    github.add_faults({"method": "GET", "path": f"/comments/{made['id']}$", "body": {**made, **user}})
    action = actions["github.update_comment"]
    with pytest.raises(Permanent, match=f"comment {made['id']} is not one of ours"):
        action.write(plan(action, comment_id=made["id"], body="Mine now"))
    assert read(github, f"issues/comments/{made['id']}")["body"] == body


def test_a_marker_in_a_comment_of_somebody_else_is_passed_over(
    github: SandboxServer, actions: dict[str, Action]
) -> None:
    text = "Mine\n\n<!-- webhook-orchestrator comment=analysis -->\n<!-- webhook-orchestrator effect=e0 -->"
    theirs = github.client.post(f"{R}/issues/7/comments", json={"body": text}).json()
    foreign = [{**theirs, "author_association": "CONTRIBUTOR"}]
    github.add_faults({"method": "GET", "path": "/issues/7/comments$", "body": foreign})
    action = actions["github.update_comment"]
    written = action.write(plan(action, marker="analysis", body="Ours"))
    assert written.external_id != str(theirs["id"])
    assert len(read(github, "issues/7/comments")) == 2


def test_a_marker_is_a_plain_name(actions: dict[str, Action]) -> None:
    action = actions["github.update_comment"]
    with pytest.raises(Permanent, match="wants a name of letters"):
        plan(action, marker="--> <b>", body="x")
    document = {**read_document(), "subject": {"key": "acme/widgets", "repository": "acme/widgets"}}
    with pytest.raises(Permanent, match="needs 'number' with a marker"):
        plan(action, document=document, marker="analysis", body="x")
    assert "number" not in plan(action, document=document, comment_id="3", body="x").request


@pytest.mark.parametrize(
    ("event", "arguments", "path"),
    [
        ("pull_request", {}, "/issues/7/reactions"),
        ("issue_comment", {"comment_id": 12}, "/issues/comments/12/reactions"),
        ("pull_request_review_comment", {"comment_id": 12}, "/pulls/comments/12/reactions"),
        ("pull_request_review_comment", {}, "/issues/7/reactions"),
    ],
)
def test_a_reaction_goes_to_what_the_event_is_about(
    github: SandboxServer, actions: dict[str, Action], event: str, arguments: dict[str, Any], path: str
) -> None:
    action = actions["github.react"]
    document = {**read_document(), "delivery": {"id": "d", "event": event}}
    effect = plan(action, document=document, content="rocket", **arguments)
    github.add_faults({"method": "POST", "cut": "after"})
    with pytest.raises(OutcomeUnknown):
        action.write(effect)
    assert action.look_up(effect) is None
    again = action.write(effect)
    assert again.url == f"{github.url}/acme/widgets/issues/7"
    [first, second] = github.list_received(method="POST")
    assert first["path"] == second["path"] == R + path
    # 201 would be a second reaction.
    assert second["status"] == 200


def test_labels_are_known_whatever_their_case(github: SandboxServer, actions: dict[str, Action]) -> None:
    script(github, labels=["Bug", "help wanted"])
    action = actions["github.label"]
    assert action.look_up(plan(action, labels=["bug", "HELP wanted"])) is not None
    written = action.write(plan(action, labels="bug, needs review"))
    assert written.outputs == {"labels": ["Bug", "help wanted", "needs review"]}


def test_only_labels_that_are_there_are_removed(github: SandboxServer, actions: dict[str, Action]) -> None:
    script(github, labels=["Bug", "needs review/soon", "docs"])
    action = actions["github.unlabel"]
    written = action.write(plan(action, labels=["bug", "needs review/soon", "absent"]))
    assert written.outputs == {"labels": ["docs"]}
    asked = [each["path"] for each in github.list_received(method="DELETE")]
    assert asked == [f"{R}/issues/7/labels/Bug", f"{R}/issues/7/labels/needs%20review%2Fsoon"]


def test_a_label_that_goes_meanwhile_is_removed(github: SandboxServer, actions: dict[str, Action]) -> None:
    script(github, labels=["bug"])
    gone = {"message": "Label does not exist", "documentation_url": "https://docs.github.com/rest", "status": "404"}
    github.add_faults({"method": "DELETE", "status": 404, "body": gone})
    action = actions["github.unlabel"]
    assert action.write(plan(action, labels=["bug"])).outputs == {"labels": []}


def test_whom_github_leaves_out_is_named(github: SandboxServer, actions: dict[str, Action]) -> None:
    action = actions["github.assign"]
    effect = plan(action, assignees=["ada", "no such person"])
    with pytest.raises(Permanent, match="github did not assign no such person"):
        action.write(effect)
    assert [user["login"] for user in read(github, "issues/7")["assignees"]] == ["ada"]
    with pytest.raises(Permanent, match="takes at most 10 'assignees', not 11"):
        plan(action, assignees=[f"user-{number}" for number in range(11)])


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"reviewers": ["octocat"]}, "Review cannot be requested from pull request author"),
        ({"reviewers": ["no such person"]}, "Reviews may only be requested from collaborators"),
        ({"team_reviewers": ["No Team"]}, "Reviews may only be requested from collaborators"),
    ],
)
def test_whom_github_will_not_ask_for_a_review(
    actions: dict[str, Action], arguments: dict[str, Any], fault: str
) -> None:
    action = actions["github.request_review"]
    with pytest.raises(Permanent, match=fault):
        action.write(plan(action, **arguments))


def test_a_team_is_named_by_its_slug(github: SandboxServer, actions: dict[str, Action]) -> None:
    action = actions["github.request_review"]
    action.write(plan(action, team_reviewers="@acme/core, docs"))
    [sent] = github.list_received(method="POST")
    assert sent["body"] == {"team_reviewers": ["core", "docs"]}


@pytest.mark.parametrize(
    ("is_pull", "path", "body", "reason"),
    [
        (True, "pulls/7", {"state": "closed"}, None),
        (False, "issues/7", {"state": "closed", "state_reason": "duplicate"}, "duplicate"),
    ],
)
def test_what_is_closed_and_why(
    github: SandboxServer,
    actions: dict[str, Action],
    path: str,
    body: dict[str, str],
    reason: str | None,
    *,
    is_pull: bool,
) -> None:
    script(github, is_pull=is_pull)
    action = actions["github.close"]
    action.write(plan(action, state_reason="duplicate"))
    [sent] = github.list_received(method="PATCH")
    assert (sent["path"], sent["body"]) == (f"{R}/{path}", body)
    issue = read(github, "issues/7")
    assert (issue["state"], issue["state_reason"]) == ("closed", reason)


def test_an_issue_is_opened_with_all_that_was_given(github: SandboxServer, actions: dict[str, Action]) -> None:
    action = actions["github.create_issue"]
    effect = plan(action, title="T" * 300, body="Text", labels=["bug"], assignees=["ada"])
    written = action.write(effect)
    issue = read(github, f"issues/{written.outputs['number']}")
    assert issue["title"] == "T" * 256
    assert issue["body"] == f"Text\n\n{effect.marker}"
    assert [label["name"] for label in issue["labels"]] == ["bug"]
    assert [user["login"] for user in issue["assignees"]] == ["ada"]
    assert "pull_request" not in issue
    later = Effect(effect.id, effect.kind, effect.request, datetime.now(UTC))
    github.client.patch(f"{R}/issues/{issue['number']}", json={"state": "closed"}).raise_for_status()
    assert action.look_up(later) == written


def test_issues_that_are_switched_off_are_told_of(github: SandboxServer, actions: dict[str, Action]) -> None:
    github.add_faults({"method": "POST", "status": 410})
    action = actions["github.create_issue"]
    with pytest.raises(Permanent, match=r"410 .*Issues are disabled for this repo"):
        action.write(plan(action, title="T"))


def test_changed_files_are_all_read(github: SandboxServer, actions: dict[str, Action]) -> None:
    files: list[dict[str, str]] = [{"filename": f"src/{number}.py"} for number in range(150)]
    files.append({"filename": "new name.md", "status": "renamed", "previous_filename": "old.md"})
    script(github, files=files)
    action = actions["github.changed_files"]
    effect = plan(action)
    assert action.look_up(effect) is None
    outputs = action.write(effect).outputs
    assert outputs["paths"] == [*(f"src/{number}.py" for number in range(150)), "new name.md", "old.md"]
    assert (outputs["count"], outputs["is_truncated"]) == (151, False)
    assert len(github.list_received(path=f"{R}/pulls/7/files")) == 2
    assert github.list_received(method="POST") == []


def test_more_files_than_github_lists(github: SandboxServer, actions: dict[str, Action]) -> None:
    script(github, files=[{"filename": f"{number}"} for number in range(3000)])
    action = actions["github.changed_files"]
    assert action.write(plan(action)).outputs["is_truncated"] is True


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"cut": "before"}, Transient),
        ({"status": 502}, Transient),
        ({"status": 429}, Limited),
        ({"status": 404}, Permanent),
    ],
)
def test_a_read_that_fails_may_be_repeated(
    github: SandboxServer, actions: dict[str, Action], fault: dict[str, Any], error: type[Exception]
) -> None:
    action = actions["github.changed_files"]
    effect = plan(action)
    github.add_faults({"method": "GET", **fault})
    with pytest.raises(error) as failed:
        action.write(effect)
    assert type(failed.value) is error or error is Permanent
    assert not isinstance(failed.value, OutcomeUnknown)
    assert action.write(effect).outputs["count"] == 0
