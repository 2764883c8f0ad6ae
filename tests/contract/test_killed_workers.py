"""Each action, its worker killed at each effect boundary in turn: one effect outside, or one that nobody can tell of.

Over the real records and the real servers: after every call of a port and around every exchange over HTTP.
"""

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

from shared.adapters.approvals import ApprovalWait
from shared.adapters.github.authorization import TokenAuthorization
from shared.adapters.github.client import GitHubClient
from shared.adapters.github.dispatches import RerunFailed
from shared.adapters.http_request import open_web_client
from shared.adapters.instructions import Explain, GiveInstruction
from shared.adapters.memory.cache import MemoryCache
from shared.adapters.memory.queues import MemoryTaskQueue
from shared.domain.action_arguments import ACTIONS
from shared.domain.instruction import Instruction, InstructionKind
from shared.domain.statuses import Status
from shared.local.free_ports import HOST, choose_port
from shared.ports import Action
from shared.usecases.execute import CHANGED_FILES
from tests.contract.test_actions import build_action
from tests.contract.test_groups import build, start
from tests.contract.test_http_request import Receiver
from tests.contract.test_http_request import build as build_http_request
from tests.contract.test_instructions import wait_for_approval
from tests.support.action_cases import CASES, REPOSITORY
from tests.support.certificates import issue_certificates
from tests.support.clock import ManualClock
from tests.support.lives import Life, live, watch_exchanges
from tests.support.orchestra import Interrupter
from tests.support.outside import APP_TOKEN, build_codegen
from tests.support.record_stores import PostgresStore
from tests.support.sandbox_server import SandboxServer
from tests.support.task_steps import claim, finish

NUMBER = 7
TOKEN = "0b4f6d5e-0000-4000-8000-00000000000a"
SUBJECT = f"acme/widgets#{NUMBER}"
# Ids and times.
_VARYING = re.compile(
    r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|"(node_)?id":[^,]*|comments?[-/]\d+'
    r"|\d{4}-\d\d-\d\dT[\d:.]+Z|(, edited at )?<time>.*?</time>"
)


class Trial(NamedTuple):
    """An action that is tried again and again, each time in a world that has seen nothing.

    Attributes:
        prepare: makes that world, and returns the step's arguments.
        open_client: towards the server, if it is one over HTTP.
        build: the action, over the client; what it calls besides is to be watched.
        observe: what is outside at last.
        while_waiting: what somebody does meanwhile.
    """

    prepare: Callable[[], Mapping[str, Any]]
    open_client: Callable[[], AbstractContextManager[httpx.Client]]
    build: Callable[[httpx.Client, Interrupter], Action]
    observe: Callable[[], object]
    while_waiting: Callable[[], None] = lambda: None


@pytest.fixture
def store(database_url: str) -> Iterator[PostgresStore]:
    postgres = PostgresStore(database_url, f"postgresql://{HOST}:{choose_port('nobody')}/nowhere")
    yield postgres
    postgres.close()


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Receiver, Path]]:
    certificates = issue_certificates(Path(tmp_path_factory.mktemp("certificates")))
    with Receiver(certificates).serving() as server:
        yield server, certificates.authority


