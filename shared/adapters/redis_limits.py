"""Limits of the whole fleet, in Redis."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from shared.adapters.limits import (
    CIRCUIT_FAILURES,
    CIRCUIT_SECONDS,
    LINE_PACE,
    LINE_SECONDS,
    PROBE_SECONDS,
    PROBE_WAIT_SECONDS,
    REASONS,
    Answer,
    Demand,
    Quota,
    Standing,
)
from shared.adapters.own_limits import OwnLimiter
from shared.adapters.redis import RedisCache
from shared.lua import read_script


class RedisLimiter:
    """See ``shared.adapters.limits.Limiter``: counts for the fleet, in one round trip.

    While Redis is away each worker keeps to its own part of every budget. What it was told itself, to wait or what
    is left, holds whatever becomes of Redis.

    Args:
        cache: where Redis is.
        workers: how many there may be at most.
        own: counts for this worker.
        clock: seconds since 1970; Redis's own unless given, so that a worker's wrong clock harms nobody.
    """

    def __init__(
        self,
        cache: RedisCache,
        workers: int,
        own: OwnLimiter | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._cache = cache
        self._workers = workers
        self._clock = clock
        self._own = own or OwnLimiter(clock or time.time)
        self._take_script = cache.load(read_script("take"))
        self._note_script = cache.load(read_script("note"))

    def take(self, demand: Demand) -> Standing:
        """Takes what the request costs, or returns a wait."""
        halted_seconds = self._own.read_halt(demand)
        arguments: list[str | float] = [
            self._now(),
            _milliseconds(PROBE_SECONDS),
            _milliseconds(PROBE_WAIT_SECONDS),
            _milliseconds(LINE_SECONDS),
            LINE_PACE,
        ]
        for budget, amount in demand.costs:
            arguments += [budget.name, budget.amount, _milliseconds(budget.seconds), amount]
        logs = [f"{_account_key(demand)}:log:{cost.budget.name}" for cost in demand.costs]
        answer = self._cache.run(self._take_script, [*_state_keys(demand), *logs], arguments)
        if answer is None:
            return self._own.take(demand.share(self._workers))
        standing = _read_standing(answer)
        # Redis may have lost what this worker was told.
        if halted_seconds > standing.wait_seconds:
            return standing._replace(wait_seconds=halted_seconds, reason=REASONS["halt"])
        return standing

    def note(self, demand: Demand, answer: Answer) -> Standing:
        """Notes what the upstream answered."""
        own = self._own.note(demand, answer)
        quota = answer.quota or Quota(0, 0, 0.0)
        arguments = [
            self._now(),
            int(answer.is_failure),
            _milliseconds(answer.halt_seconds),
            CIRCUIT_FAILURES,
            _milliseconds(CIRCUIT_SECONDS),
            quota.limit,
            quota.remaining,
            _milliseconds(quota.reset_at),
        ]
        shared = self._cache.run(self._note_script, _state_keys(demand), arguments)
        return own if shared is None else _read_standing(shared)

    def _now(self) -> str | float:
        return "" if self._clock is None else _milliseconds(self._clock())


def read_circuit(cache: RedisCache, upstream: str, now: float) -> tuple[float, bool]:
    """Returns for how many seconds the longest halt of an account lasts, and whether the circuit is open.

    Args:
        cache: where Redis is.
        upstream: ``github``, ``codegen``.
        now: seconds since 1970.
    """
    fields = cache.read_fields(_upstream_key(upstream))
    return max(0.0, float(fields.get("halted_until", 0)) / 1000 - now), "open_until" in fields


def read_least_quota(cache: RedisCache, upstream: str, now: float) -> float | None:
    """Returns what is left of the quota of the account that has least, from 0 to 1; None when no quota is known.

    Args:
        cache: where Redis is.
        upstream: ``github``.
        now: seconds since 1970.
    """
    # The braces stand for themselves in a pattern.
    quotas = [cache.read_fields(key) for key in cache.list_keys(f"{_upstream_key(upstream)}:*:quota:*")]
    shares = [
        max(0.0, float(quota["remaining"])) / float(quota["limit"])
        for quota in quotas
        if float(quota.get("reset_at", 0)) / 1000 > now
    ]
    return min(shares, default=None)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _upstream_key(upstream: str) -> str:
    # In braces is what decides the slot of a cluster: all keys of a script must lie together.
    return f"limits:{{{upstream}}}"


def _account_key(demand: Demand) -> str:
    return f"{_upstream_key(demand.upstream)}:{demand.account}"


def _state_keys(demand: Demand) -> list[str]:
    account = _account_key(demand)
    return [_upstream_key(demand.upstream), account, f"{account}:quota:{demand.resource}"]


def _read_standing(answer: Sequence[Any]) -> Standing:
    wait, why, remaining, limit, failures = answer
    reason = REASONS.get(why, f"{REASONS['budget']} {why}") if why else ""
    return Standing(wait / 1000, reason, remaining, limit, failures)
