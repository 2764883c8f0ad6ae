"""The stacks of the acceptance tests: one for all, and one each for what takes minutes of waiting."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.documents import check_requests
from tests.acceptance.local_stack import API_TOKEN, SECRET, LocalStack
from tests.acceptance.postgres_outages import OutageReport, stop_postgres
from tests.acceptance.worker_kills import KillReport, kill_workers

BESIDE: Mapping[str, Callable[[Path], Any]] = {"postgres_outages": stop_postgres, "worker_kills": kill_workers}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The stack that the tests share; each leaves it whole."""
    with LocalStack(tmp_path_factory.mktemp("stack") / "state") as stack:
        stack.start()
        yield stack
        check_requests(stack)
        assert stack.stop() == 0
        logs = stack.read_logs()
        assert [secret for secret in (SECRET, API_TOKEN, stack.secret) if secret in logs] == []


@pytest.fixture(scope="session", autouse=True)
def beside(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Any]]]:
    """Starts the long scenarios that are asked for; they go on beside the other tests, on their own stacks."""
    wanted = {
        name
        for item in request.session.items
        if isinstance(item, pytest.Function)
        for name in item.fixturenames
        if name in BESIDE
    }
    with ThreadPoolExecutor(len(BESIDE)) as pool:
        yield {name: pool.submit(BESIDE[name], tmp_path_factory.mktemp(name)) for name in sorted(wanted)}


@pytest.fixture(scope="session")
def postgres_outages(beside: Mapping[str, Future[OutageReport]]) -> OutageReport:
    """What became of deliveries while Postgres hung and while it was stopped."""
    return beside["postgres_outages"].result()


@pytest.fixture(scope="session")
def worker_kills(beside: Mapping[str, Future[KillReport]]) -> KillReport:
    """What became of deliveries while their workers were killed."""
    return beside["worker_kills"].result()
