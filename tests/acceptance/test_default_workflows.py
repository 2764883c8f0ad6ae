"""Each default workflow as it ships: events in, what is done at the sandbox GitHub and Codegen.

The shared stack has an organisation's workflows in place of two of them, so the repositories have the defaults' file
as their own.
"""

from typing import Any, NamedTuple

import pytest

from tests.acceptance.local_stack import ROOT, LocalStack, wait_until
from tests.acceptance.repository import OWNER, Repository, new_sha, read_run, read_verdict

Json = dict[str, Any]
OPENED, DRAFT, BOT, PUSHED_TWICE, FAILED, ASKED = range(11, 17)
DEFAULTS = (ROOT / "shared" / "workflows" / "defaults.yml").read_text("utf-8")
ASK = """
version: 1
workflows:
  ask:
    on: {issues: {actions: [opened]}}
    steps:
      - {uses: approval.wait, with: {message: "Go on?"}}
      - {uses: github.comment, with: {body: "Went on"}}
  ask-with-a-button:
    on: {pull_request: {actions: [opened]}}
    steps:
      - {uses: approval.wait, with: {message: "Go on?", ask: check_run}}
      - {uses: github.comment, with: {body: "Went on"}}
"""


class Told(NamedTuple):
    """What was sent at once, since the defaults wait a while for more: each delivery's id by what it is."""

    repository: Repository
    shas: dict[str, str]
    ids: dict[str, str]

    def follow(self, name: str) -> Json:
        return self.repository.stack.follow(self.ids[name])


@pytest.fixture(scope="module", autouse=True)
def told(stack: LocalStack) -> Told:
    repository = Repository(stack, DEFAULTS)
    names = ("opened", "pushed once", "pushed twice", "failed", "pushed to main")
    shas = {name: new_sha() for name in names}
    build = repository.build_pull_request
    repository.script_subject(OPENED, files=[{"filename": "src/a.py"}, {"filename": "README.md"}])
    failure = {"head_sha": shas["failed"], "conclusion": "failure"}
    pulls = [{"number": FAILED, "head": {"sha": shas["failed"]}}]
    payloads = {
        "opened": ("pull_request", build("opened", OPENED, shas["opened"])),
        "draft": ("pull_request", build("opened", DRAFT, new_sha(), pull_request={"draft": True})),
        "bot": ("pull_request", build("opened", BOT, new_sha(), sender={"login": "renovate[bot]", "type": "Bot"})),
        "pushed once": ("pull_request", build("synchronize", PUSHED_TWICE, shas["pushed once"])),
        "pushed twice": ("pull_request", build("synchronize", PUSHED_TWICE, shas["pushed twice"])),
        "check": (
            "check_run",
            repository.build("check_run", "completed", check_run={**failure, "name": "lint", "pull_requests": pulls}),
        ),
        "other check": (
            "check_run",
            repository.build("check_run", "completed", check_run={**failure, "name": "test", "pull_requests": pulls}),
        ),
        "suite": (
            "check_suite",
            repository.build("check_suite", "completed", check_suite={**failure, "pull_requests": pulls}),
        ),
        "workflow run": (
            "workflow_run",
            repository.build("workflow_run", "completed", 1, workflow_run={**failure, "pull_requests": pulls}),
        ),
        "pushed to main": (
            "push",
            repository.build(
                "push",
                None,
                ref="refs/heads/master",
                after=shas["pushed to main"],
                commits=[{"id": shas["pushed to main"], "message": "Mend the build"}],
            ),
        ),
        "pushed elsewhere": ("push", repository.build("push", None, ref="refs/heads/other", after=new_sha())),
    }
    return Told(
        repository, shas, {name: repository.send(event, payload) for name, (event, payload) in payloads.items()}
    )


@pytest.fixture
def repository(stack: LocalStack) -> Repository:
    return Repository(stack, DEFAULTS)


def comment(repository: Repository, number: int, body: str) -> Json:
    return repository.follow("issue_comment", repository.build_comment(number, body))


def read_comments(repository: Repository, number: int) -> list[str]:
    return [body["body"] for body in repository.list_written(f"issues/{number}/comments")]


