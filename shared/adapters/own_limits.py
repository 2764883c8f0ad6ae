"""Limits counted in memory: by a worker that has lost sight of the others, and in tests.

Not beside the other parts in memory, which are not deployed.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.adapters.limits import (
    CIRCUIT_FAILURES,
    CIRCUIT_SECONDS,
    LINE_PACE,
    LINE_SECONDS,
    PROBE_SECONDS,
    PROBE_WAIT_SECONDS,
    REASONS,
    SAME_WINDOW_SECONDS,
    Answer,
    Cost,
    Demand,
    Quota,
    Standing,
)


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    open_until: float = 0.0
    probe_until: float = 0.0


@dataclass(slots=True)
class _Account:
    halted_until: float = 0.0
    quotas: dict[str, Quota] = field(default_factory=dict)
    logs: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    lines: dict[str, float] = field(default_factory=lambda: defaultdict(float))


class _Hold:
    """The latest of the times before which a request may not be sent, and its reason."""

    def __init__(self, now: float) -> None:
        self.until = now
        self.reason = ""

    def extend(self, until: float, reason: str) -> None:
        if until > self.until:
            self.until, self.reason = until, reason


class OwnLimiter:
    """See ``shared.adapters.limits.Limiter``; the same steps as ``shared/lua``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._circuits: dict[str, _Circuit] = defaultdict(_Circuit)
        self._accounts: dict[tuple[str, str], _Account] = defaultdict(_Account)
        # The local workers ask from several threads.
        self._lock = threading.Lock()

    def read_halt(self, demand: Demand) -> float:
        """Returns for how many seconds the account is halted."""
        with self._lock:
            account = self._accounts.get((demand.upstream, demand.account), _Account())
            return max(0.0, account.halted_until - self._clock())

    def take(self, demand: Demand) -> Standing:
        """Takes what the request costs, or returns a wait."""
        with self._lock:
            return self._take(demand, self._clock())

    def note(self, demand: Demand, answer: Answer) -> Standing:
        """Notes what the upstream answered."""
        with self._lock:
            return self._note(demand, answer, self._clock())

    def _take(self, demand: Demand, now: float) -> Standing:
        circuit = self._circuits[demand.upstream]
        account = self._accounts[demand.upstream, demand.account]
        hold = _Hold(now)
        if circuit.open_until:
            hold.extend(circuit.open_until, REASONS["circuit"])
            if circuit.probe_until > now:
                hold.extend(now + PROBE_WAIT_SECONDS, REASONS["probe"])
        hold.extend(account.halted_until, REASONS["halt"])
        quota = _current_quota(account, demand, now)
        if quota is not None and quota.remaining < 1:
            hold.extend(quota.reset_at, REASONS["quota"])
        spacing = 0.0
        for number, cost in enumerate(demand.costs):
            ready_at = _find_room(account, cost)
            if ready_at > now:
                hold.extend(ready_at, f"{REASONS['budget']} {cost.budget.name}")
            if ready_at > now or number == 0:
                spacing = max(spacing, cost.budget.seconds * cost.amount / cost.budget.amount)
        if hold.until > now:
            line = demand.costs[0].budget.name
            slot = max(hold.until, account.lines[line] + spacing * LINE_PACE)
            account.lines[line] = hold.until if slot > hold.until + LINE_SECONDS else slot
            return _standing(circuit, quota, account.lines[line] - now, hold.reason)

        for cost in demand.costs:
            log = account.logs[cost.budget.name]
            log.extend([now] * cost.amount)
            while len(log) > cost.budget.amount:
                log.popleft()
        if quota is not None:
            quota = account.quotas[demand.resource] = quota._replace(remaining=quota.remaining - 1)
        if circuit.open_until:
            circuit.probe_until = now + PROBE_SECONDS
        return _standing(circuit, quota)

    def _note(self, demand: Demand, answer: Answer, now: float) -> Standing:
        circuit = self._circuits[demand.upstream]
        account = self._accounts[demand.upstream, demand.account]
        # What was under way when the circuit opened says nothing about how the upstream is since.
        if circuit.open_until <= now:
            if not answer.is_failure:
                circuit.failures, circuit.open_until, circuit.probe_until = 0, 0.0, 0.0
            else:
                circuit.failures += 1
                if circuit.failures >= CIRCUIT_FAILURES:
                    circuit.open_until, circuit.probe_until = now + CIRCUIT_SECONDS, 0.0
        if answer.halt_seconds > 0:
            account.halted_until = max(account.halted_until, now + answer.halt_seconds)
        if answer.quota is not None:
            _note_quota(account, demand, answer.quota, now)
        return _standing(circuit, _current_quota(account, demand, now))


def _find_room(account: _Account, cost: Cost) -> float:
    """Returns when the budget has room for the cost; a time in the past when it has it now."""
    log = account.logs[cost.budget.name]
    index = len(log) - (cost.budget.amount - cost.amount + 1)
    return log[index] + cost.budget.seconds if index >= 0 else 0.0


def _current_quota(account: _Account, demand: Demand, now: float) -> Quota | None:
    quota = account.quotas.get(demand.resource)
    return quota if quota is not None and quota.reset_at > now else None


def _note_quota(account: _Account, demand: Demand, told: Quota, now: float) -> None:
    known = account.quotas.get(demand.resource)
    if known is not None and abs(told.reset_at - known.reset_at) < SAME_WINDOW_SECONDS:
        # Answers overtake each other, and requests under way are not in them yet.
        told = told._replace(remaining=min(told.remaining, known.remaining))
    if told.reset_at > now and (known is None or told.reset_at > known.reset_at - SAME_WINDOW_SECONDS):
        account.quotas[demand.resource] = told


def _standing(circuit: _Circuit, quota: Quota | None, wait_seconds: float = 0.0, reason: str = "") -> Standing:
    limit, remaining, _ = quota or Quota(0, 0, 0.0)
    return Standing(wait_seconds, reason, remaining, limit, circuit.failures)
