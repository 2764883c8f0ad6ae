"""Route: record a delivery, judge it by every workflow, and start the runs of those that match."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shared.domain.delivery import Delivery, read_delivery
from shared.domain.envelope import Envelope, UnreadableEnvelope
from shared.domain.errors import Permanent, Refused
from shared.domain.guard import Provenance, Surroundings, refuse, trace_provenance
from shared.domain.run import PlannedRun, name_group
from shared.domain.subject import resolve_subject
from shared.domain.workflow import Verdict, Workflow, judge
from shared.ports import BodyStore, DeliveryRecords, SentTask, Telemetry, Templates, WorkflowCatalog
from shared.usecases.refresh import RefreshDeps, look_at_file, settle_file

# An error that nobody foresaw may be a moment's trouble; after so many receipts of the message it is a bug.
MAX_UNFORESEEN = 5
# Events about a commit, whose pull request GitHub does not name when it comes from a fork.
_ABOUT_COMMITS = frozenset({"check_run", "check_suite", "status", "workflow_job", "workflow_run"})


@dataclass(frozen=True, slots=True)
class RouteDeps:
    """What route works with.

    Attributes:
        templates: built when the first is needed.
        refresh: without it, repositories' workflow files are not looked at.
    """

    records: DeliveryRecords
    catalog: WorkflowCatalog
    bodies: BodyStore
    templates: Callable[[], Templates]
    surroundings: Surroundings
    telemetry: Telemetry
    refresh: RefreshDeps | None = None


def route(envelope: Envelope, deps: RouteDeps) -> Sequence[SentTask]:
    """Routes one delivery; returns the tasks to enqueue, once they are committed.

    A delivery that is known already is counted and goes no further. One whose body cannot be read is recorded
    as dead, with the reason.

    Raises:
        Transient: when the database or the body store cannot be reached: the message is to be kept.
    """
    ids = {**envelope.ids, "event": envelope.event}
    try:
        delivery = read_delivery(envelope, read_body(envelope, deps.bodies))
    except (UnreadableEnvelope, Refused, Permanent) as error:
        bury_delivery(envelope, str(error), deps.records, deps.telemetry)
        return ()
    refreshed = None if deps.refresh is None else look_at_file(delivery, deps.refresh)
    workflows = deps.catalog.read(delivery.subject.repository)
    provenance = trace_provenance(envelope.event, delivery.payload, deps.surroundings)
    verdicts, runs = _judge(delivery, workflows, provenance, deps)
    if runs and _lacks_pull_request(delivery):
        found = deps.records.find_pull_request(delivery.subject.repository or "", delivery.subject.sha or "")
        if found is not None:
            delivery = replace(delivery, subject=resolve_subject(delivery.subject, found))
            verdicts, runs = _judge(delivery, workflows, provenance, deps)
    recorded = deps.records.record_delivery(delivery, verdicts, runs, is_caused_by_us=provenance.cause is not None)
    reports = [] if deps.refresh is None else settle_file(delivery, refreshed, deps.refresh)
    subject = delivery.subject.key
    if recorded.is_known:
        deps.telemetry.count("duplicates")
        deps.telemetry.log("delivery.recognised", level="INFO", **ids, subject=subject)
        return reports
    deps.telemetry.count("routed")
    deps.telemetry.count("runs_started", len(runs))
    deps.telemetry.log(
        "delivery.routed",
        level="INFO",
        **ids,
        action=delivery.action,
        subject=subject,
        matched=[run.workflow.name for run in runs],
        task_ids=recorded.task_ids,
    )
    return [*recorded.tasks, *reports]


def _judge(
    delivery: Delivery, workflows: Sequence[Workflow], provenance: Provenance, deps: RouteDeps
) -> tuple[list[Verdict], list[PlannedRun]]:
    verdicts, runs = [], []
    document = delivery.document
    for workflow in workflows:
        verdict = judge(workflow, delivery.envelope.event, delivery.action, document)
        if verdict.matched:
            because = refuse(workflow, provenance)
            try:
                group = _name_group(workflow, delivery, deps.templates) if because is None else None
            except Permanent as error:
                because = str(error)
            if because is None:
                runs.append(PlannedRun(workflow, group))
            else:
                verdict = verdict._replace(matched=False, because=because)
        verdicts.append(verdict)
    return verdicts, runs


def _name_group(workflow: Workflow, delivery: Delivery, templates: Callable[[], Templates]) -> str | None:
    group, is_template = name_group(workflow, delivery.subject.key, delivery.subject.repository)
    if is_template:
        group = str(templates().render({"group": group}, delivery.document)["group"])
    return group


def _lacks_pull_request(delivery: Delivery) -> bool:
    subject = delivery.subject
    is_about_commit = delivery.envelope.event in _ABOUT_COMMITS
    return is_about_commit and subject.number is None and None not in {subject.repository, subject.sha}


def read_body(envelope: Envelope, bodies: BodyStore) -> bytes:
    """Returns the compressed body, from the envelope or from where it is stored apart."""
    if envelope.deflated is not None:
        return envelope.deflated
    if envelope.body_key is None:
        raise Permanent("the envelope has neither a body nor the key of one")
    return bodies.get(envelope.body_key)


def bury_delivery(envelope: Envelope, reason: str, records: DeliveryRecords, telemetry: Telemetry) -> None:
    """Records a delivery that will not be routed, so that it is seen and can be replayed."""
    if records.record_dead_delivery(envelope, reason):
        telemetry.count("dead_deliveries")
        telemetry.log(
            "delivery.died",
            level="ERROR",
            **envelope.ids,
            event=envelope.event,
            subject=envelope.subject,
            reason=reason,
        )
