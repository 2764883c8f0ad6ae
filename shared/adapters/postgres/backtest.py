"""Stored deliveries, for drafts that are tried on them."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.adapters.postgres.database import Database, Row
from shared.domain.envelope import Envelope
from shared.ports import StoredDelivery
from shared.sql import read_queries

PAGE: Final = 200

_FIRST_KEY: Final = UUID(int=0)


class PostgresStoredDeliveries:
    """See ``shared.ports.StoredDeliveries``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = read_queries("backtest.sql")

    def count_since(self, since: datetime) -> int:
        """Returns how many were received since then."""
        [row] = self._database.fetch(self._queries["count_stored"], {"since": since})
        return int(row["count"])

    def list_since(self, since: datetime, events: Collection[str]) -> Iterator[StoredDelivery]:
        """Yields those received since then, oldest first; with the bodies of these events only."""
        at, key = since, _FIRST_KEY
        while True:
            parameters = {"since": since, "events": sorted(events), "at": at, "key": key, "limit": PAGE}
            rows = self._database.fetch(self._queries["list_stored"], parameters)
            yield from map(_read, rows)
            if len(rows) < PAGE:
                return
            at, key = rows[-1]["received_at"], rows[-1]["key"]

    def find(self, delivery_id: UUID) -> StoredDelivery | None:
        """Returns the delivery's newest generation."""
        rows = self._database.fetch(self._queries["find_stored"], {"delivery_id": delivery_id})
        return _read(rows[0]) if rows else None


def _read(row: Row) -> StoredDelivery:
    envelope = Envelope(
        source=row["source"],
        delivery_id=row["delivery_id"],
        event=row["event"],
        subject=row["subject"],
        content_type=row["content_type"],
        received_at=round(row["received_at"].timestamp() * 1000),
        hook_id=None,
        deflated=row["body"],
        body_key=row["body_key"],
    )
    matched = frozenset(answer["workflow"] for answer in row["answers"] if answer["matched"])
    return StoredDelivery(envelope, matched)
