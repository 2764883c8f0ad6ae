"""Database, whose idle connections end: by a failover, a restart, or a network that forgets them."""

import select
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import psycopg
import pytest

from shared.adapters.postgres import database as module
from shared.adapters.postgres.database import Database
from shared.domain.errors import Transient
from shared.local.free_ports import HOST

MY_PID = "select pg_backend_pid() as pid"
# No farewell: https://man7.org/linux/man-pages/man7/socket.7.html
RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
        yield database


@pytest.fixture
def others(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection beside the database's."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def read_pid(database: Database) -> int:
    pid: int = database.fetch(MY_PID)[0]["pid"]
    return pid


def end_backend(others: psycopg.Connection, pid: int) -> None:
    """Ends a backend, and returns once it has gone."""
    assert others.execute("select pg_terminate_backend(%s, 5000)", [pid]).fetchone() == (True,)


def test_a_connection_that_was_closed_while_idle_is_opened_anew(database: Database, others: psycopg.Connection) -> None:
    before = read_pid(database)
    end_backend(others, before)

    assert read_pid(database) != before

    end_backend(others, read_pid(database))
    with database.transact() as fetch:
        assert fetch("select 1 as one", None) == [{"one": 1}]


def test_an_idle_connection_that_lives_is_used_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_pid(database)
    assert read_pid(database) == before
    monkeypatch.setattr(module, "RESTED_SECONDS", -1.0)
    assert read_pid(database) == before


def test_a_statement_that_was_sent_is_not_sent_again(database: Database, others: psycopg.Connection) -> None:
    others.execute("drop sequence if exists sent")
    others.execute("create sequence sent")

    with pytest.raises(Transient, match="terminating connection"):
        database.fetch("select nextval('sent'), pg_terminate_backend(pg_backend_pid(), 5000)")

    assert others.execute("select nextval('sent')").fetchone() == (2,)


def test_a_connection_to_a_server_that_only_reads_is_not_kept(database: Database) -> None:
    before = read_pid(database)
    database.fetch("set default_transaction_read_only = on")

    with pytest.raises(Transient, match="read-only"):
        database.fetch("create table written ()")

    assert read_pid(database) != before


class Network(socketserver.ThreadingTCPServer):
    """Passes connections on to Postgres; forgets those it has, when told to, without a word to either side."""

    block_on_close = True

    def __init__(self, url: str) -> None:
        super().__init__((HOST, 0), Connection)
        address = urlsplit(url)
        self.postgres = (str(address.hostname), int(address.port or 0))
        netloc = f"{address.username}@{HOST}:{self.server_address[1]}"
        self.url = address._replace(netloc=netloc).geturl()
        self.known: set[Connection] = set()


class Connection(socketserver.BaseRequestHandler):
    server: Network

    def handle(self) -> None:
        self.server.known.add(self)
        with socket.create_connection(self.server.postgres) as postgres:
            ends = {self.request: postgres, postgres: self.request}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65_536)
                    if not data:
                        return
                    if self not in self.server.known:
                        # As it is answered where nobody knows of such a connection.
                        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                        self.request.close()
                        return
                    ends[end].sendall(data)


@pytest.fixture
def network(database_url: str) -> Iterator[Network]:
    with Network(database_url) as network:
        thread = threading.Thread(target=network.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield network
        network.shutdown()
        thread.join()


def test_a_connection_that_the_network_forgot_while_it_rested_is_opened_anew(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESTED_SECONDS", -1.0)
    with closing(Database(network.url)) as database:
        before = read_pid(database)
        network.known.clear()
        assert read_pid(database) != before


def test_one_that_it_forgot_just_now_fails_once(network: Network) -> None:
    with closing(Database(network.url)) as database:
        read_pid(database)
        network.known.clear()
        with pytest.raises(Transient, match="the database cannot be used"):
            read_pid(database)
        read_pid(database)
