"""What GitHub and Codegen allow, and how their answers speak of it.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
https://docs.codegen.com/introduction/overview
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from shared.adapters.codegen.client import LIMIT_SECONDS
from shared.adapters.codegen.client import UPSTREAM as CODEGEN
from shared.adapters.github.authorization import APP_ACCOUNT
from shared.adapters.github.refusals import UPSTREAM as GITHUB
from shared.adapters.github.refusals import read_refusal
from shared.adapters.http import ACCOUNT, read_retry_after
from shared.adapters.limits import Answer, Budget, Cost, Demand, Quota
from shared.domain.errors import Limited

# A request reaches the upstream later than it was let through, by more or by less: with so much added to a window,
# two at its ends are as far apart there as they were here.
TRANSIT_SECONDS = 1.0

# Content creation: 80 a minute and 500 an hour. Eighty at once within a second is asking for trouble all the same:
# https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
GITHUB_CONTENT = (
    Budget("content_minute", 80, 60 + TRANSIT_SECONDS),
    Budget("content_pace", 10, 5 + TRANSIT_SECONDS),
    Budget("content_hour", 500, 3600 + TRANSIT_SECONDS),
)
# Points: 900 a minute for REST, 2,000 for GraphQL; a read costs 1 and a write 5, and a query may be a mutation.
GITHUB_POINTS = Budget("points_minute", 900, 60 + TRANSIT_SECONDS)
GITHUB_GRAPHQL_POINTS = Budget("graphql_points_minute", 2000, 60 + TRANSIT_SECONDS)
READ_POINTS = 1
WRITE_POINTS = 5

# Codegen: 60 requests in 30 seconds, of them 10 creations of agent runs in a minute.
CODEGEN_CREATIONS = Budget("creations_minute", 10, 60 + TRANSIT_SECONDS)
CODEGEN_REQUESTS = Budget("requests", 60, 30 + TRANSIT_SECONDS)

# These are for github.com, ghe.com and codegen.com. GitHub Enterprise Server limits nothing unless its administrator
# has it so, and then it says so in its answers; in a sandbox there is nothing to protect.
# https://docs.github.com/en/enterprise-server/rest/using-the-rest-api/rate-limits-for-the-rest-api
LIMITED_HOSTS = (".github.com", ".ghe.com", ".codegen.com")
# What is not limited is asked in a line all the same after a halt.
REQUESTS = Budget("requests_second", 1000, 1.0)

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class GitHubRules:
    """GitHub's, whose content and points are counted for each installation, and for the App itself.

    Its primary limit of requests an hour differs by account: what is left of it stands in every answer.
    """

    content: tuple[Budget, ...] = GITHUB_CONTENT
    points: Budget = GITHUB_POINTS
    graphql_points: Budget = GITHUB_GRAPHQL_POINTS
    clock: Callable[[], float] = time.time
    upstream: str = GITHUB

    def read_demand(self, request: httpx.Request) -> Demand:
        """Returns what the request costs. Whatever writes over REST may be called content, so it counts as such."""
        account = request.extensions.get(ACCOUNT, "")
        if request.url.path.endswith("/graphql"):
            return Demand(GITHUB, account, "graphql", (Cost(self.graphql_points, WRITE_POINTS),))
        if request.method in _READS:
            return Demand(GITHUB, account, "core", (Cost(self.points, READ_POINTS),))
        # A token is minted, not shown to anybody.
        content = () if account == APP_ACCOUNT else self.content
        return Demand(GITHUB, account, "core", (*map(Cost, content), Cost(self.points, WRITE_POINTS)))

    def read_answer(self, request: httpx.Request, response: httpx.Response) -> Answer:
        """Returns the halt that the answer asks for, and the quota in its headers."""
        halt_seconds = read_retry_after(response) or 0.0
        if response.is_client_error:
            refusal = read_refusal(request.method, request.url.path, response, self.clock())
            halt_seconds = (refusal.after_seconds or 0.0) if isinstance(refusal, Limited) else 0.0
        return Answer(response.is_server_error, halt_seconds, _read_quota(response))


def _read_quota(response: httpx.Response) -> Quota | None:
    figures = [response.headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
    if not all(figure.isdecimal() for figure in figures):
        return None
    limit, remaining, reset_at = map(int, figures)
    return Quota(limit, remaining, reset_at) if limit else None


@dataclass(frozen=True, slots=True)
class CodegenRules:
    """Codegen's. Nothing says whether they are counted by token or by organisation: one deployment has one of each."""

    creations: Budget = CODEGEN_CREATIONS
    requests: Budget = CODEGEN_REQUESTS
    upstream: str = CODEGEN

    def read_demand(self, request: httpx.Request) -> Demand:
        """Returns what the request costs; a run that is resumed counts as one that is created."""
        creations = () if request.method in _READS else (Cost(self.creations),)
        return Demand(CODEGEN, "", "", (*creations, Cost(self.requests)))

    def read_answer(self, request: httpx.Request, response: httpx.Response) -> Answer:
        """Returns the halt that the answer asks for."""
        halt_seconds = read_retry_after(response) or 0.0
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            halt_seconds = max(halt_seconds, LIMIT_SECONDS)
        return Answer(response.is_server_error, halt_seconds)


def github_rules(url: str) -> GitHubRules:
    """Returns the rules of the GitHub at ``url``."""
    return GitHubRules() if _is_limited(url) else GitHubRules((), REQUESTS, REQUESTS)


def codegen_rules(url: str) -> CodegenRules:
    """Returns the rules of the Codegen at ``url``."""
    return CodegenRules() if _is_limited(url) else CodegenRules(REQUESTS, REQUESTS)


def _is_limited(url: str) -> bool:
    return f".{httpx.URL(url).host}".endswith(LIMITED_HOSTS)
