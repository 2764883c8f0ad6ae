"""Route: record a delivery, judge it by every workflow, and start the runs of those that match."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.delivery import read_delivery
from shared.domain.envelope import Envelope, UnreadableEnvelope
from shared.domain.errors import Permanent, Refused
from shared.domain.workflow import judge
from shared.ports import BodyStore, DeliveryRecords, Telemetry, WorkflowCatalog
from shared.usecases.refresh import RefreshDeps, look_at_file, settle_file

# An error that nobody foresaw may be a moment's trouble; after so many receipts of the message it is a bug.
MAX_UNFORESEEN = 5


@dataclass(frozen=True, slots=True)
class RouteDeps:
    """What route works with; without ``refresh``, repositories' workflow files are not looked at."""

    records: DeliveryRecords
    catalog: WorkflowCatalog
    bodies: BodyStore
    telemetry: Telemetry
    refresh: RefreshDeps | None = None


def route(envelope: Envelope, deps: RouteDeps) -> Sequence[str]:
    """Routes one delivery; returns the ids of the tasks to enqueue, once they are committed.

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
    document = delivery.document
    refreshed = None if deps.refresh is None else look_at_file(delivery, deps.refresh)
    workflows = deps.catalog.read(delivery.subject.repository)
    verdicts = [judge(workflow, envelope.event, delivery.action, document) for workflow in workflows]
    matched = [workflow for workflow, verdict in zip(workflows, verdicts, strict=True) if verdict.matched]
    recorded = deps.records.record_delivery(delivery, verdicts, matched)
    reports = [] if deps.refresh is None else settle_file(delivery, refreshed, deps.refresh)
    subject = delivery.subject.key
    if recorded.is_known:
        deps.telemetry.count("duplicates")
        deps.telemetry.log("delivery.recognised", level="INFO", **ids, subject=subject)
        return reports
    deps.telemetry.count("routed")
    deps.telemetry.count("runs_started", len(matched))
    deps.telemetry.log(
        "delivery.routed",
        level="INFO",
        **ids,
        action=delivery.action,
        subject=subject,
        matched=[workflow.name for workflow in matched],
        task_ids=list(recorded.task_ids),
    )
    return [*recorded.task_ids, *reports]


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