@pytest.fixture(params=ACTIONS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def trial(kind: str, store: PostgresStore, request: pytest.FixtureRequest) -> Trial:
    if kind == "http.request":
        return try_request(*request.getfixturevalue("receiver"))
    if kind.startswith("orchestrator."):
        return try_instruction(kind.partition(".")[2], store)
    server: SandboxServer = request.getfixturevalue(f"{'codegen' if kind.startswith('codegen.') else 'github'}_server")
    return try_listed(kind, server) if kind in CASES else try_other(kind, server, store)


def open_sandbox(server: SandboxServer) -> httpx.Client:
    return httpx.Client(base_url=server.url, trust_env=False)


def count_writes(server: SandboxServer, method: str = "POST") -> int:
    """Returns how many writes were applied, those that prepare the world apart."""
    received = server.list_received(method=method)
    return sum(each["applied"] for each in received if each["headers"]["user-agent"] != "test")


def empty(server: SandboxServer, **outcome: object) -> None:
    """Has the server know nothing, and runs of GitHub's workflows end at once."""
    server.client.post("/_reset").raise_for_status()
    given = {"match": "", "after_seconds": 0, **outcome}
    path = "/_outcome" if server.client.get("/v1/users/me").status_code == httpx.codes.OK else "/_workflow_outcome"
    server.client.post(path, json=given).raise_for_status()


def try_listed(kind: str, server: SandboxServer) -> Trial:
    """Returns the trial of an action in ``CASES``: how often it wrote or, where that does no harm, how things stand."""
    case = CASES[kind]

    def prepare() -> Mapping[str, Any]:
        empty(server)
        if case.prepare is not None:
            case.prepare(server.client, NUMBER)
        return case.build_arguments(TOKEN, NUMBER)

    def observe() -> object:
        if not case.is_last:
            return count_writes(server, case.method)
        paths = [f"{REPOSITORY}/issues/{NUMBER}", f"{REPOSITORY}/issues/{NUMBER}/comments"]
        paths += [f"{REPOSITORY}/pulls/{NUMBER}", f"/acme/widgets/issues/{NUMBER}"]
        return [_VARYING.sub("", server.client.get(path).text) for path in paths]

    return Trial(prepare, partial(open_sandbox, server), lambda client, _: build_action(kind, client), observe)


def try_other(kind: str, server: SandboxServer, store: PostgresStore) -> Trial:
    """Returns the trial of an action that has tests of its own."""

    def prepare() -> Mapping[str, Any]:
        if kind == "codegen.resume":
            empty(server)
            made = server.client.post("/v1/organizations/11/agent/run", json={"prompt": "Work"})
            return {"agent_run_id": made.raise_for_status().json()["id"], "prompt": "Work on"}
        empty(server, conclusion="failure")
        if kind != "github.rerun_failed":
            return {}
        path = f"{REPOSITORY}/actions/workflows/ci.yml/dispatches"
        made = server.client.post(path, json={"ref": "main", "return_run_details": True})
        return {"run_id": made.raise_for_status().json()["workflow_run_id"]}

    def build_other(client: httpx.Client, interrupter: Interrupter) -> Action:
        if kind == "codegen.resume":
            clock = ManualClock()
            return build_codegen(client, MemoryCache(clock), clock)[1]
        if kind == "github.rerun_failed":
            return RerunFailed(GitHubClient(client, TokenAuthorization(APP_TOKEN)))
        if kind == CHANGED_FILES:
            return build_action(kind, client)
        ways = build_action("github.comment", client), build_action("github.check_run", client)
        return ApprovalWait(interrupter.watch("instructions", store.instructions), *ways)

    def approve() -> None:
        tell(store, "approve", subject=SUBJECT)

    return Trial(prepare, partial(open_sandbox, server), build_other, partial(count_writes, server), approve)


def try_request(receiver: Receiver, authority: Path) -> Trial:
    """Returns the trial of a POST that is not said to be idempotent."""
    host = f"localhost:{receiver.server_port}"

    def prepare() -> Mapping[str, Any]:
        receiver.received.clear()
        return {"url": f"https://{host}/a"}

    context = ssl.create_default_context(cafile=authority)
    return Trial(
        prepare,
        partial(open_web_client, context),
        lambda client, _: build_http_request(client, host),
        lambda: len(receiver.received),
    )


def try_instruction(kind: str, store: PostgresStore) -> Trial:
    """Returns the trial of ``orchestrator.<kind>``, which is about one earlier run of the subject."""
    past: list[str] = []
    approvals: list[str] = []

    def list_runs() -> dict[str, str]:
        """Returns the status of the first task of each run."""
        items = store.reading.list_tasks({}, 200, None).items
        return {item["run_id"]: item["status"] for item in items}

    def prepare() -> Mapping[str, Any]:
        past[:] = list_runs()
        for run_id in past:
            tell(store, "cancel", run_id=run_id)
        if kind == "approve":
            _, _, effect_id = wait_for_approval(store)
            approvals[:] = [effect_id]
        else:
            _, [task_id] = start(store, build(), None)
            if kind == "retry":
                store.tasks.settle_task(claim(store, task_id), finish(Status.FAILED))
        return {}

    def build_own(_: httpx.Client, interrupter: Interrupter) -> Action:
        if kind == "explain":
            return Explain(interrupter.watch("reading", store.reading))
        queue = interrupter.watch("tasks", MemoryTaskQueue(ManualClock()))
        return GiveInstruction(kind, interrupter.watch("instructions", store.instructions), queue)  # type: ignore[arg-type]

    def observe() -> object:
        """Returns how the runs stand that began meanwhile, and who approved."""
        standing = [status for run_id, status in list_runs().items() if run_id not in past]
        return sorted(standing), [store.instructions.read_approval(effect_id) for effect_id in approvals]

    return Trial(prepare, httpx.Client, build_own, observe)


def tell(store: PostgresStore, kind: InstructionKind, **scope: str) -> None:
    store.instructions.carry_out(Instruction(id=str(uuid4()), kind=kind, given_by="ada", **scope))


def play(kind: str, trial: Trial, store: PostgresStore, *kill_after: int) -> tuple[Life, object]:
    """Returns what became of the task, and what is outside."""
    interrupter = Interrupter(*kill_after)
    arguments = trial.prepare()
    with trial.open_client() as client:
        client.event_hooks = watch_exchanges(interrupter)
        action = trial.build(client, interrupter)
        life = live(store, interrupter, kind, arguments, action, while_waiting=trial.while_waiting)
    return life, trial.observe()


def test_an_action_whose_worker_is_killed_has_one_effect(kind: str, trial: Trial, store: PostgresStore) -> None:
    whole, wanted = play(kind, trial, store)
    assert whole.run["status"] == "succeeded", whole.run
    if isinstance(wanted, int):
        assert wanted == (0 if kind == CHANGED_FILES else 1)
    for step, call in enumerate(whole.calls, start=1):
        life, outside = play(kind, trial, store, step)
        where = f"killed at {call}, step {step} of {whole.calls}: {life.calls}"
        if life.run["status"] == "dead":
            assert life.run["reason"].startswith("unknown_outcome"), where
            assert outside in (0, wanted), where
        else:
            assert (life.run["status"], outside) == ("succeeded", wanted), where
