"""The real servers of the contract suites: one of each for the whole session."""

from collections.abc import Iterator

import httpx
import pytest

from shared import bootstrap
from shared.adapters.github.actions import build_actions
from shared.adapters.github.authorization import TokenAuthorization
from shared.adapters.github.client import GitHubClient
from shared.local.free_ports import HOST, choose_port
from shared.local.servers import AWS_CREDENTIALS
from shared.ports import Action
from tests.support.outside import APP_TOKEN
from tests.support.real_servers import run_servers
from tests.support.record_stores import MemoryStore, PostgresStore, RecordStore
from tests.support.sandbox_server import SandboxServer


@pytest.fixture(scope="session")
def addresses() -> Iterator[dict[str, str]]:
    """The addresses of ``postgres``, ``valkey`` and ``aws``, all started by this session."""
    with run_servers("contract-") as addresses:
        yield addresses


@pytest.fixture(scope="session")
def database_url(addresses: dict[str, str]) -> str:
    """A database with the schema."""
    url = addresses["postgres"]
    bootstrap.migrate({"DATABASE_URL": url})()
    return url


@pytest.fixture
def aws_endpoint(addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """An endpoint of SQS, S3 and Secrets Manager, which checks signatures; the environment has its credentials."""
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    for name, value in AWS_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return addresses["aws"]


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[RecordStore]:
    """The records, empty, in each implementation."""
    if request.param == "memory":
        yield MemoryStore()
        return
    url: str = request.getfixturevalue("database_url")
    postgres = PostgresStore(url, f"postgresql://{HOST}:{choose_port('nobody')}/nowhere")
    yield postgres
    postgres.close()


@pytest.fixture(scope="session")
def github_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    """A sandbox GitHub."""
    with SandboxServer("github", tmp_path_factory.mktemp("github")) as server:
        yield server


@pytest.fixture(scope="session")
def codegen_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    """A sandbox Codegen whose agent runs take no time."""
    with SandboxServer("codegen", tmp_path_factory.mktemp("codegen"), "--run-seconds", "0") as server:
        yield server


@pytest.fixture
def github(github_server: SandboxServer) -> SandboxServer:
    """A sandbox GitHub that has seen nothing."""
    github_server.client.post("/_reset").raise_for_status()
    return github_server


@pytest.fixture
def github_client(github: SandboxServer) -> Iterator[httpx.Client]:
    """A client of it."""
    with httpx.Client(base_url=github.url, trust_env=False) as client:
        yield client


@pytest.fixture
def actions(github_client: httpx.Client) -> dict[str, Action]:
    """GitHub's actions in the name of an App."""
    return build_actions(GitHubClient(github_client, TokenAuthorization(APP_TOKEN)))