def test_codegen_is_told_what_a_comment_asks_for(repository: Repository) -> None:
    delivery = comment(repository, OPENED, "/codegen mend the build\n\nIt fails since Monday.")
    assert read_run(delivery, "slash_codegen")["status"] == "succeeded"
    [started] = repository.list_agent_runs(OPENED)
    assert started["prompt"].startswith(
        f"On {repository.name}#{OPENED}, {OWNER}, who may write to the repository, asks for this:\n"
        "mend the build\nIt fails since Monday.\nThe title it is about:\n<outside-text-"
    )
    assert [(each["content"]) for each in repository.list_written("issues/comments/")] == ["eyes"]
    [answer] = read_comments(repository, OPENED)
    assert answer.startswith(f"@{OWNER} [done](")


def test_retry_runs_again_what_has_failed(repository: Repository) -> None:
    repository.script_agent(f"On {repository.name}#", status="ERROR", after_seconds=0)
    failed = read_run(comment(repository, OPENED, "/codegen try"), "slash_codegen")
    assert (failed["status"], failed["reason"]) == ("failed", "the agent met an error (ERROR)")
    assert read_comments(repository, OPENED)[0].startswith(
        f"@{OWNER} that did not work: the agent met an error (ERROR)"
    )
    repository.script_agent(f"On {repository.name}#", after_seconds=0)

    retried = comment(repository, OPENED, "/retry")

    [run_id] = read_run(retried, "slash_retry")["tasks"][0]["outputs"]["run_ids"]
    stack = repository.stack
    wait_until(lambda: stack.get(f"/api/v1/runs/{run_id}")["status"] == "succeeded", "it was run again")
    assert stack.get(f"/api/v1/runs/{run_id}")["retry_of"] == failed["run_id"]
    assert len(repository.list_agent_runs(OPENED)) == 2
    beginnings = [text.partition(" (")[0].partition("[done]")[0] for text in read_comments(repository, OPENED)[1:]]
    assert sorted(each.partition("\n")[0] for each in beginnings) == [
        f"@{OWNER} ",
        "Running again what had failed: 1 of the workflows here.",
    ]


def test_cancel_ends_what_is_under_way_and_its_agent(repository: Repository) -> None:
    repository.script_agent(f"On {repository.name}#", status="EVALUATION", after_seconds=600)
    asked = repository.send("issue_comment", repository.build_comment(OPENED, "/codegen work for ever"))
    wait_until(lambda: len(repository.list_agent_runs(OPENED)) == 1, "the agent works")

    cancelled = comment(repository, OPENED, "/cancel")

    assert read_run(cancelled, "slash_cancel")["status"] == "succeeded"
    run = read_run(repository.stack.follow(asked), "slash_codegen")
    assert (run["status"], run["reason"]) == ("cancelled", f"cancelled by {OWNER}")
    assert read_comments(repository, OPENED) == [read_comments(repository, OPENED)[0]]
    assert read_comments(repository, OPENED)[0].startswith("Cancelled what was running or waiting here: 1.")
    wait_until(lambda: [each["status"] for each in repository.read_agent_runs()] == ["CANCELLED"], "the agent stops")


def test_approve_by_comment(stack: LocalStack) -> None:
    repository = Repository(stack, ASK)
    opened = repository.send("issues", repository.build("issues", "opened", issue={"number": ASKED}))
    repository.wait_for_question(opened, "ask")
    assert read_comments(repository, ASKED)[0].startswith("Go on?\n\nWho may write to the repository approves with")

    comment(repository, ASKED, "/approve")

    assert read_run(stack.follow(opened), "ask")["status"] == "succeeded"
    assert read_comments(repository, ASKED)[1].startswith("Went on")


