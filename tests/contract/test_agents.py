"""Agent: how an agent run stands, in memory and at the sandboxes; and what is Codegen's own."""

from collections.abc import Iterator
from typing import Any, Protocol

import httpx
import pytest

from shared.adapters.absences import ABSENT_SECONDS
from shared.adapters.codegen.agents import MAX_PAGES, PAGE_SIZE, PAUSED_SECONDS
from shared.adapters.codegen.answers import MARK
from shared.adapters.memory.cache import MemoryCache
from shared.adapters.memory.world import MemoryAgent, MemoryWorld
from shared.domain.effect import Effect
from shared.domain.errors import Limited, OutcomeUnknown, Permanent, Transient, Unavailable
from shared.domain.task import AgentPhase
from shared.ports import Agent
from tests.support.clock import ManualClock
from tests.support.outside import CODEGEN_ERRORS, build_codegen, check_exchanges, read_document
from tests.support.sandbox_server import Contract, SandboxServer
from tests.support.workflow_company import WorkflowCompany

REQUEST = {"prompt": "Work", "subject": "acme/widgets#7"}
EFFECT = Effect("0b4f6d5e-0000-4000-8000-00000000000a", "codegen.run", REQUEST)


GONE = {"codegen": "4711", "actions": "acme/widgets/actions/runs/4711"}


class Company(Protocol):
    """An agent, and what decides how its runs end."""

    @property
    def name(self) -> str:
        """What the agent calls itself."""

    @property
    def agent(self) -> Agent:
        """The agent."""

    def script(self, phase: AgentPhase, result: str) -> None:
        """Decides how the first run ends; ``working`` is never."""

    def wait(self) -> None:
        """Lets the time pass that a run takes."""

    def start(self) -> str:
        """Starts a run and returns its id."""


class MemoryCompany:
    name = "codegen"

    def __init__(self) -> None:
        self._clock = ManualClock()
        self._world = MemoryWorld(self._clock)
        self._seconds = 10.0
        self.agent = MemoryAgent(self._world, work_seconds=self._seconds)

    def script(self, phase: AgentPhase, result: str) -> None:
        if phase == "working":
            self.agent = MemoryAgent(self._world, work_seconds=1e9)
        else:
            self._world.end_agent_run("1", phase, result)

    def wait(self) -> None:
        self._clock.advance(self._seconds)

    def start(self) -> str:
        return self.agent.write(EFFECT).external_id


class CodegenCompany:
    """The sandbox, whose agent runs take no time; every request is checked against Codegen's document."""

    name = "codegen"

    def __init__(self, server: SandboxServer, contract: Contract) -> None:
        server.client.post("/_reset").raise_for_status()
        self.server = server
        self.clock = ManualClock()
        self.cache = MemoryCache(self.clock)
        self.client = httpx.Client(
            base_url=server.url, trust_env=False, event_hooks={"response": [check_exchanges(contract)]}
        )
        self.agent, self.resume = build_codegen(self.client, self.cache, self.clock)

    def script(self, phase: AgentPhase, result: str) -> None:
        status = {"working": "EVALUATION", "succeeded": "COMPLETE", "failed": "ERROR", "cancelled": "CANCELLED"}[phase]
        self.script_status(status, result)

    def script_status(self, status: str, result: str | None = None) -> None:
        outcome = {"match": "Work", "status": status, "after_seconds": 0, "result": result}
        self.server.client.post("/_outcome", json=outcome).raise_for_status()

    def wait(self) -> None:
        pass

    def start(self) -> str:
        return self.agent.write(EFFECT).external_id

    def list_sent(self) -> list[dict[str, Any]]:
        return [received["body"] for received in self.server.list_received(method="POST")]

    def list_asked(self) -> list[tuple[str, str]]:
        """Returns method and last part of the path of each request."""
        return [(each["method"], each["path"].rpartition("/")[2]) for each in self.server.list_received()]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract("codegen-openapi.json", "https://api.codegen.com", CODEGEN_ERRORS)


@pytest.fixture
def codegen(codegen_server: SandboxServer, contract: Contract) -> Iterator[CodegenCompany]:
    company = CodegenCompany(codegen_server, contract)
    yield company
    company.client.close()


@pytest.fixture
def workflows(github_server: SandboxServer) -> Iterator[WorkflowCompany]:
    company = WorkflowCompany(github_server)
    yield company
    company.client.close()


