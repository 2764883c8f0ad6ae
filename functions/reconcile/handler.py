"""Lambda entry point of reconcile: called on a schedule."""

from typing import Any

from shared import bootstrap
from shared.usecases.reconcile import reconcile

_reconcile = bootstrap.reconcile()


@_reconcile.telemetry.observe
def handle(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Enqueues stranded tasks; an error is raised, so that the schedule's metrics show it."""
    return {"tasks_reenqueued": reconcile(_reconcile.deps)}
