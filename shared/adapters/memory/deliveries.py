"""Deliveries, verdicts and runs, in memory."""

from collections.abc import Sequence
from uuid import UUID

from shared.adapters.memory.database import DeadLetterRow, DeliveryRow, MemoryDatabase, RunRow
from shared.domain.delivery import Delivery
from shared.domain.envelope import Envelope
from shared.domain.statuses import Status
from shared.domain.subject import storable
from shared.domain.workflow import Verdict, Workflow
from shared.ports import RecordedDelivery


class MemoryDeliveries:
    """See ``shared.ports.DeliveryRecords``."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def record_delivery(
        self, delivery: Delivery, verdicts: Sequence[Verdict], matched: Sequence[Workflow]
    ) -> RecordedDelivery:
        """Records the delivery with its verdicts, runs and first tasks.

        Raises:
            KeyError: when a workflow's version was never put into force; nothing is recorded.
        """
        database = self._database
        with database.transact() as now:
            workflows = [database.versions[workflow.version] for workflow in matched]
            row = database.deliveries.get(_identity(delivery.envelope))
            if row is not None:
                row.duplicate_count += 1
                if row.status is not Status.DEAD:
                    return RecordedDelivery(is_known=True, task_ids=())
            else:
                row = self._add(delivery.envelope, now)
            _take_up(row, delivery, now)
            row.verdicts = [verdict._asdict() for verdict in verdicts]
            for workflow in workflows:
                run = RunRow(id=database.new_id(), delivery=row, workflow=workflow, created_at=now)
                row.runs.append(run)
                database.add_task(run, 0, now)
            return RecordedDelivery(is_known=False, task_ids=[str(run.tasks[0].id) for run in row.runs])

    def record_dead_delivery(self, envelope: Envelope, reason: str) -> bool:
        """Records a delivery that will not be routed."""
        with self._database.transact() as now:
            if _identity(envelope) in self._database.deliveries:
                return False
            row = self._add(envelope, now)
            row.status, row.reason = Status.DEAD, storable(reason)
            return True

    def record_dead_letter(self, message_id: str, queue: str, body: str, reason: str) -> None:
        """Keeps an unreadable message."""
        with self._database.transact():
            letter = DeadLetterRow(message_id=message_id, queue=queue, body=body, reason=reason)
            self._database.dead_letters.setdefault(message_id, letter)

    def _add(self, envelope: Envelope, now: float) -> DeliveryRow:
        row = DeliveryRow(
            key=self._database.new_id(),
            source=envelope.source,
            delivery_id=UUID(envelope.delivery_id),
            event=envelope.event,
            subject=envelope.subject,
            status=Status.SUCCEEDED,
            received_at=envelope.received_at / 1000,
            routed_at=now,
            content_type=envelope.content_type,
            body=envelope.deflated,
            body_key=envelope.body_key,
            hook_id=envelope.hook_id,
            trace_id=envelope.trace_id,
        )
        self._database.deliveries[_identity(envelope)] = row
        return row


def _identity(envelope: Envelope) -> tuple[str, UUID]:
    # What makes two deliveries the same, wherever they came from: GitHub keeps the id across redeliveries.
    return envelope.source, UUID(envelope.delivery_id)


def _take_up(row: DeliveryRow, delivery: Delivery, now: float) -> None:
    row.status, row.reason, row.routed_at = Status.SUCCEEDED, None, now
    row.event, row.action = delivery.envelope.event, delivery.action
    row.subject, row.repository = delivery.subject.key, delivery.subject.repository
    row.sender, row.content_type = delivery.sender, delivery.envelope.content_type
    row.body, row.body_key = delivery.envelope.deflated, delivery.envelope.body_key
