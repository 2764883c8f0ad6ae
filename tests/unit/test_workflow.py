"""Workflows: what may be written, the verdict on a delivery, and the course of a run."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from shared.domain.statuses import Status
from shared.domain.workflow import Course, Workflow, judge, plan_course
from tests.support.factories import build_delivery, build_payload, build_workflow

S, F, D, C = Status.SUCCEEDED, Status.FAILED, Status.DEAD, Status.CANCELLED
DEFINITION: dict[str, Any] = {
    "name": "fix",
    "on": {"check_run": {"actions": ["completed"], "match": {"check_run": {"conclusion": ["failure"]}}}},
    "steps": [{"id": "fix", "uses": "codegen.run", "with": {"prompt": "Fix it"}, "timeout": "2h"}],
}


def change(**members: object) -> dict[str, Any]:
    return {**DEFINITION, **members}


def change_step(**members: object) -> dict[str, Any]:
    return change(steps=[{**DEFINITION["steps"][0], **members}])


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        (change(surprise=1), "surprise"),
        (change(name="Fix"), "name"),
        (change(name=""), "name"),
        (change(on={}), "on"),
        (change(on=[]), "on"),
        (change(on=["push", 1]), "on"),
        (change(on={"push": {"branch": ["main"]}}), "on.push.branch"),
        (change(on={"push": {"branches": []}}), "on.push.branches"),
        (change(on={"push": {"branches": ["a++"]}}), "on.push.branches"),
        (change(on={"push": {"paths": ["[z-a]"]}}), "on.push.paths"),
        (change(on={"push": {"labels": ["x" * 300]}}), "on.push.labels"),
        (change(on={"push": {"authors": ["!"]}}), "on.push.authors"),
        (change(on={"push": {"commands": ["/fix"]}}), "on.push.commands"),
        (change(on={"push": {"match": {"ref": "main"}}}), "on.push.match"),
        (change(on={"push": {"match": {"ref": [{"no-such-operator": 1}]}}}), "on.push.match"),
        (change(steps=[]), "steps"),
        (change(steps=[{"uses": "x"}] * 51), "steps"),
        (change(steps=[{"id": "a", "uses": "x"}, {"id": "a", "uses": "y"}]), ""),
        (change_step(prompt="Fix it"), "steps.0.prompt"),
        (change_step(uses=None), "steps.0.uses"),
        (change_step(when="sometimes"), "steps.0.when"),
        (change_step(id="Ä"), "steps.0.id"),
        (change_step(timeout="soon"), "steps.0.timeout"),
        (change_step(timeout="0s"), "steps.0.timeout"),
        (change_step(timeout="8d"), "steps.0.timeout"),
        (change_step(timeout=-1), "steps.0.timeout"),
        (change_step(retry={"max_attempts": 0}), "steps.0.retry.max_attempts"),
        (change_step(retry={"max_attempts": 21}), "steps.0.retry.max_attempts"),
        (change_step(retry={"backoff": 1}), "steps.0.retry.backoff"),
    ],
)
def test_what_may_not_be_written(definition: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Workflow.model_validate(definition)
    assert ".".join(str(part) for part in refused.value.errors()[0]["loc"]) == place


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), (" 1 d ", 86400), (90, 90)])
def test_durations(text: object, seconds: int) -> None:
    assert Workflow.model_validate(change_step(timeout=text)).steps[0].timeout == seconds


def test_a_version_is_that_of_the_content() -> None:
    workflow = Workflow.model_validate(DEFINITION)
    assert Workflow.model_validate(json.loads(json.dumps(DEFINITION, sort_keys=True))).version == workflow.version
    assert Workflow.model_validate(workflow.definition).version == workflow.version
    # What is left out and what is written as the default are the same.
    assert Workflow.model_validate(change_step(when="success", timeout="120m")).version == workflow.version
    for other in (change(name="mend"), change_step(when="always"), change_step(timeout="1h")):
        assert Workflow.model_validate(other).version != workflow.version


def test_a_version_outlives_releases() -> None:
    # Runs and stored versions refer to it: a change of the hash is a change of the data.
    assert build_workflow({"uses": "github.comment", "with": {"body": "Hi"}}).version == (
        "ba0a9f9076427a964bcc4dc8242cce14daf74ba346638ea4c4c065e934bc7e3e"
    )


@pytest.mark.parametrize(
    ("on", "event", "payload", "matched", "because"),
    [
        ({"pull_request": {}}, "pull_request", {}, True, "no clauses"),
        ({"pull_request": {"actions": ["opened"]}}, "pull_request", {"action": "opened"}, True, "no clauses"),
        ({"push": {}}, "pull_request", {}, False, 'event is "pull_request", wants "push"'),
        ({"push": {}, "create": {}}, "issues", {}, False, 'event is "issues", wants one of "push", "create"'),
        (
            {"pull_request": {"actions": ["closed", "merged"]}},
            "pull_request",
            {"action": "opened"},
            False,
            'action is "opened", wants one of "closed", "merged"',
        ),
        ({"push": {"actions": ["x"]}}, "push", {"action": None}, False, 'action is null, wants "x"'),
        ({"push": {"actions": ["x"]}}, "push", {"action": ["x"]}, False, 'action is null, wants "x"'),
        (
            {"pull_request": {"match": {"pull_request": {"draft": [True]}}}},
            "pull_request",
            {},
            False,
            "pull_request.draft is false, wants true",
        ),
        (
            {
                "pull_request": {
                    "match": {"subject": {"key": ["acme/widgets#7"]}, "delivery": {"event": [{"prefix": "pull"}]}}
                }
            },
            "pull_request",
            {},
            True,
            "all clauses matched",
        ),
    ],
)
def test_verdict(on: dict[str, Any], event: str, payload: dict[str, Any], matched: bool, because: str) -> None:  # noqa: FBT001 - a column of the table
    workflow = build_workflow(on=on)
    delivery = build_delivery(build_payload(**payload), event=event)
    verdict = judge(workflow, event, delivery.action, delivery.document)
    assert verdict == ("greet", workflow.version, matched, because)


@pytest.mark.parametrize(
    ("whens", "outcomes", "course"),
    [
        (["success"], {}, Course(0, Status.RUNNING)),
        (["success", "success"], {0: S}, Course(1, Status.RUNNING)),
        (["success", "success"], {0: S, 1: S}, Course(None, S)),
        (["success", "success"], {0: F}, Course(None, F)),
        (["success", "success"], {0: D}, Course(None, D)),
        (["success", "failure"], {0: S}, Course(None, S)),
        (["success", "failure"], {0: F}, Course(1, Status.RUNNING)),
        (["success", "failure"], {0: D}, Course(1, Status.RUNNING)),
        (["success", "failure"], {0: F, 1: S}, Course(None, F)),
        (["success", "failure"], {0: D, 1: S}, Course(None, D)),
        (["success", "failure"], {0: F, 1: D}, Course(None, D)),
        (["success", "success", "failure"], {0: F}, Course(2, Status.RUNNING)),
        (["success", "success", "always"], {0: F}, Course(2, Status.RUNNING)),
        (["success", "success", "always"], {0: S, 1: S}, Course(2, Status.RUNNING)),
        (["success", "failure", "always"], {0: S}, Course(2, Status.RUNNING)),
        (["success", "failure", "always"], {0: F, 1: S}, Course(2, Status.RUNNING)),
        (["success", "failure", "success"], {0: F, 1: S}, Course(None, F)),
        (["always", "always"], {0: F, 1: S}, Course(None, F)),
        (["success", "success"], {0: C}, Course(None, C)),
        (["success", "always"], {0: C}, Course(None, C)),
        (["success", "failure"], {0: S, 1: Status.SUPERSEDED}, Course(None, Status.SUPERSEDED)),
    ],
)
def test_course(whens: list[str], outcomes: dict[int, Status], course: Course) -> None:
    workflow = build_workflow(*({"uses": "github.comment", "with": {}, "when": when} for when in whens))
    assert plan_course(workflow, outcomes) == course


def test_steps_are_named_by_id_or_place() -> None:
    workflow = build_workflow({"id": "work", "uses": "x"}, {"uses": "y"})
    assert [workflow.step_name(position) for position in (0, 1)] == ["work", "2"]
