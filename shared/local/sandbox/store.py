"""A sandbox server's memory: one SQLite file that outlives the process, even when it is killed."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

Value = str | int | float | None


class Store:
    """A SQLite database with the few calls that the sandbox servers need.

    Every statement is its own transaction. The log reaches the operating system before a call returns, so a
    killed process loses nothing; only a crash of the whole machine may (``synchronous = OFF``).
    https://www.sqlite.org/pragma.html#pragma_synchronous
    """

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {schema}")

    def list_rows(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """Returns all rows of a query."""
        return self._database.execute(sql, values).fetchall()

    def read_row(self, sql: str, values: Sequence[Value] = ()) -> sqlite3.Row | None:
        """Returns the first row of a query, or None."""
        row: sqlite3.Row | None = self._database.execute(sql, values).fetchone()
        return row

    def count_rows(self, sql: str, values: Sequence[Value] = ()) -> int:
        """Returns the number that a ``SELECT count(*)`` gives."""
        return int(self._database.execute(sql, values).fetchone()[0])

    def insert_row(self, sql: str, values: Sequence[Value]) -> int:
        """Runs an INSERT and returns the new row's id."""
        return self._database.execute(sql, values).lastrowid or 0

    def change_rows(self, sql: str, values: Sequence[Value] = ()) -> int:
        """Runs an UPDATE or DELETE and returns how many rows it touched."""
        return self._database.execute(sql, values).rowcount

    def empty_tables(self) -> None:
        """Deletes every row. Ids go on counting, so that an id from before names nothing afterwards."""
        tables = self.list_rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        for (table,) in tables:
            # The names come from the database's own catalogue.
            self._database.execute(f'DELETE FROM "{table}"')  # noqa: S608

    def close(self) -> None:
        """Closes the file."""
        self._database.close()


def format_time(at: datetime | None = None) -> str:
    """Returns a time (now, unless given) as both services write it: UTC, whole seconds, ``Z``."""
    return (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
