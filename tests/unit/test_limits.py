"""The gate before GitHub and Codegen: what requests cost, what answers say, and how far the rate is used."""

import heapq
import math
import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.adapters.budgets import (
    CODEGEN_CREATIONS,
    CODEGEN_REQUESTS,
    GITHUB_CONTENT,
    GITHUB_GRAPHQL_POINTS,
    GITHUB_POINTS,
    REQUESTS,
    CodegenRules,
    GitHubRules,
    codegen_rules,
    github_rules,
)
from shared.adapters.github.authorization import APP_ACCOUNT, TokenAuthorization
from shared.adapters.github.client import GitHubClient
from shared.adapters.http import ACCOUNT, open_client, send_request
from shared.adapters.limits import CIRCUIT_FAILURES, Answer, Budget, Cost, Demand, Gate, Quota, Rules
from shared.adapters.memory.telemetry import MemoryTelemetry
from shared.adapters.own_limits import OwnLimiter
from shared.domain.errors import Limited, OutcomeUnknown, Permanent, Transient
from tests.support.clock import ManualClock

CONTENT = tuple(map(Cost, GITHUB_CONTENT))
COMMENTS = "/repos/acme/widgets/issues/7/comments"
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}


class World:
    """A client whose requests pass a gate, towards an upstream that answers as it is told.

    Attributes:
        sent: the requests that left.
    """

    def __init__(self, rules: Callable[[ManualClock], Rules], *answers: httpx.Response | Exception) -> None:
        self.clock = ManualClock()
        self.telemetry = MemoryTelemetry()
        self.sent: list[httpx.Request] = []
        self.answers = list(answers)
        gate = Gate(rules(self.clock), OwnLimiter(self.clock), self.telemetry)
        self.client = open_client("https://upstream.test", gate, httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(200, json={})
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self, method: str = "POST", path: str = COMMENTS, account: str = "acme") -> httpx.Response:
        return send_request(self.client, "upstream", method, path, headers={}, account=account)


def build_github(*answers: httpx.Response | Exception) -> World:
    return World(lambda clock: GitHubRules(clock=clock), *answers)


def build_codegen(*answers: httpx.Response | Exception) -> World:
    return World(lambda _clock: CodegenRules(), *answers)


def build_request(method: str, path: str, account: str) -> httpx.Request:
    return httpx.Request(method, f"https://api.github.com{path}", extensions={ACCOUNT: account})


@pytest.mark.parametrize(
    ("method", "path", "account", "resource", "costs"),
    [
        ("GET", COMMENTS, "acme", "core", (Cost(GITHUB_POINTS, 1),)),
        ("POST", COMMENTS, "acme", "core", (*CONTENT, Cost(GITHUB_POINTS, 5))),
        ("PATCH", "/repos/acme/widgets/issues/7", "acme", "core", (*CONTENT, Cost(GITHUB_POINTS, 5))),
        ("POST", "/graphql", "acme", "graphql", (Cost(GITHUB_GRAPHQL_POINTS, 5),)),
        ("GET", "/repos/acme/widgets/installation", APP_ACCOUNT, "core", (Cost(GITHUB_POINTS, 1),)),
        ("POST", "/app/installations/1/access_tokens", APP_ACCOUNT, "core", (Cost(GITHUB_POINTS, 5),)),
    ],
)
def test_what_requests_to_github_cost(
    method: str, path: str, account: str, resource: str, costs: tuple[Cost, ...]
) -> None:
    demand = GitHubRules().read_demand(build_request(method, path, account))
    assert demand == Demand("github", account, resource, costs)


def test_what_requests_to_codegen_cost() -> None:
    rules = CodegenRules()
    create = rules.read_demand(httpx.Request("POST", "https://api.codegen.com/v1/organizations/1/agent/run"))
    read = rules.read_demand(httpx.Request("GET", "https://api.codegen.com/v1/organizations/1/agent/run/7"))
    assert create == Demand("codegen", "", "", (Cost(CODEGEN_CREATIONS), Cost(CODEGEN_REQUESTS)))
    assert read == Demand("codegen", "", "", (Cost(CODEGEN_REQUESTS),))


@pytest.mark.parametrize(
    ("url", "is_limited"),
    [
        ("https://api.github.com", True),
        ("https://api.acme.ghe.com", True),
        ("https://github.acme.example/api/v3", False),
        ("http://127.0.0.1:4010", False),
        ("https://notgithub.com", False),
    ],
)
def test_documented_limits_are_for_the_hosts_that_document_them(url: str, is_limited: bool) -> None:  # noqa: FBT001
    assert (github_rules(url).points == GITHUB_POINTS) is is_limited
    assert (github_rules(url).content == GITHUB_CONTENT) is is_limited
    assert (github_rules(url).graphql_points == REQUESTS) is not is_limited


