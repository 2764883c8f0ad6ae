"""WorkflowSource: in memory and at the sandbox GitHub."""

from collections.abc import Iterator
from typing import Protocol

import httpx
import pytest

from shared.adapters.github.authorization import TokenAuthorization
from shared.adapters.github.client import GitHubClient
from shared.adapters.github.workflow_source import AVOID_SECONDS, GitHubWorkflowSource
from shared.adapters.memory.workflows import MemoryWorkflowSource
from shared.domain.errors import Limited, Permanent, Transient
from shared.domain.workflow_file import FILE_PATH, FoundFile
from shared.ports import WorkflowSource
from tests.support.clock import ManualClock
from tests.support.outside import GITHUB_ERRORS
from tests.support.sandbox_server import Contract, SandboxServer

REPOSITORY = "acme/widgets"
CONTENTS = f"/repos/{REPOSITORY}/contents/{FILE_PATH}"


class Place(Protocol):
    """A source, and the repositories behind it."""

    @property
    def source(self) -> WorkflowSource:
        """The source."""

    def put(self, text: bytes) -> None:
        """Puts the file."""

    def delete(self) -> None:
        """Takes it away."""


class MemoryPlace:
    def __init__(self) -> None:
        self.source = self._source = MemoryWorkflowSource()

    def put(self, text: bytes) -> None:
        self._source.texts[REPOSITORY] = _decode(text)

    def delete(self) -> None:
        del self._source.texts[REPOSITORY]


def _decode(text: bytes) -> str | None:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return None


class SandboxPlace:
    """The sandbox GitHub, whose every exchange is checked against GitHub's OpenAPI document."""

    def __init__(self, server: SandboxServer, contract: Contract) -> None:
        server.client.post("/_reset").raise_for_status()
        self.server = server
        self.clock = ManualClock()
        self.connections = 0
        self._contract = contract
        self.client = httpx.Client(base_url=server.url, trust_env=False, event_hooks={"response": [self._check]})
        self.source = GitHubWorkflowSource(self._connect, self.clock)

    def _connect(self) -> GitHubClient:
        self.connections += 1
        return GitHubClient(self.client, TokenAuthorization("made-up"))

    def _check(self, response: httpx.Response) -> None:
        response.read()
        self._contract.check_request(response.request)
        if response.status_code != 304:
            self._contract.check(response, response.status_code)

    def put(self, text: bytes) -> None:
        self.server.client.put(f"/_contents/{REPOSITORY}/{FILE_PATH}", content=text).raise_for_status()

    def delete(self) -> None:
        self.server.client.delete(f"/_contents/{REPOSITORY}/{FILE_PATH}").raise_for_status()

    def fault(self, **fault: object) -> None:
        self.server.add_faults({"method": "GET", "path": f"/contents/{FILE_PATH}", **fault})

    def list_asked(self) -> list[dict[str, object]]:
        return self.server.list_received(path="/repos")


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract("github-openapi-trimmed.json", "https://api.github.com", GITHUB_ERRORS)


@pytest.fixture
def sandbox(github_server: SandboxServer, contract: Contract) -> Iterator[SandboxPlace]:
    place = SandboxPlace(github_server, contract)
    yield place
    place.client.close()