@pytest.fixture(params=["memory", "codegen", "workflows"])
def company(request: pytest.FixtureRequest) -> Company:
    if request.param == "memory":
        return MemoryCompany()
    found: Company = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("phase", ["working", "succeeded", "failed", "cancelled"])
def test_how_a_run_stands(company: Company, phase: AgentPhase) -> None:
    company.script(phase, "This is the result")
    agent_run_id = company.start()
    company.wait()
    report = company.agent.read(agent_run_id)
    assert (report.agent, report.agent_run_id, report.phase) == (company.name, agent_run_id, phase)
    assert report.url
    told = "This is the result" if company.name == "codegen" else None
    assert phase == "working" or report.result == told


def test_a_run_that_works_is_cancelled(company: Company) -> None:
    company.script("working", "")
    agent_run_id = company.start()
    for _ in range(2):
        company.agent.cancel(agent_run_id)
        assert company.agent.read(agent_run_id).phase == "cancelled"


def test_a_run_that_has_ended_stays_as_it_is(company: Company) -> None:
    company.script("succeeded", "Done")
    agent_run_id = company.start()
    company.wait()
    company.agent.cancel(agent_run_id)
    assert company.agent.read(agent_run_id).phase == "succeeded"


def test_a_run_that_is_not_there_need_not_be_cancelled(company: Company) -> None:
    company.agent.cancel(GONE[company.name])


def test_a_run_that_is_gone_has_failed(company: Company) -> None:
    report = company.agent.read(GONE[company.name])
    assert (report.status, report.phase) == ("GONE", "failed")
    assert "run is gone" in (report.detail or "")


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
    report = codegen.agent.read(codegen.start())
    assert (report.status, report.phase) == (status, phase)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("out_of_tokens", "the agent's tokens were used up (OUT_OF_TOKENS)"),
        ("MAX_ITERATIONS_REACHED", "the agent's iterations were used up (MAX_ITERATIONS_REACHED)"),
        ("STOPPED", "the agent was stopped (STOPPED)"),
        ("COMPLETE", None),
        ("ACTIVE", None),
    ],
)
def test_a_bad_end_says_why(codegen: CodegenCompany, status: str, reason: str | None) -> None:
    codegen.script_status(status)
    assert codegen.agent.read(codegen.start()).detail == reason


def test_a_run_that_is_paused_for_long_has_failed(codegen: CodegenCompany) -> None:
    codegen.script_status("PAUSED")
    agent_run_id = codegen.start()
    phases = []
    for _ in range(3):
        phases.append(codegen.agent.read(agent_run_id).phase)
        codegen.clock.advance(PAUSED_SECONDS / 2)
    assert phases == ["working", "working", "failed"]
    assert codegen.agent.read(agent_run_id).detail == "paused: the agent waits for input"


def test_a_pause_that_ended_does_not_count(codegen: CodegenCompany) -> None:
    codegen.script_status("PAUSED")
    agent_run_id = codegen.start()
    codegen.agent.read(agent_run_id)
    codegen.clock.advance(PAUSED_SECONDS)
    codegen.server.add_faults({"body": {"id": int(agent_run_id), "organization_id": 11, "status": "ACTIVE"}})
    assert codegen.agent.read(agent_run_id).phase == "working"
    assert codegen.agent.read(agent_run_id).phase == "working"


def test_a_cancelled_run_leaves_no_ban(codegen: CodegenCompany) -> None:
    codegen.script("working", "")
    agent_run_id = codegen.start()
    codegen.server.add_faults({"path": "/unban$", "status": 502})
    with pytest.raises(Transient):
        codegen.agent.cancel(agent_run_id)
    codegen.agent.cancel(agent_run_id)
    asked = [("POST", "run"), ("GET", agent_run_id), ("POST", "ban"), ("POST", "unban")]
    assert codegen.list_asked() == [*asked, ("GET", agent_run_id), ("POST", "unban")]
    assert codegen.list_sent()[1:] == [{"agent_run_id": int(agent_run_id)}] * 3


def test_a_run_that_has_ended_bans_nobody_elses(codegen: CodegenCompany) -> None:
    codegen.script("succeeded", "Done")
    agent_run_id = codegen.start()
    codegen.agent.cancel(agent_run_id)
    assert codegen.list_asked() == [("POST", "run"), ("GET", agent_run_id)]


