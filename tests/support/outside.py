"""Actions and agents in memory and at the sandbox servers, behind one face: what their contract suite asks."""

from collections.abc import Callable, Mapping
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
from tests.support.factories import build_payload
from tests.support.sandbox_server import Contract, SandboxServer

GITHUB_ERRORS = {"message", "documentation_url", "status"}
CODEGEN_ERRORS = {"message", "status_code"}


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
    """Returns an event hook that checks a client's every request and answer against an OpenAPI document."""

    def check(response: httpx.Response) -> None:
        response.read()
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
    """A sandbox server, whose every exchange is checked against the service's OpenAPI document.

    Args:
        server: the server; it starts afresh.
        kind: the action's name.
        build_action: makes the action over a client of the server.
        arguments: what each effect is planned with; ``{}`` in a text becomes the effect's id.
        contract: the OpenAPI document.
    """

    def __init__(
        self,
        server: SandboxServer,
        kind: str,
        build_action: Callable[[httpx.Client], Action],
        arguments: Mapping[str, str],
        contract: Contract,
    ) -> None:
        server.client.post("/_reset").raise_for_status()
        self._server = server
        self._arguments = arguments
        hooks = {"response": [check_exchanges(contract)]}
        self.client = httpx.Client(base_url=server.url, trust_env=False, event_hooks=hooks)
        self.kind = kind
        self.action = build_action(self.client)

    def plan(self, **arguments: object) -> Effect:
        """Plans an effect that differs from all others."""
        effect_id = str(uuid4())
        given = {name: text.format(effect_id) for name, text in self._arguments.items()}
        return Effect(effect_id, self.kind, self.action.plan({**given, **arguments}, read_document()))

    def count_writes(self) -> int:
        """Returns how many writes were applied."""
        return sum(received["applied"] for received in self._server.list_received(method="POST"))

    def cut(self, *, is_applied: bool) -> None:
        """Has the next write get no answer."""
        self._server.add_faults({"method": "POST", "cut": "after" if is_applied else "before"})

    def break_down(self, call: str) -> None:
        """Has the next ``write`` or ``look_up`` fail on the other side."""
        self._server.add_faults({"method": _method(call), "status": 502})

    def limit(self, call: str, seconds: int) -> None:
        """Has the next call be refused for a time."""
        self._server.add_faults({"method": _method(call), "status": 429, "retry_after": seconds})

    def refuse(self, call: str) -> None:
        """Has the next call be refused for good."""
        self._server.add_faults({"method": _method(call), "status": 404})


def _method(call: str) -> str:
    return "POST" if call == "write" else "GET"