@pytest.fixture(params=["memory", "sandbox"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = MemoryPlace() if request.param == "memory" else request.getfixturevalue("sandbox")
    return found


def fetch(place: Place, etag: str | None = None) -> FoundFile:
    found = place.source.fetch(REPOSITORY, etag)
    assert isinstance(found, FoundFile)
    return found


def test_a_file_is_fetched_once_for_each_of_its_versions(place: Place) -> None:
    place.put("version: 1 # \u00e4 \U0001f600\n".encode())
    first = fetch(place)
    assert first.text == "version: 1 # \u00e4 \U0001f600\n"
    assert place.source.fetch(REPOSITORY, first.etag) == "unchanged"
    place.put(b"version: 2\n")
    second = fetch(place, first.etag)
    assert second.text == "version: 2\n"
    assert second.sha != first.sha
    place.put("version: 1 # \u00e4 \U0001f600\n".encode())
    assert fetch(place, second.etag) == first


def test_there_may_be_no_file(place: Place) -> None:
    assert place.source.fetch(REPOSITORY, None) == "absent"
    place.put(b"version: 1\n")
    found = fetch(place)
    place.delete()
    assert place.source.fetch(REPOSITORY, found.etag) == "absent"


def test_what_is_no_text_has_none(place: Place) -> None:
    place.put(b"\xff\xfe\x00")
    assert fetch(place).text is None


def test_a_branch_has_a_last_commit(place: Place) -> None:
    main = place.source.find_head(REPOSITORY, "main")
    assert place.source.find_head(REPOSITORY, "main") == main
    assert place.source.find_head(REPOSITORY, "release/1 #%") != main


def test_the_default_branch_is_read_with_what_is_known(sandbox: SandboxPlace) -> None:
    sandbox.put(b"\xef\xbb\xbfversion: 1\n")
    found = fetch(sandbox)
    sandbox.source.fetch(REPOSITORY, found.etag)
    first, second = sandbox.list_asked()
    assert (first["path"], first["query"], second["path"], second["query"]) == (CONTENTS, "", CONTENTS, "")
    assert isinstance(first["headers"], dict)
    assert isinstance(second["headers"], dict)
    assert "if-none-match" not in first["headers"]
    assert second["headers"]["if-none-match"] == found.etag
    assert (first["status"], second["status"]) == (200, 304)
    assert found.text == "version: 1\n"
    assert found.url == f"{sandbox.server.url}/{REPOSITORY}/blob/main/{FILE_PATH}"
    assert sandbox.connections == 1


def test_nobody_connects_before_a_file_is_wanted(sandbox: SandboxPlace) -> None:
    assert sandbox.connections == 0


@pytest.mark.parametrize(
    "body",
    [
        [{"type": "file", "name": "a.yml"}],
        {"type": "submodule", "sha": "s1"},
        {"type": "symlink", "sha": "s1", "target": "/etc/passwd"},
        {"type": "file", "sha": "s1", "encoding": "none", "content": ""},
        {"type": "file", "sha": "s1", "encoding": "base64", "content": "a"},
        {"type": "file", "sha": "s1", "encoding": "base64", "content": None},
    ],
)
def test_what_stands_there_may_be_no_file(sandbox: SandboxPlace, body: object) -> None:
    sandbox.client.event_hooks = {}
    sandbox.fault(status=200, body=body)
    assert fetch(sandbox).text is None


def test_a_file_of_over_a_megabyte_is_no_text(sandbox: SandboxPlace) -> None:
    sandbox.put(b"#" * 1_100_000)
    assert fetch(sandbox).text is None


def test_a_limit_is_told_with_its_time(sandbox: SandboxPlace) -> None:
    sandbox.fault(status=429, retry_after=30)
    with pytest.raises(Limited) as limited:
        sandbox.source.fetch(REPOSITORY, None)
    assert limited.value.after_seconds == 30
    assert sandbox.source.fetch(REPOSITORY, None) == "absent"


@pytest.mark.parametrize("fault", [{"status": 502}, {"cut": "before"}])
def test_after_a_failure_nobody_waits_for_another(sandbox: SandboxPlace, fault: dict[str, object]) -> None:
    sandbox.fault(**fault)
    with pytest.raises(Transient):
        sandbox.source.fetch(REPOSITORY, None)
    with pytest.raises(Transient, match="a moment ago"):
        sandbox.source.fetch("acme/gadgets", None)
    assert len(sandbox.list_asked()) == 1
    sandbox.clock.advance(AVOID_SECONDS)
    assert sandbox.source.fetch(REPOSITORY, None) == "absent"


def test_a_refusal_is_no_absence(sandbox: SandboxPlace) -> None:
    sandbox.fault(status=403)
    with pytest.raises(Permanent, match="github answered 403 to GET"):
        sandbox.source.fetch(REPOSITORY, None)
