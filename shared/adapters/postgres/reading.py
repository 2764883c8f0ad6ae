"""What the API shows, read in one statement each."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from shared.adapters.postgres.database import Database
from shared.domain.page import Page, Place, read_cursor
from shared.domain.subject import storable
from shared.sql import read_queries

# Filter -> condition; only those that are asked for become part of the statement, so that each has its plan.
_DELIVERY_FILTERS = {
    "status": "status = %(status)s",
    "event": "event = %(event)s",
    "action": "action = %(action)s",
    "subject": "subject = %(subject)s",
    "repository": "repository = %(repository)s",
    "sender": "sender = %(sender)s",
    "source": "source = %(source)s",
    "since": "received_at >= %(since)s",
    "until": "received_at < %(until)s",
}
_RUN_FILTERS = {
    "workflow": "workflow = %(workflow)s",
    "subject": "subject = %(subject)s",
    "status": "status = %(status)s",
    "repository": "repository = %(repository)s",
}
_TASK_FILTERS = {
    "status": "tasks.status = %(status)s",
    "uses": "tasks.uses = %(uses)s",
    "workflow": "runs.workflow = %(workflow)s",
    "run_id": "tasks.run_id = %(run_id)s",
    "subject": "runs.subject = %(subject)s",
}


class PostgresReading:
    """See ``shared.ports.Reading``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = read_queries("read.sql")

    def read_delivery(self, source: str, delivery_id: UUID) -> dict[str, Any] | None:
        """Returns the delivery with its verdicts, runs, tasks, attempts and effects."""
        rows = self._database.fetch(self._queries["read_delivery"], {"source": source, "delivery_id": delivery_id})
        return rows[0]["document"] if rows else None

    def read_run(self, run_id: UUID) -> dict[str, Any] | None:
        """Returns the run with its tasks."""
        rows = self._database.fetch(self._queries["read_run"], {"run_id": run_id})
        return {**rows[0]["context"], **rows[0]["document"]} if rows else None

    def list_deliveries(self, filters: Mapping[str, Any], limit: int, cursor: str | None) -> Page:
        """Returns deliveries by ``filters``, absent ones being None. Raises BadCursor."""
        before = "(received_at, key) < (%(at)s, %(key)s)"
        return self._page("list_deliveries", _DELIVERY_FILTERS, before, filters=filters, limit=limit, cursor=cursor)

    def list_runs(self, filters: Mapping[str, Any], limit: int, cursor: str | None) -> Page:
        """Returns runs without their tasks by ``filters``, absent ones being None. Raises BadCursor."""
        return self._page("list_runs", _RUN_FILTERS, "id < %(key)s", filters=filters, limit=limit, cursor=cursor)

    def list_tasks(self, filters: Mapping[str, Any], limit: int, cursor: str | None) -> Page:
        """Returns tasks by ``filters``, absent ones being None. Raises BadCursor."""
        before = "(tasks.created_at, tasks.id) < (%(at)s, %(key)s)"
        return self._page("list_tasks", _TASK_FILTERS, before, filters=filters, limit=limit, cursor=cursor)

    def list_instructions(self, limit: int, cursor: str | None) -> Page:
        """Returns what people have told the orchestrator. Raises BadCursor."""
        before = "(given_at, id) < (%(at)s, %(key)s)"
        return self._page("list_instructions", {}, before, filters={}, limit=limit, cursor=cursor)

    def ping(self) -> None:
        """Asks the database for a sign of life. Raises Transient."""
        self._database.fetch(self._queries["ping"])

    def _page(
        self,
        query: str,
        known: Mapping[str, str],
        before: str,
        *,
        filters: Mapping[str, Any],
        limit: int,
        cursor: str | None,
    ) -> Page:
        given = {
            name: storable(value) if isinstance(value, str) else value
            for name, value in filters.items()
            if value is not None
        }
        conditions = [known[name] for name in given]
        parameters: dict[str, Any] = {**given, "limit": limit + 1}
        if cursor is not None:
            parameters["at"], parameters["key"] = read_cursor(cursor)
            conditions.append(before)
        text = self._queries[query].replace("{conditions}", " and ".join(conditions) or "true")
        rows = self._database.fetch(text, parameters)
        items = [{**row.get("context", {}), **row["document"]} for row in rows[:limit]]
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(items, None if last is None else Place(last["at"], last["key"]).write_cursor())
