"""Action and Agent: in memory, at the sandbox GitHub and at the sandbox Codegen."""

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from shared.adapters.github.actions.checks import CommitStatus
from shared.adapters.github.actions.comments import Comment
from shared.adapters.github.authorization import TokenAuthorization
from shared.adapters.github.client import GitHubClient
from shared.adapters.github.dispatches import Dispatch
from shared.adapters.github.workflow_agent import WorkflowAgent
from shared.adapters.memory.cache import MemoryCache
from shared.adapters.memory.world import MemoryAction, MemoryAgent, MemoryWorld
from shared.domain.effect import Effect
from shared.domain.errors import Limited, OutcomeUnknown, Permanent, Transient
from shared.local.free_ports import HOST, choose_port
from shared.ports import Action
from tests.support.clock import ManualClock
from tests.support.factories import SHA
from tests.support.outside import (
    CODEGEN_ERRORS,
    GITHUB_ERRORS,
    MemoryOutside,
    Outside,
    SandboxOutside,
    build_codegen,
)
from tests.support.sandbox_server import Contract

CALLS = ["write", "look_up"]


def build_github(client: httpx.Client) -> GitHubClient:
    return GitHubClient(client, TokenAuthorization("made-up"))


def build_comment(client: httpx.Client) -> Action:
    return Comment(build_github(client))


def build_status(client: httpx.Client) -> Action:
    return CommitStatus(build_github(client))


def build_agent(client: httpx.Client) -> Action:
    clock = ManualClock()
    return build_codegen(client, MemoryCache(clock), clock)[0]


def build_dispatch(client: httpx.Client) -> Action:
    return Dispatch(build_github(client))


def build_workflow_agent(client: httpx.Client) -> Action:
    return WorkflowAgent(build_github(client), actor="sandbox")


ACTIONS = {
    "github.comment": build_comment,
    "github.status": build_status,
    "github.dispatch": build_dispatch,
    "codegen.run": build_agent,
    "actions.run": build_workflow_agent,
}
UPSTREAMS = {kind: kind.partition(".")[0] for kind in ACTIONS} | {"actions.run": "github"}


@pytest.fixture(scope="module")
def github_contract() -> Contract:
    return Contract("github-openapi-trimmed.json", "https://api.github.com", GITHUB_ERRORS)


@pytest.fixture(scope="module")
def codegen_contract() -> Contract:
    return Contract("codegen-openapi.json", "https://api.codegen.com", CODEGEN_ERRORS)


@pytest.fixture(params=["memory action", "memory agent", *ACTIONS])
def outside(request: pytest.FixtureRequest) -> Iterator[Outside]:
    if request.param.startswith("memory"):
        world = MemoryWorld(ManualClock())
        if request.param == "memory agent":
            yield MemoryOutside(world, "codegen.run", MemoryAgent(world, work_seconds=0.0))
        else:
            yield MemoryOutside(world, "github.comment", MemoryAction(world))
        return
    service = UPSTREAMS[request.param]
    arguments = {
        "github.comment": {"body": "Comment {}"},
        "github.status": {"state": "success", "context": "context-{}", "description": "Analysed"},
        "github.dispatch": {"workflow": "work-{}.yml", "ref": "main"},
        "codegen.run": {"prompt": "Work {}"},
        "actions.run": {"workflow": "work-{}.yml"},
    }
    sandbox = SandboxOutside(
        request.getfixturevalue(f"{service}_server"),
        request.param,
        ACTIONS[request.param],
        arguments[request.param],
        request.getfixturevalue(f"{service}_contract"),
    )
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
    assert (limited.value.upstream, limited.value.after_seconds) == (UPSTREAMS[effect.kind], 77.0)
    assert outside.count_writes() == 0


@pytest.mark.parametrize("call", CALLS)
def test_a_refusal_is_for_good(outside: Outside, call: str) -> None:
    effect = outside.plan()
    outside.refuse(call)
    with pytest.raises(Permanent):
        getattr(outside.action, call)(effect)
    assert outside.count_writes() == 0


def test_arguments_that_are_missing_are_refused(outside: Outside) -> None:
    with pytest.raises(Permanent):
        outside.action.plan({}, {"subject": {"key": "acme", "sha": SHA, "number": 7, "repository": "acme/widgets"}})


@pytest.mark.parametrize("kind", ACTIONS)
def test_what_cannot_be_reached_was_not_written(kind: str) -> None:
    with httpx.Client(base_url=f"http://{HOST}:{choose_port('nobody')}", trust_env=False) as client:
        action = ACTIONS[kind](client)
        requests: dict[str, dict[str, object]] = {
            "github.comment": {"repository": "acme/widgets", "number": 7, "body": "Hi"},
            "github.status": {"repository": "acme/widgets", "sha": SHA, "state": "success", "context": "c"},
            "github.dispatch": {"repository": "acme/widgets", "workflow": "work.yml", "ref": "main", "inputs": {}},
            "codegen.run": {"prompt": "Work", "subject": "acme/widgets#7"},
            "actions.run": {"repository": "acme/widgets", "workflow": "work.yml", "ref": "main", "inputs": {}},
        }
        effect = Effect("0b4f", kind, requests[kind])
        for call in (action.write, action.look_up):
            with pytest.raises(Transient, match="cannot be reached") as failed:
                call(effect)
            assert not isinstance(failed.value, OutcomeUnknown)
