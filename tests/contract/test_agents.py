"""Agent: how an agent run stands, in memory and at the sandbox Codegen; and what is Codegen's own."""

from collections.abc import Iterator
from typing import Any, Protocol

import httpx
import pytest

from shared.adapters.codegen import MARK, MAX_PAGES, PAGE_SIZE, CodegenAgent
from shared.adapters.memory.world import MemoryAgent, MemoryWorld
from shared.domain.effect import Effect
from shared.domain.errors import Limited, Permanent, Transient
from shared.domain.task import AgentPhase
from shared.ports import Agent
from tests.support.clock import ManualClock
from tests.support.outside import read_document
from tests.support.sandbox_server import SandboxServer

REQUEST = {"prompt": "Work", "subject": "acme/widgets#7"}
EFFECT = Effect("0b4f6d5e-0000-4000-8000-00000000000a", "codegen.run", REQUEST)


class Company(Protocol):
    """An agent, and what decides how its runs end."""

    @property
    def agent(self) -> Agent:
        """The agent."""

    def script(self, phase: AgentPhase, result: str) -> None:
        """Decides how the first run ends; ``working`` is never."""

    def wait(self) -> None:
        """Lets the time pass that a run takes."""


class MemoryCompany:
    def __init__(self) -> None:
        self._clock = ManualClock()
        self._world = MemoryWorld(self._clock)
        self._seconds = 10.0
        self.agent = MemoryAgent(self._world, work_seconds=self._seconds)

    def script(self, phase: AgentPhase, result: str) -> None:
        if phase == "working":
            self._seconds = 0.0
        else:
            self._world.end_agent_run("1", phase, result)

    def wait(self) -> None:
        self._clock.advance(self._seconds)


class CodegenCompany:
    """The sandbox, whose agent runs take no time."""

    def __init__(self, server: SandboxServer) -> None:
        server.client.post("/_reset").raise_for_status()
        self.server = server
        self.client = httpx.Client(base_url=server.url, trust_env=False)
        self.agent = CodegenAgent(self.client, "made-up", 11)

    def script(self, phase: AgentPhase, result: str) -> None:
        status = {"working": "EVALUATION", "succeeded": "COMPLETE", "failed": "ERROR", "cancelled": "CANCELLED"}[phase]
        self.script_status(status, result)

    def script_status(self, status: str, result: str | None = None) -> None:
        outcome = {"match": "Work", "status": status, "after_seconds": 0, "result": result}
        self.server.client.post("/_outcome", json=outcome).raise_for_status()

    def wait(self) -> None:
        pass

    def list_sent(self) -> list[dict[str, Any]]:
        return [received["body"] for received in self.server.list_received(method="POST")]


@pytest.fixture
def codegen(codegen_server: SandboxServer) -> Iterator[CodegenCompany]:
    company = CodegenCompany(codegen_server)
    yield company
    company.client.close()


@pytest.fixture(params=["memory", "codegen"])
def company(request: pytest.FixtureRequest) -> Company:
    if request.param == "memory":
        return MemoryCompany()
    found: Company = request.getfixturevalue("codegen")
    return found


@pytest.mark.parametrize("phase", ["working", "succeeded", "failed", "cancelled"])
def test_how_a_run_stands(company: Company, phase: AgentPhase) -> None:
    company.script(phase, "This is the result")
    written = company.agent.write(EFFECT)
    company.wait()
    report = company.agent.read(written.external_id)
    assert (report.agent, report.agent_run_id, report.phase) == ("codegen", written.external_id, phase)
    assert report.url
    assert phase == "working" or report.result == "This is the result"


def test_a_run_that_is_not_there(company: Company) -> None:
    with pytest.raises(Permanent):
        company.agent.read("4711")


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("COMPLETE", "succeeded"),
        ("completed", "succeeded"),
        (" Complete ", "succeeded"),
        ("ERROR", "failed"),
        ("failed", "failed"),
        ("TIMEOUT", "failed"),
        ("MAX_ITERATIONS_REACHED", "failed"),
        ("OUT_OF_TOKENS", "failed"),
        ("CANCELLED", "cancelled"),
        ("canceled", "cancelled"),
        ("STOPPED", "cancelled"),
        ("ACTIVE", "working"),
        ("RUNNING", "working"),
        ("PENDING", "working"),
        ("queued", "working"),
        ("in_progress", "working"),
        ("EVALUATION", "working"),
        ("PAUSED", "working"),
        ("A_WORD_OF_TOMORROW", "working"),
    ],
)
def test_codegens_words(codegen: CodegenCompany, status: str, phase: str) -> None:
    codegen.script_status(status)
    report = codegen.agent.read(codegen.agent.write(EFFECT).external_id)
    assert (report.status, report.phase) == (status, phase)