@pytest.mark.parametrize("status", [404, 422])
def test_a_run_without_a_pull_request_cannot_be_stopped(codegen: CodegenCompany, status: int) -> None:
    codegen.script("working", "")
    agent_run_id = codegen.start()
    codegen.server.add_faults({"path": "ban$", "status": status, "times": 2})
    codegen.agent.cancel(agent_run_id)
    assert codegen.agent.read(agent_run_id).phase == "working"


@pytest.mark.parametrize(
    "body",
    [
        {"id": 1, "organization_id": 11},
        {"id": 1, "organization_id": 11, "status": None, "github_pull_requests": None, "a_field_of_tomorrow": {}},
    ],
)
def test_anything_but_the_id_may_be_missing(codegen: CodegenCompany, body: dict[str, Any]) -> None:
    codegen.server.add_faults({"status": 200, "body": body, "times": 2})
    assert codegen.agent.write(EFFECT).outputs == {"status": "PENDING"}
    report = codegen.agent.read("1")
    assert (report.status, report.phase, report.url, report.pull_requests) == ("PENDING", "working", None, ())


def test_pull_requests_are_addresses(codegen: CodegenCompany) -> None:
    address = "https://github.com/acme/widgets/pull/8"
    outcome = {"match": "Work", "after_seconds": 0, "pull_requests": [address]}
    codegen.server.client.post("/_outcome", json=outcome).raise_for_status()
    assert codegen.agent.read(codegen.start()).pull_requests == (address,)


def test_what_is_sent(codegen: CodegenCompany) -> None:
    request = codegen.agent.plan({"prompt": " Work ", "model": "m1", "repo_id": "3"}, read_document())
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
    with pytest.raises(Permanent, match="'prompt'"):
        codegen.agent.plan({"prompt": prompt}, read_document())


def test_a_mark_is_found_on_a_later_page(codegen: CodegenCompany) -> None:
    written = codegen.agent.write(EFFECT)
    others = [{"id": number, "organization_id": 11, "metadata": None} for number in range(PAGE_SIZE)]
    codegen.server.add_faults({"method": "GET", "body": _page(others)})
    # The first page is full of others; the second is the sandbox's, which begins after so many runs.
    assert codegen.agent.look_up(EFFECT) is None
    codegen.server.add_faults(
        {"method": "GET", "body": _page(others)},
        {
            "method": "GET",
            "body": _page([*others[1:], {"id": 7, "organization_id": 11, "metadata": {MARK: EFFECT.id}}]),
        },
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
    others = [{"id": number, "organization_id": 11, "metadata": {MARK: "other"}} for number in range(PAGE_SIZE)]
    codegen.server.add_faults({"method": "GET", "body": _page(others), "times": -1})
    with pytest.raises(Permanent, match="unknown_outcome"):
        codegen.agent.look_up(EFFECT)
    assert len(codegen.server.list_received(method="GET")) == MAX_PAGES


@pytest.mark.parametrize("status", [401, 403, 422])
def test_refusals_are_for_good(codegen: CodegenCompany, status: int) -> None:
    codegen.server.add_faults({"status": status, "times": 2})
    for call in (lambda: codegen.agent.write(EFFECT), lambda: codegen.agent.read("1")):
        with pytest.raises(Permanent, match=f"codegen answered {status}") as refused:
            call()
        assert not isinstance(refused.value, Unavailable)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (402, "agent unavailable: the plan's runs are used up"),
        (404, "agent unavailable: codegen answered 404"),
        (410, "agent unavailable: codegen is gone"),
    ],
)
def test_an_agent_that_is_unavailable_is_asked_once_by_the_whole_fleet(
    codegen: CodegenCompany, status: int, reason: str
) -> None:
    codegen.server.add_faults({"method": "POST", "status": status})
    other, _ = build_codegen(codegen.client, codegen.cache, codegen.clock)
    for agent in (codegen.agent, *[other] * 20):
        with pytest.raises(Unavailable, match=rf"^{reason}"):
            agent.write(EFFECT)
    assert codegen.list_asked() == [("POST", "run")]
    codegen.clock.advance(ABSENT_SECONDS)
    assert codegen.start()


