"""Action and Agent: in memory, at the sandbox GitHub and at the sandbox Codegen."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import httpx
import pytest

from shared.adapters.github.actions import build_actions
from shared.adapters.github.authorization import TokenAuthorization
from shared.adapters.github.client import GitHubClient
from shared.adapters.github.dispatches import Dispatch
from shared.adapters.github.workflow_agent import WorkflowAgent
from shared.adapters.memory.cache import MemoryCache
from shared.adapters.memory.world import MemoryAction, MemoryAgent, MemoryWorld
from shared.domain.action_arguments import ACTIONS
from shared.domain.effect import Effect
from shared.domain.errors import Limited, OutcomeUnknown, Permanent, Transient
from shared.local.free_ports import HOST, choose_port
from shared.ports import Action
from tests.support.action_cases import CASES, FOUND
from tests.support.clock import ManualClock
from tests.support.outside import (
    APP_TOKEN,
    CODEGEN_ERRORS,
    GITHUB_ERRORS,
    MemoryOutside,
    Outside,
    SandboxOutside,
    build_codegen,
    read_document,
)
from tests.support.sandbox_server import Contract

CALLS = ["write", "look_up"]


def build_action(kind: str, client: httpx.Client) -> Action:
    if kind == "codegen.run":
        clock = ManualClock()
        return build_codegen(client, MemoryCache(clock), clock)[0]
    github = GitHubClient(client, TokenAuthorization(APP_TOKEN))
    others: dict[str, Action] = {
        "github.dispatch": Dispatch(github),
        "actions.run": WorkflowAgent(github, actor="webhook-orchestrator[bot]"),
    }
    return {**build_actions(github), **others}[kind]


@pytest.fixture(scope="module")
def github_contract() -> Contract:
    return Contract("github-openapi-trimmed.json", "https://api.github.com", GITHUB_ERRORS)


@pytest.fixture(scope="module")
def codegen_contract() -> Contract:
    return Contract("codegen-openapi.json", "https://api.codegen.com", CODEGEN_ERRORS)


def open_sandbox(kind: str, request: pytest.FixtureRequest) -> SandboxOutside:
    case = CASES[kind]
    return SandboxOutside(
        request.getfixturevalue(f"{case.upstream}_server"),
        case,
        partial(build_action, kind),
        request.getfixturevalue(f"{case.upstream}_contract"),
    )


@pytest.fixture(params=["memory action", "memory agent", *FOUND])
def outside(request: pytest.FixtureRequest) -> Iterator[Outside]:
    if request.param.startswith("memory"):
        world = MemoryWorld(ManualClock())
        if request.param == "memory agent":
            yield MemoryOutside(world, "codegen.run", MemoryAgent(world, work_seconds=0.0))
        else:
            yield MemoryOutside(world, "github.comment", MemoryAction(world))
        return
    sandbox = open_sandbox(request.param, request)
    yield sandbox
    sandbox.client.close()


def plan_again(effect: Effect) -> Effect:
    """Returns the effect as a later attempt finds it in the records."""
    return Effect(effect.id, effect.kind, dict(effect.request), datetime.now(UTC))


def test_what_was_not_written_is_not_found(outside: Outside) -> None:
    assert outside.action.look_up(outside.plan()) is None
    other = outside.plan()
    outside.action.write(other)
    assert outside.action.look_up(outside.plan()) is None
    assert outside.count_writes() == 1


def test_what_was_written_is_found(outside: Outside) -> None:
    effects = [outside.plan() for _ in range(3)]
    written = [outside.action.write(effect) for effect in effects]
    assert len({each.external_id for each in written}) == 3
    for effect, each in zip(effects, written, strict=True):
        found = outside.action.look_up(plan_again(effect))
        assert found is not None
        assert (found.external_id, found.url) == (each.external_id, each.url)
        assert found.url
    assert outside.count_writes() == 3


@pytest.mark.parametrize("is_applied", [True, False])
def test_a_write_without_an_answer_can_be_looked_up(outside: Outside, *, is_applied: bool) -> None:
    effect = outside.plan()
    outside.cut(is_applied=is_applied)
    with pytest.raises(OutcomeUnknown):
        outside.action.write(effect)
    assert (outside.action.look_up(plan_again(effect)) is not None) is is_applied
    if not is_applied:
        outside.action.write(effect)
    assert outside.count_writes() == 1


def test_a_fault_of_the_other_side_leaves_a_write_unknown_and_a_look_up_to_be_repeated(outside: Outside) -> None:
    effect = outside.plan()
    outside.break_down("write")
    with pytest.raises(OutcomeUnknown):
        outside.action.write(effect)
    outside.break_down("look_up")
    with pytest.raises(Transient) as failed:
        outside.action.look_up(effect)
    assert not isinstance(failed.value, OutcomeUnknown | Limited)
    assert outside.action.look_up(effect) is None


@pytest.mark.parametrize("call", CALLS)
def test_a_limit_says_whose_it_is_and_for_how_long(outside: Outside, call: str) -> None:
    effect = outside.plan()
    outside.limit(call, 77)
    with pytest.raises(Limited) as limited:
        getattr(outside.action, call)(effect)
    assert (limited.value.upstream, limited.value.after_seconds) == (CASES[effect.kind].upstream, 77.0)
    assert outside.count_writes() == 0


@pytest.mark.parametrize("call", CALLS)
def test_a_refusal_is_for_good(outside: Outside, call: str) -> None:
    effect = outside.plan()
    outside.refuse(call)
    with pytest.raises(Permanent):
        getattr(outside.action, call)(effect)
    assert outside.count_writes() == 0


@pytest.fixture(params=[kind for kind, case in CASES.items() if case.is_last])
def lasting(request: pytest.FixtureRequest) -> Iterator[SandboxOutside]:
    sandbox = open_sandbox(request.param, request)
    yield sandbox
    sandbox.client.close()


def read_subject(outside: SandboxOutside, effect: Effect) -> list[str]:
    """Returns how the subject stands, times apart."""
    number = effect.request["number"]
    paths = (f"issues/{number}", f"issues/{number}/comments", f"pulls/{number}")
    shown = [outside.client.get(f"/repos/acme/widgets/{path}").text for path in paths]
    page = outside.client.get(f"/acme/widgets/issues/{number}").text
    return [re.sub(r'"updated_at":"[^"]*"|<time>.*?</time>', "", text) for text in (*shown, page)]


@pytest.mark.parametrize("is_applied", [True, False])
def test_what_is_so_already_is_so_once(lasting: SandboxOutside, *, is_applied: bool) -> None:
    effect = lasting.plan()
    lasting.cut(is_applied=is_applied)
    with pytest.raises(OutcomeUnknown):
        lasting.action.write(effect)
    lasting.client.headers["authorization"] = f"Bearer {APP_TOKEN}"
    lasting.client.event_hooks = {}
    before = read_subject(lasting, effect)
    first = lasting.action.write(effect)
    after = read_subject(lasting, effect)
    assert (before == after) is is_applied
    again = lasting.action.write(effect)
    assert (again.external_id, again.url) == (first.external_id, first.url)
    assert read_subject(lasting, effect) == after


@pytest.mark.parametrize("kind", [kind for kind in CASES if any(each.is_required for each in ACTIONS[kind].arguments)])
def test_arguments_that_are_missing_are_refused(kind: str) -> None:
    with httpx.Client() as client, pytest.raises(Permanent, match=f"{kind} needs "):
        build_action(kind, client).plan({}, {"subject": {"key": "acme"}, "delivery": {"event": "push"}})


@pytest.mark.parametrize("kind", [kind for kind in CASES if kind.startswith("github.")])
def test_arguments_that_are_unknown_are_refused(kind: str) -> None:
    given = {**CASES[kind].build_arguments("0b4f", 7), "numbr": 7}
    with httpx.Client() as client, pytest.raises(Permanent, match=f"{kind} got an unknown argument 'numbr'"):
        build_action(kind, client).plan(given, read_document())


def test_every_action_of_github_is_declared_and_tried() -> None:
    with httpx.Client() as client:
        built = build_actions(GitHubClient(client, TokenAuthorization("made-up")))
    assert set(built) <= set(ACTIONS)
    # It reads, and so has tests of its own.
    assert set(built) - {"github.changed_files"} == {kind for kind in CASES if kind.startswith("github.")} - {
        "github.dispatch"
    }


@pytest.mark.parametrize("kind", CASES)
def test_what_cannot_be_reached_was_not_written(kind: str) -> None:
    with httpx.Client(base_url=f"http://{HOST}:{choose_port('nobody')}", trust_env=False) as client:
        action = build_action(kind, client)
        case = CASES[kind]
        effect = Effect("0b4f", kind, action.plan(case.build_arguments("0b4f", 7), read_document()))
        for call in (action.write, action.look_up) if case.is_found else (action.write,):
            with pytest.raises(Transient, match="cannot be reached") as failed:
                call(effect)
            assert not isinstance(failed.value, OutcomeUnknown)
