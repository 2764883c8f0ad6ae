"""Refresh: look at a repository's workflow file when it is due, and tell the repository when it cannot be used.

It comes with a delivery: before it is judged, so that it is judged by the newest workflows, and after it is
recorded, because the report of a faulty file is a run of that delivery. What fails here fails no delivery.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from shared.domain.delivery import Delivery
from shared.domain.errors import Permanent, Transient
from shared.domain.workflow import Workflow
from shared.domain.workflow_file import (
    FileState,
    FoundFile,
    Reading,
    build_report,
    describe_fault,
    is_pushed_to_default,
    is_repository,
    may_touch_file,
)
from shared.ports import SentTask, Telemetry, WorkflowFiles, WorkflowSource

Answer = FoundFile | Literal["unchanged", "absent"]


@dataclass(frozen=True, slots=True)
class RefreshDeps:
    """What refresh works with.

    Attributes:
        files: what is known of the files.
        source: where they are.
        read: reads the text of one (None: it is no readable text); never raises.
        telemetry: the function's voice.
        has_checks: whether a report may be a check run.
    """

    files: WorkflowFiles
    source: WorkflowSource
    read: Callable[[str | None], Reading]
    telemetry: Telemetry
    has_checks: bool


class Refreshed(NamedTuple):
    """A check whose outcome is to be settled once its delivery is recorded."""

    repository: str
    known: FileState
    found: FileState
    report: Workflow | None


def look_at_file(delivery: Delivery, deps: RefreshDeps) -> Refreshed | None:
    """Looks at the workflow file of the delivery's repository, if it is due, and puts what is good into force.

    Returns:
        What to settle; None when there is nothing.

    Raises:
        Transient: only when the database cannot be reached, without which no delivery is recorded either.
    """
    repository = delivery.subject.repository
    if repository is None or not is_repository(repository):
        return None
    known = deps.files.claim_check(repository, at_once=may_touch_file(delivery))
    if known is None:
        return None
    ids = {**delivery.envelope.ids, "repository": repository}
    try:
        answer = deps.source.fetch(repository, known.etag)
        if answer == "unchanged":
            return None
        if isinstance(answer, FoundFile) and answer.sha == known.sha:
            # The same file under another ETag.
            return Refreshed(repository, known, known._replace(etag=answer.etag), None)
        found, workflows = _read(answer, deps)
        report = _report(delivery, answer, found, known, deps)
    except (Transient, Permanent) as error:
        # What is in force stays so; the file is asked for again when it is due again.
        deps.telemetry.count("workflow_files_unread")
        deps.telemetry.log("workflow_file.unread", level="WARNING", **ids, reason=str(error))
        return None
    if found.faults:
        faults = [describe_fault(fault) for fault in found.faults]
        deps.telemetry.count("workflow_files_refused")
        deps.telemetry.log("workflow_file.refused", level="WARNING", **ids, sha=found.sha, faults=faults)
    elif found.sha != known.sha and deps.files.put_in_force(repository, workflows, known):
        names = [workflow.name for workflow in workflows]
        deps.telemetry.log("workflow_file.adopted", level="INFO", **ids, sha=found.sha, workflows=names)
    return Refreshed(repository, known, found, report)


def settle_file(delivery: Delivery, refreshed: Refreshed | None, deps: RefreshDeps) -> list[SentTask]:
    """Records what was found, now that the delivery is recorded; returns the tasks to enqueue."""
    if refreshed is None:
        return []
    repository, known, found, report = refreshed
    try:
        task_ids = deps.files.settle_check(repository, found, known, report, delivery)
    except Transient as error:
        # The next check finds the same and settles it.
        reason = str(error)
        deps.telemetry.log("workflow_file.unsettled", level="WARNING", **delivery.envelope.ids, reason=reason)
        return []
    return [SentTask(task_id) for task_id in task_ids]


def _read(answer: Answer, deps: RefreshDeps) -> tuple[FileState, Sequence[Workflow]]:
    if not isinstance(answer, FoundFile):
        return FileState(), ()
    reading = deps.read(answer.text)
    return FileState(answer.etag, answer.sha, tuple(reading.faults)), reading.workflows


def _report(
    delivery: Delivery, answer: Answer, found: FileState, known: FileState, deps: RefreshDeps
) -> Workflow | None:
    if not found.faults and not known.faults:
        return None
    repository = str(delivery.subject.repository)
    if delivery.subject.sha is not None and is_pushed_to_default(delivery):
        commit = delivery.subject.sha
    else:
        branch = delivery.payload["repository"].get("default_branch")
        commit = deps.source.find_head(repository, str(branch or "main"))
    url = answer.url if isinstance(answer, FoundFile) else None
    return build_report(found.faults, repository=repository, commit=commit, url=url, has_checks=deps.has_checks)
