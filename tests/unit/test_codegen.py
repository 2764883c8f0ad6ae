"""Codegen's agents against answers that nobody promised: malformed, hostile, or none because the name is gone."""

import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.adapters.budgets import CodegenRules
from shared.adapters.codegen.agents import CodegenAgent
from shared.adapters.codegen.answers import MARK
from shared.adapters.memory.cache import MemoryCache
from shared.domain.effect import Effect
from shared.domain.errors import OutcomeUnknown, Permanent, Transient, Unavailable
from tests.support.clock import ManualClock
from tests.support.mock_client import open_mock
from tests.support.outside import build_codegen

EFFECT = Effect("e1", "codegen.run", {"prompt": "Work", "subject": "acme/widgets#7"})
HTML = httpx.Response(200, html="<html>This domain is for sale</html>")


class LostCache(MemoryCache):
    """A cache that is away."""

    def get(self, key: str) -> str | None:
        return None


def build_agent(answer: Callable[[httpx.Request], httpx.Response], cache: MemoryCache | None = None) -> CodegenAgent:
    clock = ManualClock()
    client = open_mock(CodegenRules(), answer)
    return build_codegen(client, cache or MemoryCache(clock), clock)[0]


def answering(content: object, status: int = 200) -> CodegenAgent:
    return build_agent(lambda _: HTML if content is HTML else httpx.Response(status, json=content))


@pytest.mark.parametrize(
    "content", [HTML, None, [], "ACTIVE", {}, {"id": None}, {"id": True}, {"id": "7"}, {"id": 7.5}, {"id": {"id": 7}}]
)
def test_a_run_without_an_id_is_not_started_again(content: object) -> None:
    with pytest.raises(Permanent, match="unknown_outcome"):
        answering(content).write(EFFECT)


@pytest.mark.parametrize("content", [HTML, None, [], {}, {"status": "COMPLETE"}, {"id": 8, "status": "COMPLETE"}])
def test_an_answer_about_no_run_of_ours_is_asked_for_again(content: object) -> None:
    with pytest.raises(Transient, match="cannot be read"):
        answering(content).read("7")


@pytest.mark.parametrize("wrong", [None, True, 5, 1.5, [], {}, [None, 3, []], {"url": {}}, [{"url": 3}]])
def test_a_field_of_another_type_is_read_as_missing(wrong: Any) -> None:  # noqa: ANN401 - JSON is anything
    names = ("status", "web_url", "result", "summary", "github_pull_requests", "metadata", "created_at", "source_type")
    report = answering({"id": 7, **dict.fromkeys(names, wrong)}).read("7")
    assert (report.status, report.phase, report.url, report.result) == ("PENDING", "working", None, None)
    assert (report.summary, report.pull_requests, report.detail) == (None, (), None)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "", " https://x"])
def test_what_is_no_address_becomes_no_link(address: str) -> None:
    run = {"id": 7, "web_url": address, "github_pull_requests": [{"id": 1, "url": address}]}
    report = answering(run).read("7")
    assert (report.url, report.pull_requests) == (None, ())


@pytest.mark.parametrize("content", [HTML, None, [], {}, {"items": None}, {"items": {}}, {"items": "none"}])
def test_a_list_that_cannot_be_read_says_nothing(content: object) -> None:
    with pytest.raises(Transient, match="cannot be read"):
        answering(content).look_up(EFFECT)


def test_a_list_with_malformed_runs_is_searched_all_the_same() -> None:
    odd: list[Any] = [None, 3, [], {}, {"metadata": "x"}, {"metadata": {MARK: ["e1"]}}]
    assert answering({"items": odd}).look_up(EFFECT) is None
    found = answering({"items": [*odd, {"id": 7, "metadata": {MARK: "e1"}}]}).look_up(EFFECT)
    assert found is not None
    assert found.external_id == "7"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"message": "No", "status_code": 422}, ": No"),
        ({"detail": "No", "status_code": 422}, ": No"),
        ({"detail": [{"loc": ["body", "prompt"], "msg": "too long", "type": "x"}]}, ": body.prompt: too long"),
        ({"detail": [{"loc": ["body", 0], "msg": "a"}, {"msg": "b"}, None, 3]}, ": body.0: a; : b"),
        ({"detail": {"why": "no"}}, ": {'why': 'no'}"),
        ({}, ": "),
        ([], ": "),
        (HTML, ": "),
    ],
)
def test_a_refusal_says_why_in_either_shape(content: object, message: str) -> None:
    agent = build_agent(
        lambda _: httpx.Response(422, html="<p>") if content is HTML else httpx.Response(422, json=content)
    )
    with pytest.raises(Permanent) as refused:
        agent.write(EFFECT)
    assert str(refused.value) == f"codegen answered 422 to POST /run{message}"


class FailingResolver:
    """Finds no address for any name.

    Attributes:
        count: how often it was asked.
    """

    def __init__(self, code: int) -> None:
        self._code = code
        self.count = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        raise httpx.ConnectError("no", request=request) from socket.gaierror(self._code, "made up")


@pytest.mark.parametrize("cache", [None, LostCache(ManualClock())], ids=["cache", "no cache"])
def test_a_name_that_does_not_exist_is_asked_for_once(cache: MemoryCache | None) -> None:
    resolver = FailingResolver(socket.EAI_NONAME)
    agent = build_agent(resolver, cache)
    for _ in range(3):
        with pytest.raises(Unavailable, match=r"^agent unavailable: codegen's address does not exist$"):
            agent.write(EFFECT)
    assert resolver.count == 1
    with pytest.raises(Unavailable):
        agent.read("7")


def test_a_resolver_that_does_not_answer_may_do_so_later() -> None:
    agent = build_agent(FailingResolver(socket.EAI_AGAIN))
    for call in (lambda: agent.write(EFFECT), lambda: agent.read("7")):
        with pytest.raises(Transient, match="cannot be reached") as failed:
            call()
        assert not isinstance(failed.value, OutcomeUnknown)


def test_pauses_without_a_cache_end_with_the_deadline() -> None:
    agent = build_agent(lambda _: httpx.Response(200, json={"id": 7, "status": "PAUSED"}), LostCache(ManualClock()))
    assert {agent.read("7").phase for _ in range(3)} == {"working"}
