"""Actions and agents in memory and at the sandbox servers, behind one face: what their contract suite asks."""

import json
import re
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol
from uuid import uuid4

import httpx

from shared.adapters.absences import Absences
from shared.adapters.codegen.agents import CodegenAgent, CodegenResume
from shared.adapters.codegen.client import CodegenClient
from shared.adapters.memory.cache import MemoryCache
from shared.adapters.memory.world import MemoryWorld
from shared.domain.delivery import build_document
from shared.domain.effect import Effect
from shared.domain.errors import Limited, OutcomeUnknown, Permanent, Transient
from shared.domain.subject import derive_subject
from shared.ports import Action
from tests.support.action_cases import ActionCase
from tests.support.factories import DATA, build_payload
from tests.support.sandbox_server import Contract, SandboxServer

GITHUB_ERRORS = {"message", "documentation_url", "status"}
CODEGEN_ERRORS = {"message", "status_code"}
# What the sandbox's GitHub takes for an App's installation token: only an App may create check runs.
APP_TOKEN = "ghs_made-up"


def read_document() -> dict[str, Any]:
    """Returns what actions see of a pull request that was opened."""
    payload = build_payload()
    return build_document("pull_request", "0b4f", payload, derive_subject("pull_request", payload))


def build_codegen(
    client: httpx.Client, cache: MemoryCache, clock: Callable[[], float]
) -> tuple[CodegenAgent, CodegenResume]:
    """Returns Codegen's agents over a client of the sandbox; they share what the cache keeps."""
    api = CodegenClient(client, "made-up", 11, Absences(cache, clock))
    return CodegenAgent(api, cache, clock), CodegenResume(api, cache, clock)


def check_exchanges(contract: Contract) -> Callable[[httpx.Response], None]:
    """Returns an event hook that checks a client's every request and answer; GraphQL has a document of its own."""

    def check(response: httpx.Response) -> None:
        response.read()
        if response.request.url.path == "/graphql":
            check_graphql(response.request.content)
            return
        contract.check_request(response.request)
        contract.check(response, response.status_code)

    return check


class Outside(Protocol):
    """An action, and the outside it writes to.

    Attributes:
        kind: the action's name.
        action: the action.
    """

    kind: str
    action: Action

    def plan(self, **arguments: object) -> Effect:
        """Plans an effect that differs from all others."""

    def count_writes(self) -> int:
        """Returns how many writes were applied."""

    def cut(self, *, is_applied: bool) -> None:
        """Has the next write get no answer."""

    def break_down(self, call: str) -> None:
        """Has the next ``write`` or ``look_up`` fail on the other side."""

    def limit(self, call: str, seconds: int) -> None:
        """Has the next call be refused for a time."""

    def refuse(self, call: str) -> None:
        """Has the next call be refused for good."""


class MemoryOutside:
    """A world in memory."""

    def __init__(self, world: MemoryWorld, kind: str, action: Action) -> None:
        self._world = world
        self.kind = kind
        self.action = action

    def plan(self, **arguments: object) -> Effect:
        """Plans an effect that differs from all others."""
        effect_id = str(uuid4())
        request = self.action.plan({"body": effect_id, **arguments}, read_document())
        return Effect(effect_id, self.kind, request)

    def count_writes(self) -> int:
        """Returns how many writes were applied."""
        return len(self._world.writes)

    def cut(self, *, is_applied: bool) -> None:
        """Has the next write get no answer."""
        self._world.fail_next(OutcomeUnknown("the connection was cut"), is_applied=is_applied)

    def break_down(self, call: str) -> None:
        """Has the next ``write`` or ``look_up`` fail on the other side."""
        if call == "write":
            self._world.fail_next(OutcomeUnknown("the world is in disorder"))
        else:
            self._world.fail_next(Transient("the world is in disorder"), "look_up")

    def limit(self, call: str, seconds: int) -> None:
        """Has the next call be refused for a time."""
        upstream = self.kind.partition(".")[0]
        self._world.fail_next(Limited(upstream, "too much", float(seconds)), "write" if call == "write" else "look_up")

    def refuse(self, call: str) -> None:
        """Has the next call be refused for good."""
        self._world.fail_next(Permanent("no"), "write" if call == "write" else "look_up")


class SandboxOutside:
    """A sandbox server, whose every exchange is checked against the service's OpenAPI document or GraphQL schema.

    Args:
        server: the server; it starts afresh.
        case: how the action is tried.
        build_action: makes the action over a client of the server.
        contract: the OpenAPI document.
    """

    def __init__(
        self,
        server: SandboxServer,
        case: ActionCase,
        build_action: Callable[[httpx.Client], Action],
        contract: Contract,
    ) -> None:
        server.client.post("/_reset").raise_for_status()
        self._server = server
        self._case = case
        self._numbers = count(101)
        hooks = {"response": [check_exchanges(contract)]}
        self.client = httpx.Client(base_url=server.url, trust_env=False, event_hooks=hooks)
        self.kind = case.kind
        self.action = build_action(self.client)

    def plan(self, **arguments: object) -> Effect:
        """Plans an effect that differs from all others, on a subject of its own where there is one."""
        effect_id, number = str(uuid4()), next(self._numbers)
        if self._case.prepare is not None:
            self._case.prepare(self._server.client, number)
        given = self._case.build_arguments(effect_id, number)
        return Effect(effect_id, self.kind, self.action.plan({**given, **arguments}, read_document()))

    def count_writes(self) -> int:
        """Returns how many writes of the action were applied."""
        received = self._server.list_received(method=self._case.method)
        # What prepares a subject comes from the server's own client.
        return sum(each["applied"] for each in received if each["headers"]["user-agent"] != "test")

    def cut(self, *, is_applied: bool) -> None:
        """Has the next write get no answer."""
        self._server.add_faults({"method": self._case.method, "cut": "after" if is_applied else "before"})

    def break_down(self, call: str) -> None:
        """Has the next ``write`` or ``look_up`` fail on the other side."""
        self._server.add_faults({"method": self._method(call), "status": 502})

    def limit(self, call: str, seconds: int) -> None:
        """Has the next call be refused for a time."""
        self._server.add_faults({"method": self._method(call), "status": 429, "retry_after": seconds})

    def refuse(self, call: str) -> None:
        """Has the next call be refused for good."""
        self._server.add_faults({"method": self._method(call), "status": 404})

    def _method(self, call: str) -> str:
        return self._case.method if call == "write" else "GET"


def check_graphql(content: bytes) -> None:
    """Checks a mutation's ``$input`` against GitHub's schema: every name known, every required one there."""
    document = json.loads(content)
    [type_name] = re.findall(r"\$input: (\w+)!", document["query"])
    schema = (DATA / "github-graphql-excerpt.graphql").read_text()
    [definition] = re.findall(rf"input {type_name} {{(.*?)^}}", schema, re.DOTALL | re.MULTILINE)
    fields = dict(re.findall(r"^  (\w+): (\S+)", definition, re.MULTILINE))
    given = document["variables"]["input"]
    assert set(given) <= set(fields)
    assert {name for name, kind in fields.items() if kind.endswith("!")} <= set(given)
    for name, value in given.items():
        values = re.findall(rf"enum {fields[name]} {{(.*?)^}}", schema, re.DOTALL | re.MULTILINE)
        assert not values or value in re.findall(r"^  ([A-Z_]+)$", values[0], re.MULTILINE)
