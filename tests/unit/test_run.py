"""The group of a run, and what becomes of the runs in it."""

from typing import Any

import pytest

from shared.domain.run import PlannedRun, name_group
from shared.domain.workflow import Workflow

SUBJECT, REPOSITORY = "acme/widgets#7", "acme/widgets"


def build(**members: object) -> Workflow:
    steps = [{"uses": "github.comment", "with": {"body": "Hi"}}]
    return Workflow.model_validate({"name": "greet", "on": {"pull_request": {}}, "steps": steps, **members})


@pytest.mark.parametrize(
    ("members", "group", "is_template"),
    [
        ({}, None, False),
        ({"debounce": "10s"}, f"greet/{SUBJECT}", False),
        ({"concurrency": {}}, f"greet/{SUBJECT}", False),
        ({"concurrency": {"group": "subject"}, "debounce": "10s"}, f"greet/{SUBJECT}", False),
        ({"concurrency": {"group": "repository"}}, f"greet/{REPOSITORY}", False),
        ({"concurrency": {"group": "workflow"}}, "greet/", False),
        ({"concurrency": {"group": "deploys"}}, "deploys", True),
        ({"concurrency": {"group": "deploy of {{ subject.ref }}"}}, "deploy of {{ subject.ref }}", True),
    ],
)
def test_the_group_of_a_run(members: dict[str, Any], group: str | None, *, is_template: bool) -> None:
    assert name_group(build(**members), SUBJECT, REPOSITORY) == (group, is_template)


def test_outside_repositories_the_subject_stands_for_one() -> None:
    workflow = build(concurrency={"group": "repository"})
    assert name_group(workflow, "installation/5", None) == ("greet/installation/5", False)


@pytest.mark.parametrize(
    ("members", "on_conflict"),
    [
        ({}, "queue"),
        ({"debounce": "10s"}, "queue"),
        ({"concurrency": {}}, "cancel"),
        ({"concurrency": {}, "debounce": "10s"}, "cancel"),
        *(({"concurrency": {"on_conflict": word}}, word) for word in ("cancel", "queue", "skip", "once")),
    ],
)
def test_only_a_run_of_a_group_has_a_conflict(members: dict[str, Any], on_conflict: str) -> None:
    workflow = build(**members)
    assert PlannedRun(workflow).on_conflict is None
    assert PlannedRun(workflow, "a group").on_conflict == on_conflict
