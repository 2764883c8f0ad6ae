"""Deliveries, verdicts and runs, in memory."""

from collections.abc import Sequence
from uuid import UUID

from shared.adapters.memory.database import DeadLetterRow, DeliveryRow, MemoryDatabase, RunRow, SubjectRow
from shared.adapters.memory.groups import has_open_agent, settle_in_group
from shared.domain.delivery import Delivery
from shared.domain.envelope import Envelope
from shared.domain.run import PlannedRun
from shared.domain.statuses import Status
from shared.domain.subject import storable
from shared.domain.workflow import Verdict
from shared.ports import RecordedDelivery, SentTask


class MemoryDeliveries:
    """See ``shared.ports.DeliveryRecords``."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def record_delivery(
        self,
        delivery: Delivery,
        verdicts: Sequence[Verdict],
        runs: Sequence[PlannedRun],
        *,
        is_caused_by_us: bool = False,
    ) -> RecordedDelivery:
        """Records the delivery with its verdicts, runs and first tasks.

        Raises:
            KeyError: when a workflow's version was never put into force; nothing is recorded.
        """
        database = self._database
        with database.transact() as now:
            workflows = [database.versions[run.workflow.version] for run in runs]
            row = database.deliveries.get(_identity(delivery.envelope))
            if row is not None:
                row.duplicate_count += 1
                if row.status is not Status.DEAD:
                    return RecordedDelivery(is_known=True)
            else:
                row = self._add(delivery.envelope, now)
            _take_up(row, delivery, now)
            row.verdicts = [verdict._asdict() for verdict in verdicts]
            newer = self._tell(delivery)
            depth = self._depth(delivery.subject.key) if is_caused_by_us else 0
            sent: list[SentTask] = []
            for planned, workflow in zip(runs, workflows, strict=True):
                run = RunRow(
                    id=database.new_id(),
                    delivery=row,
                    workflow=workflow,
                    created_at=now,
                    subject=delivery.subject.key,
                    moment=delivery.moment,
                    group=planned.group,
                    on_conflict=planned.on_conflict,
                    depth=depth,
                )
                stopped = settle_in_group(database, run, newer, workflow.guard.max_depth, now)
                row.runs.append(run)
                sent += [SentTask(task_id) for task_id in stopped]
                if run.status is Status.QUEUED:
                    debounce = workflow.debounce or 0
                    sent.append(SentTask(str(database.add_task(run, 0, now, debounce).id), debounce))
            if is_caused_by_us:
                sent += self._hasten(delivery.subject.repository, now)
            return RecordedDelivery(is_known=False, tasks=sent)

    def find_pull_request(self, repository: str, sha: str) -> str | None:
        """Returns the key of the pull request whose head a commit is."""
        with self._database.transact():
            found = [
                (row.moment.at, key)
                for key, row in self._database.subjects.items()
                if row.repository == repository and row.moment.sha == sha and "#" in key
            ]
            return max(found)[1] if found else None

    def _tell(self, delivery: Delivery) -> str | None:
        """Keeps what the delivery tells of its subject; returns who told of a newer and different moment before."""
        moment, key = delivery.moment, delivery.subject.key
        known = self._database.subjects.get(key)
        if moment is None:
            return None
        if known is not None and known.moment.at > moment.at:
            differs = _differ(known.moment.sha, moment.sha) or _differ(known.moment.state, moment.state)
            return str(known.delivery_id) if differs else None
        if moment.is_telling:
            self._database.subjects[key] = SubjectRow(
                moment=moment,
                repository=delivery.subject.repository,
                delivery_id=UUID(delivery.envelope.delivery_id),
            )
        return None

    def _depth(self, subject: str) -> int:
        starters = [
            run.depth
            for run in self._database.runs
            if run.subject == subject and any(task.effect and task.effect.is_agent for task in run.tasks)
        ]
        return 1 + max(starters, default=0)

    def _hasten(self, repository: str | None, now: float) -> list[SentTask]:
        hastened = [
            task
            for task in self._database.tasks.values()
            if task.status is Status.WAITING
            and task.lease_until is None
            and has_open_agent(task)
            and task.run.finished_at is None
            and task.run.delivery.repository == repository
        ]
        for task in hastened:
            task.next_attempt_at = task.enqueued_at = now
        return [SentTask(str(task.id)) for task in hastened]

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


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _take_up(row: DeliveryRow, delivery: Delivery, now: float) -> None:
    row.status, row.reason, row.routed_at = Status.SUCCEEDED, None, now
    row.event, row.action = delivery.envelope.event, delivery.action
    row.subject, row.repository = delivery.subject.key, delivery.subject.repository
    row.sender, row.content_type = delivery.sender, delivery.envelope.content_type
    row.body, row.body_key = delivery.envelope.deflated, delivery.envelope.body_key
