"""A simulation: a workflow's verdict on a delivery, clause by clause, without anything being done."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.domain.globs import one_of
from shared.domain.pattern import Clause
from shared.domain.workflow import Workflow, judge


class Simulation(NamedTuple):
    """What a workflow says to a delivery.

    Attributes:
        matched: whether it would run.
        because: the verdict's reason.
        clauses: everything that is wanted, with what was seen; only the event, when it is another one.
    """

    matched: bool
    because: str
    clauses: list[Clause]


def simulate(workflow: Workflow, event: str, action: str | None, document: Mapping[str, Any]) -> Simulation:
    """Holds a workflow against a delivery's document."""
    verdict = judge(workflow, event, action, document)
    trigger = workflow.on.get(event)
    clauses = [Clause("event", one_of(list(workflow.on)), json.dumps(event), matched=trigger is not None)]
    if trigger is not None:
        clauses += trigger.clauses(event, action, document)
    return Simulation(verdict.matched, verdict.because, clauses)