@pytest.mark.parametrize(
    "body", [{"id": 1, "organization_id": 11}, {"id": 1, "status": None, "github_pull_requests": None}]
)
def test_anything_but_the_id_may_be_missing(codegen: CodegenCompany, body: dict[str, Any]) -> None:
    codegen.server.add_faults({"status": 200, "body": body, "times": 2})
    assert codegen.agent.write(EFFECT).outputs == {"status": "PENDING"}
    report = codegen.agent.read("1")
    assert (report.status, report.phase, report.url, report.pull_requests) == ("PENDING", "working", None, ())


def test_pull_requests_are_addresses(codegen: CodegenCompany) -> None:
    pulls = [{"id": 5, "url": "https://github.com/acme/widgets/pull/8"}, {"id": 6, "url": None}, {"id": 7}]
    codegen.server.add_faults({"status": 200, "body": {"id": 1, "github_pull_requests": pulls}})
    assert codegen.agent.read("1").pull_requests == ("https://github.com/acme/widgets/pull/8",)


def test_a_run_without_an_id_is_not_started_again(codegen: CodegenCompany) -> None:
    codegen.server.add_faults({"method": "POST", "body": {"status": "ACTIVE"}})
    with pytest.raises(Permanent, match="unknown_outcome"):
        codegen.agent.write(EFFECT)


def test_what_is_sent(codegen: CodegenCompany) -> None:
    request = codegen.agent.plan({"prompt": " Work ", "model": "m1", "repo_id": 3, "images": ["x"]}, read_document())
    codegen.agent.write(Effect("e1", "codegen.run", request))
    codegen.agent.write(EFFECT)
    assert codegen.list_sent() == [
        {
            "prompt": "Work",
            "model": "m1",
            "repo_id": 3,
            "metadata": {MARK: "e1", "subject": "acme/widgets#7"},
        },
        {"prompt": "Work", "metadata": {MARK: EFFECT.id, "subject": "acme/widgets#7"}},
    ]


@pytest.mark.parametrize("prompt", [None, "", "  \n", {}])
def test_a_prompt_is_needed(codegen: CodegenCompany, prompt: object) -> None:
    with pytest.raises(Permanent, match="needs a 'prompt'"):
        codegen.agent.plan({"prompt": prompt}, read_document())


def test_a_mark_is_found_on_a_later_page(codegen: CodegenCompany) -> None:
    written = codegen.agent.write(EFFECT)
    others = [{"id": number, "organization_id": 11, "metadata": None} for number in range(PAGE_SIZE)]
    codegen.server.add_faults({"method": "GET", "body": {"items": others}})
    # The first page is full of others; the second is the sandbox's, which begins after so many runs.
    assert codegen.agent.look_up(EFFECT) is None
    codegen.server.add_faults(
        {"method": "GET", "body": {"items": others}},
        {"method": "GET", "body": {"items": [*others[1:], {"id": 7, "metadata": {MARK: EFFECT.id}}]}},
    )
    found = codegen.agent.look_up(EFFECT)
    assert found is not None
    assert found.external_id == "7"
    first = codegen.agent.look_up(EFFECT)
    assert first is not None
    assert first.external_id == written.external_id
    asked = [each["query"] for each in codegen.server.list_received(method="GET")]
    assert asked[2:4] == [
        f"source_type=API&skip=0&limit={PAGE_SIZE}",
        f"source_type=API&skip={PAGE_SIZE}&limit={PAGE_SIZE}",
    ]


def test_rather_dead_than_twice(codegen: CodegenCompany) -> None:
    others = [{"id": number, "metadata": {MARK: "other"}} for number in range(PAGE_SIZE)]
    codegen.server.add_faults({"method": "GET", "body": {"items": others}, "times": -1})
    with pytest.raises(Permanent, match="unknown_outcome"):
        codegen.agent.look_up(EFFECT)
    assert len(codegen.server.list_received(method="GET")) == MAX_PAGES


@pytest.mark.parametrize("status", [401, 402, 403, 404, 410, 422])
def test_refusals_are_for_good(codegen: CodegenCompany, status: int) -> None:
    codegen.server.add_faults({"status": status, "times": 2})
    with pytest.raises(Permanent, match=f"codegen answered {status}"):
        codegen.agent.write(EFFECT)
    with pytest.raises(Permanent, match=f"codegen answered {status}"):
        codegen.agent.read("1")


def test_a_limit_that_names_no_time_is_a_minute(codegen: CodegenCompany) -> None:
    codegen.server.add_faults({"status": 429, "body": {"detail": "Slow down"}})
    with pytest.raises(Limited, match="Slow down") as limited:
        codegen.agent.read("1")
    assert limited.value.after_seconds == 60.0


def test_an_answer_that_is_no_json_is_read_as_nothing(codegen: CodegenCompany) -> None:
    codegen.server.add_faults({"status": 502, "body": "<html>Bad gateway</html>"}, {"status": 403, "body": "<html>"})
    with pytest.raises(Transient):
        codegen.agent.read("1")
    with pytest.raises(Permanent, match="codegen answered 403"):
        codegen.agent.read("1")