def test_codegen_s_are_for_codegen() -> None:
    assert codegen_rules("https://api.codegen.com") == CodegenRules()
    assert codegen_rules("http://127.0.0.1:4011") == CodegenRules(REQUESTS, REQUESTS)


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (httpx.Response(201), Answer(is_failure=False)),
        (httpx.Response(404, json={"message": "Not Found"}), Answer(is_failure=False)),
        (httpx.Response(403, json={"message": "Resource not accessible"}), Answer(is_failure=False)),
        (httpx.Response(403, headers={"retry-after": "90"}), Answer(is_failure=False, halt_seconds=90.0)),
        (httpx.Response(429, headers={"retry-after": "90"}), Answer(is_failure=False, halt_seconds=90.0)),
        (httpx.Response(403, json=SECONDARY), Answer(is_failure=False, halt_seconds=60.0)),
        (httpx.Response(429), Answer(is_failure=False, halt_seconds=60.0)),
        (httpx.Response(502), Answer(is_failure=True)),
        (httpx.Response(503, headers={"retry-after": "7"}), Answer(is_failure=True, halt_seconds=7.0)),
        (
            httpx.Response(
                403,
                headers={"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1790000100"},
            ),
            Answer(is_failure=False, halt_seconds=100.0, quota=Quota(5000, 0, 1_790_000_100)),
        ),
        (
            httpx.Response(
                200,
                headers={"x-ratelimit-limit": "0", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1790000100"},
            ),
            Answer(is_failure=False),
        ),
        (httpx.Response(200, headers={"x-ratelimit-limit": "many"}), Answer(is_failure=False)),
    ],
    ids=lambda value: str(value.status_code) if isinstance(value, httpx.Response) else "",
)
def test_what_github_s_answers_say(response: httpx.Response, answer: Answer) -> None:
    assert GitHubRules(clock=ManualClock()).read_answer(build_request("POST", COMMENTS, "acme"), response) == answer


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (httpx.Response(200), Answer(is_failure=False)),
        (httpx.Response(429), Answer(is_failure=False, halt_seconds=60.0)),
        (httpx.Response(429, headers={"retry-after": "90"}), Answer(is_failure=False, halt_seconds=90.0)),
        (httpx.Response(500), Answer(is_failure=True)),
    ],
    ids=lambda value: str(value.status_code) if isinstance(value, httpx.Response) else "",
)
def test_what_codegen_s_answers_say(response: httpx.Response, answer: Answer) -> None:
    assert CodegenRules().read_answer(httpx.Request("POST", "https://api.codegen.com/"), response) == answer


def test_nothing_is_sent_inside_a_retry_after() -> None:
    world = build_github(httpx.Response(403, headers={"retry-after": "90"}))
    world.ask()
    with pytest.raises(Limited, match="github asked to wait") as limited:
        world.ask("GET")
    assert (limited.value.upstream, limited.value.after_seconds) == ("github", 90.0)
    assert len(world.sent) == 1
    world.ask(account="globex")
    assert len(world.sent) == 2
    world.clock.advance(90.0)
    world.ask()
    assert len(world.sent) == 3
    assert world.telemetry.metrics["github_limited"] == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (httpx.Response(500), OutcomeUnknown),
        (httpx.ReadTimeout("slow"), OutcomeUnknown),
        (httpx.ConnectError("away"), Transient),
    ],
    ids=str,
)
def test_failures_in_a_row_open_the_circuit_and_one_success_closes_it(
    fault: httpx.Response | Exception, error: type[Exception]
) -> None:
    world = build_codegen(*[fault] * CIRCUIT_FAILURES)
    for _ in range(CIRCUIT_FAILURES):
        with pytest.raises(error):
            world.ask()
    with pytest.raises(Limited, match="codegen is not asked: it has failed 5 times in a row"):
        world.ask()
    assert world.telemetry.gauges["codegen_circuit_open"] == [0.0] * 4 + [1.0] * 2
    world.clock.advance(30.0)
    world.ask()
    world.ask()
    assert world.telemetry.gauges["codegen_circuit_open"][-2:] == [0.0, 0.0]
    assert len(world.sent) == CIRCUIT_FAILURES + 2


def build_answer(remaining: int) -> httpx.Response:
    headers = {"x-ratelimit-limit": "10", "x-ratelimit-remaining": str(remaining), "x-ratelimit-reset": "1790000600"}
    return httpx.Response(200, headers=headers)


