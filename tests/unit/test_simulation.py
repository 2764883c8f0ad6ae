"""A simulation: the verdict, and every clause with what was seen."""

from typing import Any

import pytest

from shared.domain.pattern import Clause
from shared.domain.simulation import simulate
from shared.domain.workflow import Workflow
from tests.support.factories import build_delivery, build_payload

EVENT = Clause("event", '"pull_request"', '"pull_request"', matched=True)


@pytest.mark.parametrize(
    ("members", "event", "matched", "because", "clauses"),
    [
        ({}, "pull_request", True, "no clauses", [EVENT]),
        (
            {"on": {"pull_request": {"actions": "closed", "authors": "ada"}}},
            "pull_request",
            False,
            'action is "opened", wants "closed"',
            [
                EVENT,
                Clause("action", '"closed"', '"opened"', matched=False),
                Clause("authors", '"ada"', '"ada"', matched=True),
            ],
        ),
        (
            {},
            "issues",
            False,
            'event is "issues", wants "pull_request"',
            [Clause("event", '"pull_request"', '"issues"', matched=False)],
        ),
        ({"enabled": False}, "pull_request", False, "the workflow is switched off: enabled is false", [EVENT]),
    ],
)
def test_a_simulation_tells_all(
    members: dict[str, Any], event: str, matched: object, because: str, clauses: list[Clause]
) -> None:
    steps = [{"uses": "github.comment", "with": {"body": "Hi"}}]
    workflow = Workflow.model_validate({"name": "greet", "on": "pull_request", "steps": steps, **members})
    delivery = build_delivery(build_payload(), event=event)
    assert simulate(workflow, event, delivery.action, delivery.document) == (matched, because, clauses)
