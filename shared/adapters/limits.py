"""Limits of the whole fleet: each request to an upstream is let through, or told how long to wait.

A budget is "at most ``amount`` in any ``seconds``", kept as a log of what was let through, so that it holds
exactly: also over the edge of a minute, and however many workers ask. Nobody sleeps here: a worker that must wait
gives its task back, and when to come again is dealt out in line, so that five hundred tasks do not return at once.
Callers are not known by name: whoever asks when there is room is let through. So no room is left unused, and a
place in the line is a good time to ask, not a right.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import httpx

from shared.adapters.xray import TracedClient
from shared.domain.errors import Limited
from shared.ports import Telemetry

# So many failures in a row, of whichever worker, open an upstream's circuit; after so long one request probes it.
CIRCUIT_FAILURES = 5
CIRCUIT_SECONDS = 30.0
# A probe that is not heard of again is made by somebody else; longer than any request of ours lasts.
PROBE_SECONDS = 25.0
# While it is under way the others ask again after so long.
PROBE_WAIT_SECONDS = 5.0
# The line is dealt out a little faster than the budget renews: the queue delays by whole seconds, and rather is
# one in twenty told to wait again than a place in the budget missed.
LINE_PACE = 0.95
# Beyond a quarter of an hour the line is dealt out anew from its front, for some of those in it may never return.
LINE_SECONDS = 900.0

# The times of reset in two answers of one window differ by as much at most.
SAME_WINDOW_SECONDS = 5.0
# Why a request must wait, as it is told after the upstream's name.
REASONS = {
    "halt": "asked to wait",
    "circuit": f"is not asked: it has failed {CIRCUIT_FAILURES} times in a row",
    "probe": "is being probed after its failures",
    "quota": "says that its hourly limit is spent",
    "budget": "allows no more for now:",
}


class Budget(NamedTuple):
    """At most ``amount`` in any ``seconds``."""

    name: str
    amount: int
    seconds: float

    def share(self, workers: int) -> "Budget":
        """Returns the part of one worker of so many: of all parts together comes the same rate."""
        amount = max(1, self.amount // workers)
        return Budget(self.name, amount, self.seconds * amount * workers / self.amount)


class Cost(NamedTuple):
    """What a request takes from a budget."""

    budget: Budget
    amount: int = 1


class Quota(NamedTuple):
    """What the upstream itself says is left: of ``limit``, ``remaining`` until ``reset_at`` (seconds since 1970)."""

    limit: int
    remaining: int
    reset_at: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request asks for.

    Attributes:
        upstream: ``github``, ``codegen``; the circuit is its.
        account: whose budgets they are, an installation's or a token's; a halt is its.
        resource: which of the upstream's own quotas pays for it.
        costs: what it takes of which budgets, the one first that orders the line.
    """

    upstream: str
    account: str
    resource: str
    costs: tuple[Cost, ...]

    def share(self, workers: int) -> "Demand":
        """Returns the same of the budgets' part of one worker of so many."""
        return replace(self, costs=tuple(Cost(cost.budget.share(workers), cost.amount) for cost in self.costs))


class Answer(NamedTuple):
    """What an upstream's answer says about its limits.

    Attributes:
        is_failure: it was a fault of the upstream, or there was none.
        halt_seconds: for so long it wants to hear nothing more of the account; 0 is no halt.
        quota: as its headers tell it, or None.
    """

    is_failure: bool
    halt_seconds: float = 0.0
    quota: Quota | None = None


class Standing(NamedTuple):
    """How an account stands with an upstream.

    Attributes:
        wait_seconds: 0 when the request was let through.
        reason: why it was not.
        remaining: requests left of the upstream's own quota, those under way taken off.
        limit: of that quota; 0 when it is not known.
        failures: of the upstream in a row, while its circuit is closed.
    """

    wait_seconds: float = 0.0
    reason: str = ""
    remaining: int = 0
    limit: int = 0
    failures: int = 0

    @property
    def is_open(self) -> bool:
        """Tells whether the circuit is open, or is being probed."""
        return self.failures >= CIRCUIT_FAILURES


class Limiter(Protocol):
    """Counts for the fleet, or for one worker."""

    def take(self, demand: Demand) -> Standing:
        """Takes what the request costs and returns no wait, or takes nothing and returns one."""

    def note(self, demand: Demand, answer: Answer) -> Standing:
        """Notes what the upstream answered to a request that was let through."""


class Rules(Protocol):
    """What is an upstream's own: what its requests cost, and how its answers speak of limits."""

    @property
    def upstream(self) -> str:
        """Its name, as in metrics and errors."""

    def read_demand(self, request: httpx.Request) -> Demand:
        """Returns what the request costs."""

    def read_answer(self, request: httpx.Request, response: httpx.Response) -> Answer:
        """Returns what the answer says about limits."""


class Gate:
    """Stands where requests to one upstream leave, before and after each.

    Args:
        rules: the upstream's.
        limiter: counts them.
        telemetry: is told of refusals, of what is left of the quota, and whether the circuit is open.
    """

    def __init__(self, rules: Rules, limiter: Limiter, telemetry: Telemetry) -> None:
        self._rules = rules
        self._limiter = limiter
        self._telemetry = telemetry

    def admit(self, request: httpx.Request) -> Standing:
        """Returns when the request may be sent now. Raises Limited, with the time to wait, when it may not."""
        standing = self._limiter.take(self._rules.read_demand(request))
        if standing.wait_seconds > 0:
            self._report(standing)
            upstream = self._rules.upstream
            self._telemetry.count(f"{upstream}_limited")
            raise Limited(upstream, f"{upstream} {standing.reason}", standing.wait_seconds)
        return standing

    def learn(self, request: httpx.Request, response: httpx.Response | None, standing: Standing) -> None:
        """Notes what an answer says about limits, when it says anything new.

        Args:
            request: that was sent.
            response: None when there was none.
            standing: as it was when the request was let through.
        """
        answer = Answer(is_failure=True) if response is None else self._rules.read_answer(request, response)
        quota = answer.quota
        # Somebody else spends of the quota too, or it was not known.
        is_less = quota is not None and (standing.limit == 0 or quota.remaining < standing.remaining)
        if answer.is_failure or answer.halt_seconds > 0 or standing.failures > 0 or is_less:
            standing = self._limiter.note(self._rules.read_demand(request), answer)
        self._report(standing)

    def _report(self, standing: Standing) -> None:
        upstream = self._rules.upstream
        self._telemetry.gauge(f"{upstream}_circuit_open", float(standing.is_open))
        if standing.limit > 0:
            self._telemetry.gauge(f"{upstream}_budget_remaining_ratio", max(0, standing.remaining) / standing.limit)


class LimitedClient(TracedClient):
    """An HTTP client that asks its gate before it sends, and tells it what came back.

    Here and not in the callers, so that none can forget it.
    """

    def __init__(self, gate: Gate, **options: Any) -> None:  # noqa: ANN401 - httpx's own
        super().__init__(**options)
        self._gate = gate

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Sends the request. Raises Limited when it may not be sent now, and what httpx raises."""
        standing = self._gate.admit(request)
        try:
            response = super().send(request, **options)
        except httpx.HTTPError:
            self._gate.learn(request, None, standing)
            raise
        self._gate.learn(request, response, standing)
        return response