def test_what_is_left_of_github_s_budget_is_told_and_heeded() -> None:
    # Somebody else spends of it too.
    world = build_github(build_answer(9), build_answer(8), build_answer(2), build_answer(1), build_answer(0))
    for _ in range(5):
        world.ask("GET")
    with pytest.raises(Limited, match="github says that its hourly limit is spent") as limited:
        world.ask("GET")
    assert limited.value.after_seconds == 600.0
    assert world.telemetry.gauges["github_budget_remaining_ratio"] == [0.9, 0.8, 0.2, 0.1, 0.0, 0.0]
    world.clock.advance(600.0)
    world.ask("GET")
    assert len(world.sent) == 6


class CountingLimiter(OwnLimiter):
    """Counts what it is told."""

    notes = 0

    def note(self, demand: Demand, answer: Answer) -> Any:  # noqa: ANN401 - as it is
        self.notes += 1
        return super().note(demand, answer)


def test_an_answer_that_says_nothing_new_costs_no_round_trip() -> None:
    clock, limiter = ManualClock(), CountingLimiter(ManualClock())
    answers = iter([build_answer(9), build_answer(8), build_answer(7), httpx.Response(500), build_answer(5)])
    transport = httpx.MockTransport(lambda _request: next(answers))
    gate = Gate(GitHubRules(clock=clock), limiter, MemoryTelemetry())
    client = open_client("https://api.github.com", gate, transport)
    for notes in (1, 1, 1, 2, 3):
        client.get("/")
        assert limiter.notes == notes


class Suspended(TokenAuthorization):
    """An App whose installation was suspended: new tokens are refused like the old ones."""

    renewals = 0

    def renew(self, repository: str) -> bool:
        self.renewals += 1
        return True


def test_a_suspended_installation_is_no_storm() -> None:
    refusal = httpx.Response(401, json={"message": "Bad credentials"})
    world = build_github(*[refusal] * 9)
    authorization = Suspended("made-up")
    github = GitHubClient(world.client, authorization)
    with pytest.raises(Permanent, match=r"github answered 401 .*suspended or uninstalled"):
        github.request("POST", COMMENTS, repository="acme/widgets")
    assert (len(world.sent), authorization.renewals) == (2, 1)


def simulate(count: int, costs: tuple[Cost, ...]) -> tuple[list[float], int]:
    """Has as many tasks ask as soon as they may, as the queue lets them: by whole seconds, and a little late.

    Returns:
        When each was let through, in seconds since the first; and how often any of them asked.
    """
    clock, chance = ManualClock(), random.Random(4)  # noqa: S311 - chance, not secrets
    limiter, begun_at, passed_at, asked = OwnLimiter(clock), clock.now, [], 0
    demand = Demand("github", "acme", "core", costs)
    due = [begun_at + chance.uniform(0.0, 5.0) for _ in range(count)]
    heapq.heapify(due)
    while due:
        clock.now = max(clock.now, heapq.heappop(due))
        asked += 1
        seconds = limiter.take(demand).wait_seconds
        if seconds == 0.0:
            passed_at.append(clock.now - begun_at)
        else:
            heapq.heappush(due, clock.now + math.ceil(seconds) + chance.uniform(0.0, 1.0))
    return passed_at, asked


def test_500_writes_keep_github_s_limits_use_them_and_do_not_ask_in_vain() -> None:
    passed_at, asked = simulate(500, (*CONTENT, Cost(GITHUB_POINTS, 5)))
    for amount, seconds in ((80, 60.0), (500, 3600.0)):
        assert all(late - early >= seconds for early, late in zip(passed_at, passed_at[amount:], strict=False))
    assert len(passed_at) / (passed_at[-1] / 60 * 80) >= 0.9
    assert asked <= 2.5 * 500


def test_2000_writes_fill_their_hours() -> None:
    passed_at, asked = simulate(2000, (*CONTENT, Cost(GITHUB_POINTS, 5)))
    hours = [sum(hour * 3600 <= at < (hour + 1) * 3600 for at in passed_at) for hour in range(4)]
    assert min(hours) >= 0.9 * 500
    assert asked <= 5 * 2000


@pytest.mark.parametrize(
    ("costs", "budget"),
    [
        ((Cost(CODEGEN_CREATIONS), Cost(CODEGEN_REQUESTS)), CODEGEN_CREATIONS),
        ((Cost(CODEGEN_REQUESTS),), CODEGEN_REQUESTS),
        ((Cost(GITHUB_POINTS),), GITHUB_POINTS),
    ],
    ids=lambda value: value.name if isinstance(value, Budget) else "",
)
def test_other_budgets_are_kept_and_used_as_well(costs: tuple[Cost, ...], budget: Budget) -> None:
    count = 10 * budget.amount
    passed_at, asked = simulate(count, costs)
    pairs = zip(passed_at, passed_at[budget.amount :], strict=False)
    assert all(late - early >= budget.seconds - 1e-6 for early, late in pairs)
    assert count / (passed_at[-1] / budget.seconds * budget.amount) >= 0.9
    assert asked <= 6 * count
