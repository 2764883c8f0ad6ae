"""Deliveries, verdicts and runs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb

from shared.adapters.postgres.database import Database
from shared.domain.delivery import Delivery
from shared.domain.envelope import Envelope
from shared.domain.run import PlannedRun
from shared.domain.subject import storable
from shared.domain.workflow import Verdict
from shared.ports import RecordedDelivery, SentTask
from shared.sql import read_queries


class PostgresDeliveries:
    """See ``shared.ports.DeliveryRecords``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = read_queries("route.sql")

    def record_delivery(
        self,
        delivery: Delivery,
        verdicts: Sequence[Verdict],
        runs: Sequence[PlannedRun],
        *,
        is_caused_by_us: bool = False,
    ) -> RecordedDelivery:
        """Records the delivery with its verdicts, runs and first tasks in one statement."""
        moment = delivery.moment
        parameters = _columns(delivery.envelope) | {
            "action": delivery.action,
            "subject": delivery.subject.key,
            "repository": delivery.subject.repository,
            "sender": delivery.sender,
            "verdicts": Jsonb([verdict._asdict() for verdict in verdicts]),
            "runs": Jsonb([_run_columns(run) for run in runs]),
            "sha": delivery.subject.sha if moment is None else moment.sha,
            "state": None if moment is None else moment.state,
            "at": None if moment is None else moment.at,
            "is_telling": moment is not None and moment.is_telling,
            "is_ours": is_caused_by_us,
        }
        [row] = self._database.fetch(self._queries["record_delivery"], parameters)
        if row["key"] is not None:
            return RecordedDelivery(is_known=False, tasks=[SentTask(*task) for task in row["tasks"] or ()])
        self._database.fetch(self._queries["count_duplicate"], parameters)
        return RecordedDelivery(is_known=True)

    def find_pull_request(self, repository: str, sha: str) -> str | None:
        """Returns the key of the pull request whose head a commit is."""
        rows = self._database.fetch(self._queries["find_pull_request"], {"repository": repository, "sha": sha})
        return rows[0]["key"] if rows else None

    def record_dead_delivery(self, envelope: Envelope, reason: str) -> bool:
        """Records a delivery that will not be routed."""
        parameters = _columns(envelope) | {"subject": envelope.subject, "reason": storable(reason)}
        return bool(self._database.fetch(self._queries["record_dead_delivery"], parameters))

    def record_dead_letter(self, message_id: str, queue: str, body: str, reason: str) -> None:
        """Keeps an unreadable message."""
        self._database.fetch(
            self._queries["record_dead_letter"],
            {"message_id": message_id, "queue": queue, "body": body, "reason": reason},
        )


def _run_columns(run: PlannedRun) -> dict[str, Any]:
    workflow = run.workflow
    return {
        "workflow": workflow.name,
        "version": workflow.version,
        "position": 0,
        "step": workflow.step_name(0),
        "uses": workflow.steps[0].uses,
        "group_key": run.group,
        "on_conflict": run.on_conflict,
        "debounce_seconds": workflow.debounce or 0,
        "max_depth": workflow.guard.max_depth,
    }


def _columns(envelope: Envelope) -> dict[str, Any]:
    return {
        "source": envelope.source,
        "delivery_id": envelope.delivery_id,
        "event": envelope.event,
        "hook_id": envelope.hook_id,
        "received_at": datetime.fromtimestamp(envelope.received_at / 1000, UTC),
        "content_type": envelope.content_type,
        "body": envelope.deflated,
        "body_key": envelope.body_key,
        "trace_id": envelope.trace_id,
    }
