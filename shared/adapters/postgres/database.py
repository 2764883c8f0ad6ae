"""Connections to Postgres, and the named queries over them.

https://www.psycopg.org/psycopg3/docs/
"""

import re
import select
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.rows import dict_row

from shared.domain.errors import Transient

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 20
# What has lain idle for longer is asked for a sign of life first: networks forget a silent connection without a word,
# as AWS's NAT does after 350 seconds, and a frozen Lambda may have missed its end.
# https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
RESTED_SECONDS = 30.0

Row = dict[str, Any]
# As psycopg writes them in a query: a name, or a percent sign of the query's own.
_PARAMETER = re.compile(r"%\((\w+)\)s|%%")

# What passes by itself: no connection, a failover, a lock or a deadlock, out of connections.
_TRANSIENT = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
)


class Database:
    """A stack of idle connections: a caller takes one or opens one, so there are as many as callers at once.

    In Lambda, where an environment serves one event at a time, that is one. Each statement is a transaction.

    Whether an idle connection still lives is looked at before it is used. Once a statement has been sent it is not
    sent again here: it may have been applied, and whoever gave it knows whether it may be repeated.

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
        # Each with the time since when it lies idle.
        self._idle: list[tuple[psycopg.Connection[Row], float]] = []

    def fetch(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Runs one statement and returns its rows.

        Raises:
            Transient: when Postgres cannot be reached, or refuses for now.
        """
        with self._connection() as connection:
            return _run(connection, query, parameters)

    @contextmanager
    def transact(self) -> Iterator[Callable[[str, Mapping[str, Any] | None], list[Row]]]:
        """Yields a ``fetch`` whose statements are one transaction, committed at the block's end.

        Raises:
            Transient: as ``fetch`` does.
        """
        with self._connection() as connection, connection.transaction():
            yield lambda query, parameters: _run(connection, query, parameters)

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Row]]:
        try:
            connection = self._take_idle() or self._connect()
            try:
                yield connection
            except BaseException as error:
                # A server that only reads has been the primary, and remains reachable.
                if connection.closed or isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
                    connection.close()
                    # What broke one connection (a restart, a failover) broke those that lie idle too.
                    self.close()
                else:
                    self._lay_down(connection)
                raise
            self._lay_down(connection)
        except _TRANSIENT as error:
            raise Transient(f"the database cannot be used: {str(error).strip()}") from error

    def _lay_down(self, connection: psycopg.Connection[Row]) -> None:
        self._idle.append((connection, time.monotonic()))

    def _take_idle(self) -> psycopg.Connection[Row] | None:
        """Returns an idle connection that lives, or None."""
        while True:
            try:
                connection, idle_since = self._idle.pop()
            except IndexError:
                return None
            if _is_alive(connection, has_rested=time.monotonic() - idle_since > RESTED_SECONDS):
                return connection
            connection.close()

    def _connect(self) -> psycopg.Connection[Row]:
        return psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            # A server that has vanished is noticed after so long, and not when the function is killed.
            tcp_user_timeout=CONNECT_SECONDS * 1000,
            application_name="webhook-orchestrator",
            options=self._options,
            row_factory=dict_row,
            cursor_factory=psycopg.RawCursor,
        )

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            connection, _ = self._idle.pop()
            connection.close()


def _is_alive(connection: psycopg.Connection[Row], *, has_rested: bool) -> bool:
    # Nothing has been asked, so what can be read is the server's farewell, or the end.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        return False
    if has_rested:
        try:
            connection.execute("")
        except _TRANSIENT:
            return False
    return True


def _run(connection: psycopg.Connection[Row], query: str, parameters: Mapping[str, Any] | None) -> list[Row]:
    text, names = _number_parameters(query)
    cursor = connection.execute(text, [parameters[name] for name in names] if parameters is not None else None)
    return list(cursor.fetchall()) if cursor.description is not None else []


@lru_cache(maxsize=512)
def _number_parameters(query: str) -> tuple[str, tuple[str, ...]]:
    """Returns the query as Postgres takes it, ``$1`` for the first name, and the names in that order.

    Psycopg would do the same at every execution of a statement of over 4,096 characters, for 0.1 ms.
    https://www.psycopg.org/psycopg3/docs/advanced/cursors.html#cursor-types
    """
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] is None:
            return "%"
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return _PARAMETER.sub(number, query), tuple(names)
