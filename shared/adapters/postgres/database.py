"""Connections to Postgres, and the named queries over them.

https://www.psycopg.org/psycopg3/docs/
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

from shared.domain.errors import Transient

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 20

Row = dict[str, Any]

# What passes by itself: no connection, a failover, a lock or a deadlock, out of connections.
_TRANSIENT = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
)


class Database:
    """A stack of idle connections: a caller takes one or opens one, so there are as many as callers at once.

    In Lambda, where an environment serves one event at a time, that is one. Each statement is a transaction.

    Args:
        url: of the database.
        has_fixed_plans: its few statements are planned once for a connection, whatever their parameters: planning one
            of a dozen parts costs more than running it. Not for filters, whose best plan depends on the value.
            https://www.postgresql.org/docs/18/runtime-config-query.html#GUC-PLAN-CACHE-MODE
    """

    def __init__(self, url: str, *, has_fixed_plans: bool = False) -> None:
        self._url = url
        self._options = f"-c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout=5s -c timezone=UTC"
        if has_fixed_plans:
            self._options += " -c plan_cache_mode=force_generic_plan"
        self._idle: list[psycopg.Connection[Row]] = []

    def fetch(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Runs one statement and returns its rows.

        Raises:
            Transient: when Postgres cannot be reached, or refuses for now.
        """
        with self._connection() as connection:
            return _rows(connection.execute(query, parameters))

    @contextmanager
    def transact(self) -> Iterator[Callable[[str, Mapping[str, Any] | None], list[Row]]]:
        """Yields a ``fetch`` whose statements are one transaction, committed at the block's end.

        Raises:
            Transient: as ``fetch`` does.
        """
        with self._connection() as connection, connection.transaction():
            yield lambda query, parameters: _rows(connection.execute(query, parameters))

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Row]]:
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            try:
                yield connection
            except BaseException:
                if connection.closed or connection.broken:
                    connection.close()
                    # What broke one connection (a restart, a failover) broke those that lie idle too.
                    self.close()
                else:
                    self._idle.append(connection)
                raise
            self._idle.append(connection)
        except _TRANSIENT as error:
            raise Transient(f"the database cannot be used: {str(error).strip()}") from error

    def _connect(self) -> psycopg.Connection[Row]:
        return psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name="webhook-orchestrator",
            options=self._options,
            row_factory=dict_row,
        )

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().close()


def _rows(cursor: psycopg.Cursor[Row]) -> list[Row]:
    return list(cursor.fetchall()) if cursor.description is not None else []
