"""Each recipe of docs/recipes, as a repository's own file: a fitting event in, what is done at the sandboxes."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from shared.adapters.codegen.answers import MARK
from shared.domain.statuses import Status
from shared.domain.workflow import AGENT_STEPS
from tests.acceptance.local_stack import ROOT, LocalStack, wait_until
from tests.acceptance.repository import Repository, new_sha, read_run

Json = dict[str, Any]
RECIPES = {path.stem: path for path in sorted((ROOT / "docs" / "recipes").glob("*.yml"))}
NUMBER = 7
DEPENDABOT = {"login": "dependabot[bot]", "type": "Bot"}
FAILED = {"conclusion": "failure", "pull_requests": [{"number": NUMBER}]}
HOST_REFUSED = "http.request may not ask chat.example: HTTP_ALLOWED_HOSTS allows none"


class Trial(NamedTuple):
    """How a recipe is tried.

    Attributes:
        workflow: which of the file's is meant.
        event: what happens.
        build: its payload.
        writes: the paths that are written to, those of the repository without its name.
        agents: how many agent runs are started.
        files: what the pull request changes.
        reason: why the run does not do well.
    """

    workflow: str
    event: str
    build: Callable[[Repository], Json]
    writes: list[str]
    agents: int = 0
    files: tuple[str, ...] = ()
    reason: str | None = None


def build_pull_request(action: str, **changes: Any) -> Callable[[Repository], Json]:  # noqa: ANN401 - JSON
    return lambda repository: repository.build_pull_request(action, NUMBER, new_sha(), **changes)


def build_event(event: str, action: str | None, place: int = 0, **changes: object) -> Callable[[Repository], Json]:
    return lambda repository: repository.build(event, action, place, **changes)


TRIALS = {
    "auto-merge-dependabot": Trial(
        "auto-merge-dependabot",
        "pull_request",
        build_pull_request("opened", pull_request={"user": DEPENDABOT}, sender=DEPENDABOT),
        [f"pulls/{NUMBER}/reviews", "/graphql"],
    ),
    "deploy-with-approval": Trial(
        "deploy",
        "push",
        build_event(
            "push", None, ref="refs/heads/master", after="a" * 40, commits=[{"id": "a" * 40, "modified": ["src/a.py"]}]
        ),
        ["actions/workflows/deploy.yml/dispatches"] * 2,
    ),
    "fix-failed-checks": Trial(
        "fix-failed-checks",
        "check_run",
        build_event("check_run", "completed", check_run={**FAILED, "name": "unit tests"}),
        [],
        1,
    ),
    "label-by-path": Trial(
        "label-documentation",
        "pull_request",
        build_pull_request("opened"),
        [f"issues/{NUMBER}/labels"],
        files=("docs/workflows.md",),
    ),
    "release-notes": Trial("release-notes", "release", build_event("release", "published"), ["issues"]),
    "review-on-request": Trial(
        "review-on-request",
        "pull_request",
        build_pull_request(
            "labeled", pull_request={"labels": [{"name": "agent-review"}]}, label={"name": "agent-review"}
        ),
        [f"pulls/{NUMBER}/reviews", f"issues/{NUMBER}/labels/agent-review"],
        1,
    ),
    "slash-command": Trial(
        "fix-on-command",
        "issue_comment",
        lambda repository: repository.build_comment(NUMBER, "/fix the typo"),
        ["issues/comments/492700400/reactions", f"issues/{NUMBER}/comments"],
        1,
    ),
    "tell-chat": Trial(
        "tell-chat",
        "workflow_run",
        build_event("workflow_run", "completed", 1, workflow_run={"conclusion": "failure", "event": "push"}),
        [],
        reason=HOST_REFUSED,
    ),
    "triage-check-suite": Trial(
        "triage-check-suite",
        "check_suite",
        build_event("check_suite", "completed", check_suite=FAILED),
        [f"issues/{NUMBER}/comments"],
        1,
    ),
    "welcome-first-contribution": Trial(
        "welcome-contributor",
        "pull_request",
        build_pull_request("opened", pull_request={"author_association": "FIRST_TIME_CONTRIBUTOR"}),
        [f"issues/{NUMBER}/comments", f"issues/{NUMBER}/labels"],
    ),
}


def read_recipe(name: str) -> str:
    """Returns the recipe, but impatient."""
    return re.sub(r"debounce: \d+s", "debounce: 1s", RECIPES[name].read_text("utf-8"))


def test_every_recipe_is_tried() -> None:
    assert RECIPES.keys() == TRIALS.keys()


@pytest.mark.parametrize("name", TRIALS)
def test_a_recipe_does_what_it_says(stack: LocalStack, name: str) -> None:
    trial = TRIALS[name]
    repository = Repository(stack, read_recipe(name))
    files = [{"filename": path} for path in trial.files]
    state = "blocked" if name == "auto-merge-dependabot" else "clean"
    repository.script_subject(NUMBER, files=files, mergeable_state=state, labels=["agent-review"])
    delivery_id = repository.send(trial.event, trial.build(repository))
    run: Json = {}

    def is_over() -> bool:
        delivery = stack.follow(delivery_id, to_end=False)
        run.update(read_run(delivery, trial.workflow))
        if run["status"] == "waiting" and run["tasks"][-1]["uses"] == "approval.wait" and run["tasks"][-1]["effects"]:
            stack.client.post(f"/api/v1/runs/{run['run_id']}/approve").raise_for_status()
        return Status(run["status"]).is_final

    wait_until(is_over, f"{trial.workflow} is over")
    assert (run["status"], run["reason"]) == ("succeeded" if trial.reason is None else "dead", trial.reason)
    effects = [effect for task in run["tasks"] for effect in task["effects"]]
    assert {effect["status"] for effect in effects} <= {"done"}
    assert Counter(trial.writes) <= list_applied(repository)
    # Those of the defaults apart.
    started = [body["metadata"][MARK] for body in repository.list_agent_runs()]
    wanted = [effect["effect_id"] for effect in effects if effect["kind"] in AGENT_STEPS]
    assert (len(wanted), set(wanted) <= set(started)) == (trial.agents, True)


def list_applied(repository: Repository) -> Counter[str]:
    """Returns the paths that were written to, those of the repository without its name."""
    received = repository.stack.list_received("github")
    return Counter(each["path"].removeprefix(f"/repos/{repository.name}/") for each in received if each["applied"])
