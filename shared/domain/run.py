"""A run: one workflow on one delivery; what is planned of it before it is recorded."""

from dataclasses import dataclass
from typing import Literal

from shared.domain.workflow import Concurrency, Workflow

# What debounce means to a workflow that says nothing of concurrency.
_DEBOUNCED = Concurrency(group="subject", on_conflict="queue")


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that is to be started.

    Attributes:
        workflow: the version it keeps.
        group: names the runs that stand in each other's way; None: none does.
    """

    workflow: Workflow
    group: str | None = None

    @property
    def on_conflict(self) -> Literal["cancel", "queue", "skip", "once"] | None:
        """What becomes of the earlier runs of the group, or of this one."""
        if self.group is None:
            return None
        return (self.workflow.concurrency or _DEBOUNCED).on_conflict


def name_group(workflow: Workflow, subject: str, repository: str | None) -> tuple[str | None, bool]:
    """Returns the group of a workflow's run on a subject, and whether it is a template yet to be rendered."""
    concurrency = workflow.concurrency
    if concurrency is None:
        if workflow.debounce is None:
            return None, False
        concurrency = _DEBOUNCED
    own = {"subject": subject, "repository": repository or subject, "workflow": ""}
    if concurrency.group in own:
        return f"{workflow.name}/{own[concurrency.group]}", False
    return concurrency.group, True