def test_approve_by_the_button_of_a_check(stack: LocalStack) -> None:
    repository = Repository(stack, ASK)
    payload = repository.build_pull_request("opened", ASKED, new_sha(), pull_request={"draft": True})
    opened = repository.send("pull_request", payload)
    repository.wait_for_question(opened, "ask-with-a-button")
    [check] = repository.list_written("check-runs")
    assert (check["conclusion"], check["actions"][0]["identifier"]) == ("action_required", "approve")

    # Only the question's own id leads to the run: the check may be about a commit that GitHub names no pull request of.
    about = {"pull_requests": [], "head_sha": new_sha(), "external_id": check["external_id"]}
    pressed = repository.build(
        "check_run", "requested_action", check_run=about, requested_action={"identifier": "approve"}
    )
    assert read_run(repository.follow("check_run", pressed), "slash_approve")["status"] == "succeeded"

    assert read_run(stack.follow(opened), "ask-with-a-button")["status"] == "succeeded"
    assert read_comments(repository, ASKED)[0].startswith("Went on")


def test_explain_tells_what_became_of_each_event(repository: Repository) -> None:
    repository.follow("pull_request", repository.build_pull_request("labeled", OPENED, new_sha()))
    comment(repository, OPENED, "/explain")
    [told] = read_comments(repository, OPENED)
    assert told.startswith(f"What became of the latest events of {repository.name}#{OPENED}:".replace("_", r"\_"))
    assert '| pull\\_request\\_analysis | action is "labeled", wants ' in told


def test_a_pull_request_is_analysed(told: Told) -> None:
    run = read_run(told.follow("opened"), "pull_request_analysis")
    assert run["status"] == "succeeded"
    assert [task["uses"] for task in run["tasks"]] == ["github.changed_files", "codegen.run", "github.comment"]
    [started] = told.repository.list_agent_runs(OPENED)
    sha = told.shas["opened"]
    assert started["prompt"].startswith(f"Review pull request {told.repository.name}#{OPENED} at commit {sha}.")
    assert "It changes 2 files:\n<outside-text-" in started["prompt"]
    assert "src/a.py\nREADME.md\n</outside-text-" in started["prompt"]
    [said] = read_comments(told.repository, OPENED)
    assert said.startswith(f"**Analysis of {sha[:7]}** ([agent run](http")


def test_drafts_and_bots_are_left_alone(told: Told) -> None:
    for name, number, because in (
        ("draft", DRAFT, "pull_request.draft is true, wants false"),
        ("bot", BOT, 'sender.type is "Bot", wants anything but "Bot"'),
    ):
        delivery = told.follow(name)
        assert read_verdict(delivery, "pull_request_analysis")["because"] == because
        assert (delivery["runs"], told.repository.list_agent_runs(number)) == ([], [])


def test_of_two_pushes_the_second_is_analysed(told: Told) -> None:
    second = read_run(told.follow("pushed twice"), "pull_request_analysis")
    first = read_run(told.follow("pushed once"), "pull_request_analysis")
    assert (first["status"], first["superseded_by"], second["status"]) == ("superseded", second["run_id"], "succeeded")
    [started] = told.repository.list_agent_runs(PUSHED_TWICE)
    assert told.shas["pushed twice"] in started["prompt"]


def test_one_failure_told_four_times_is_looked_at_once(told: Told) -> None:
    deliveries = [told.follow(name) for name in ("check", "other check", "suite", "workflow run")]
    runs = [run for delivery in deliveries for run in delivery["runs"]]
    assert len(runs) == 4
    assert sorted(run["status"] for run in runs if run["status"] == "succeeded") == ["succeeded"]
    assert {run["status"] for run in runs} <= {"succeeded", "superseded", "cancelled"}
    assert all(run["reason"] for run in runs if run["status"] != "succeeded")
    assert len(told.repository.list_agent_runs(FAILED)) == 1
    posted = told.repository.list_written(f"statuses/{told.shas['failed']}")
    assert [(each["state"], each["context"]) for each in posted] == [("success", "webhook-orchestrator/failure")]


def test_a_push_to_the_default_branch_is_analysed(told: Told) -> None:
    assert read_run(told.follow("pushed to main"), "push_analysis")["status"] == "succeeded"
    [started] = [body for body in told.repository.list_agent_runs() if "refs/heads" in body["metadata"]["subject"]]
    assert "Mend the build" in started["prompt"]
    posted = told.repository.list_written(f"statuses/{told.shas['pushed to main']}")
    assert [(each["state"], each["context"]) for each in posted] == [("success", "webhook-orchestrator/push")]
    assert told.follow("pushed elsewhere")["runs"] == []
