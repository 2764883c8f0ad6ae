"""Stored deliveries in memory, for drafts that are tried on them."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from shared.adapters.memory.database import DeliveryRow, MemoryDatabase
from shared.domain.envelope import Envelope
from shared.ports import StoredDelivery


class MemoryStoredDeliveries:
    """See ``shared.ports.StoredDeliveries``."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def count_since(self, since: datetime) -> int:
        """Returns how many were received since then."""
        return len(self._rows(since))

    def list_since(self, since: datetime, events: Collection[str]) -> Iterator[StoredDelivery]:
        """Yields those received since then, oldest first; with the bodies of these events only."""
        for row in self._rows(since):
            stored = _read(row)
            if row.event not in events:
                stored = stored._replace(envelope=replace(stored.envelope, deflated=None, body_key=None))
            yield stored

    def find(self, delivery_id: UUID) -> StoredDelivery | None:
        """Returns the delivery."""
        with self._database.transact():
            return next(
                (_read(row) for row in self._database.deliveries.values() if row.delivery_id == delivery_id), None
            )

    def _rows(self, since: datetime) -> list[DeliveryRow]:
        with self._database.transact():
            rows = [row for row in self._database.deliveries.values() if row.received_at >= since.timestamp()]
            return sorted(rows, key=lambda row: (row.received_at, row.key))


def _read(row: DeliveryRow) -> StoredDelivery:
    envelope = Envelope(
        source=row.source,
        delivery_id=str(row.delivery_id),
        event=row.event,
        subject=row.subject,
        content_type=row.content_type,
        received_at=round(row.received_at * 1000),
        hook_id=None,
        deflated=row.body,
        body_key=row.body_key,
    )
    return StoredDelivery(envelope, frozenset(each["workflow"] for each in row.verdicts if each["matched"]))
