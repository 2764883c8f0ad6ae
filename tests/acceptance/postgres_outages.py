"""Postgres hangs for half a minute, then is stopped for half a minute, while webhooks go on arriving."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from shared.local.endpoints import read_endpoints
from shared.local.free_ports import choose_port
from shared.local.postgres import build_postgres, choose_postgres
from shared.local.servers import build_environment
from shared.local.supervisor import Supervisor
from tests.acceptance.local_stack import WALKING_PATH, LocalStack, check_once

OUTAGE_SECONDS = 30
INTERVAL_SECONDS = 0.5
WELL_SECONDS = 5


@dataclass(frozen=True)
class OutageReport:
    """What is left to be looked at once everything has been checked.

    Attributes:
        documents: every delivery, at its end.
        sent_while_hung: how many were accepted while Postgres did not answer.
        sent_while_stopped: likewise while there was none.
        health: the shallow and the deep one while there was none, with their status codes.
        reading: the API's list of deliveries, likewise.
    """

    documents: list[dict[str, Any]]
    sent_while_hung: int
    sent_while_stopped: int
    health: list[tuple[int, dict[str, Any]]]
    reading: tuple[int, dict[str, Any]]


class OwnPostgres:
    """A Postgres that nobody restarts but us."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        environment = build_environment(os.environ, directory)
        postgres = choose_postgres(directory, os.environ, environment)
        self._directory = directory
        self._program = build_postgres(postgres, directory / "postgres", choose_port("POSTGRES_PORT"), environment)
        self.address = str(self._program.address)

    @contextlib.contextmanager
    def running(self) -> Iterator[psutil.Process]:
        """Runs it; gives its first process."""
        with Supervisor(self._directory) as supervisor:
            supervisor.start(self._program)
            yield psutil.Process(read_endpoints(supervisor.endpoints_path)["postgres"]["pid"])


class Load:
    """Webhooks at an interval, from a thread, while its block lasts; none may be refused."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._end = threading.Event()
        self._delivery_ids: list[str] = []
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._sending = self._pool.submit(self._send)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._pool.shutdown()

    @property
    def count(self) -> int:
        """How many were accepted so far."""
        return len(self._delivery_ids)

    def end(self) -> list[str]:
        """Stops sending; returns the delivery ids. Raises AssertionError when a webhook was refused."""
        self._end.set()
        self._sending.result()
        return self._delivery_ids

    def _send(self) -> None:
        while not self._end.wait(INTERVAL_SECONDS):
            self._delivery_ids.append(self._stack.send("pull_request", self._stack.open_pull_request()[1]))


def stop_postgres(directory: Path) -> OutageReport:
    """Freezes Postgres, stops it, and follows every delivery to its end."""
    postgres = OwnPostgres(directory / "database")
    settings = {"DATABASE_URL": postgres.address, "RETRY_BASE_SECONDS": "1"}
    # Postgres is left last: the stack, which is left before, is stopped while it runs.
    with contextlib.ExitStack() as runs, LocalStack(directory / "state", workflows=WALKING_PATH, **settings) as stack:
        server = runs.enter_context(postgres.running())
        stack.start()
        with Load(stack) as load:
            time.sleep(WELL_SECONDS)
            before = load.count
            with _frozen(server):
                time.sleep(OUTAGE_SECONDS)
                sent_while_hung = load.count - before
            time.sleep(WELL_SECONDS)

            runs.close()
            before = load.count
            answers = [stack.client.get(path) for path in ("/health", "/health?deep=1", "/api/v1/deliveries")]
            time.sleep(OUTAGE_SECONDS)
            sent_while_stopped = load.count - before
            runs.enter_context(postgres.running())
            time.sleep(WELL_SECONDS)
            delivery_ids = load.end()
        documents = [stack.follow(delivery_id) for delivery_id in delivery_ids]
        check_once(stack, documents)
        assert stack.stop() == 0
    shallow, deep, reading = ((answer.status_code, answer.json()) for answer in answers)
    return OutageReport(documents, sent_while_hung, sent_while_stopped, [shallow, deep], reading)


@contextlib.contextmanager
def _frozen(server: psutil.Process) -> Iterator[None]:
    family = [server, *server.children(recursive=True)]
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        for process in family:
            process.resume()