def test_a_wrong_repository_keeps_nobody_else_from_the_agent(codegen: CodegenCompany) -> None:
    codegen.server.add_faults({"method": "POST", "status": 404})
    with pytest.raises(Unavailable, match=r"^agent unavailable: codegen answered 404"):
        codegen.agent.write(Effect("e1", "codegen.run", {**REQUEST, "repo_id": 3}))
    assert codegen.start()


@pytest.mark.parametrize("status", [402, 404, 410])
def test_a_look_up_where_the_agent_is_unavailable(codegen: CodegenCompany, status: int) -> None:
    codegen.server.add_faults({"method": "GET", "status": status})
    with pytest.raises(Unavailable, match=r"^agent unavailable: "):
        codegen.agent.look_up(EFFECT)


def test_a_run_is_followed_while_no_other_can_be_started(codegen: CodegenCompany) -> None:
    agent_run_id = codegen.start()
    codegen.server.add_faults({"method": "POST", "status": 402})
    with pytest.raises(Unavailable):
        codegen.agent.write(EFFECT)
    assert codegen.agent.read(agent_run_id).phase == "succeeded"


@pytest.mark.parametrize(("named", "seconds"), [(None, 60.0), (5, 60.0), (90, 90.0)])
def test_a_limit_is_a_minute_or_more(codegen: CodegenCompany, named: int | None, seconds: float) -> None:
    codegen.server.add_faults({"status": 429, "body": {"detail": "Slow down"}, "retry_after": named})
    with pytest.raises(Limited, match="Slow down") as limited:
        codegen.agent.read("1")
    assert limited.value.after_seconds == seconds


def plan_resume(codegen: CodegenCompany, agent_run_id: str) -> Effect:
    request = codegen.resume.plan({"agent_run_id": agent_run_id, "prompt": " Work on "}, read_document())
    return Effect("e2", "codegen.resume", request)


def test_a_run_is_resumed_and_followed(codegen: CodegenCompany) -> None:
    codegen.script_status("PAUSED")
    agent_run_id = codegen.start()
    codegen.script_status("COMPLETE", "Went on")
    written = codegen.resume.write(plan_resume(codegen, agent_run_id))
    assert (written.external_id, codegen.list_sent()[-1]) == (
        agent_run_id,
        {"agent_run_id": int(agent_run_id), "prompt": "Work on"},
    )
    report = codegen.resume.read(agent_run_id)
    assert (report.phase, report.result) == ("succeeded", "Went on")


def test_a_resume_without_an_answer_that_went_on_is_found(codegen: CodegenCompany) -> None:
    codegen.script_status("PAUSED")
    effect = plan_resume(codegen, codegen.start())
    codegen.script_status("COMPLETE", "Went on")
    codegen.server.add_faults({"method": "POST", "cut": "after"})
    with pytest.raises(OutcomeUnknown):
        codegen.resume.write(effect)
    found = codegen.resume.look_up(effect)
    assert found is not None
    assert found.external_id == str(effect.request["agent_run_id"])


def test_a_resume_without_a_trace_is_not_sent_twice(codegen: CodegenCompany) -> None:
    effect = plan_resume(codegen, codegen.start())
    codegen.server.add_faults({"method": "POST", "cut": "before"})
    with pytest.raises(OutcomeUnknown):
        codegen.resume.write(effect)
    with pytest.raises(Permanent, match="unknown_outcome"):
        codegen.resume.look_up(effect)


def test_a_run_that_is_gone_cannot_be_resumed(codegen: CodegenCompany) -> None:
    with pytest.raises(Unavailable, match=r"^agent unavailable: codegen answered 404"):
        plan_resume(codegen, "4711")
    effect = plan_resume(codegen, codegen.start())
    codegen.server.add_faults({"status": 404, "times": 2})
    for call in (codegen.resume.write, codegen.resume.look_up):
        with pytest.raises(Unavailable, match=r"^agent unavailable: codegen answered 404"):
            call(effect)
    assert codegen.start()


@pytest.mark.parametrize("agent_run_id", [None, "", "acme/widgets/7", "-1", "\u0664"])
def test_what_is_resumed_is_named(codegen: CodegenCompany, agent_run_id: object) -> None:
    with pytest.raises(Permanent, match="'agent_run_id'"):
        codegen.resume.plan({"agent_run_id": agent_run_id, "prompt": "Go on"}, read_document())


def _page(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"items": items, "total": 10_000, "page": 1, "size": PAGE_SIZE, "pages": 100}
