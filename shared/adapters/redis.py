"""Redis: limits of the whole fleet and installation tokens. Losing it slows the system, never corrupts it."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis
from redis.commands.core import Script

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
from shared.lua import read_script

# A Redis that does not answer is not asked again for this long: work goes on with what this worker knows.
AVOID_SECONDS = 5.0
TIMEOUT_SECONDS = 1.0


class RedisCache:
    """Texts with an age limit; misses when Redis is away."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            health_check_interval=30,
        )
        self._clock = clock
        self._avoid_until = 0.0

    def get(self, key: str) -> str | None:
        """Returns the text, or None when there is none to be had."""
        found = self._ask(lambda: self._client.get(key))
        return found if isinstance(found, str) else None

    def put(self, key: str, text: str, seconds: float) -> None:
        """Keeps the text for ``seconds``."""
        self._ask(lambda: self._client.set(key, text, px=max(1, int(seconds * 1000))))

    def remaining_seconds(self, key: str) -> float:
        """Returns how long the key will still be kept; 0 when it is not there."""
        milliseconds = self._ask(lambda: self._client.pttl(key))
        return max(0.0, milliseconds / 1000) if isinstance(milliseconds, int) else 0.0

    def drop(self, key: str) -> None:
        """Forgets the key."""
        self._ask(lambda: self._client.delete(key))

    def load(self, script: str) -> Script:
        """Returns a Lua script that ``run`` takes; Redis is given its text when it does not have it yet."""
        return self._client.register_script(script)

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | float]) -> Sequence[Any] | None:
        """Runs the script and returns its answer, or None when Redis is away."""
        answer: Sequence[Any] | None = self._ask(lambda: script(keys, arguments))
        return answer

    def read_fields(self, key: str) -> Mapping[str, str]:
        """Returns the fields of a hash, none when there is none to be had."""
        found: Mapping[str, str] = self._ask(lambda: self._client.hgetall(key)) or {}
        return found

    def list_keys(self, pattern: str) -> Sequence[str]:
        """Returns the keys that match, none when there are none to be had; for monitoring, not for work."""
        found: Sequence[str] = self._ask(lambda: list(self._client.scan_iter(match=pattern))) or ()
        return found

    def is_up(self) -> bool:
        """Tells whether Redis answers now, whatever it did a moment ago."""
        try:
            return bool(self._client.ping())
        except redis.RedisError:
            return False

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _ask(self, question: Callable[[], Any]) -> Any:  # noqa: ANN401 - Redis answers with several types
        if self._clock() < self._avoid_until:
            return None
        try:
            return question()
        except redis.RedisError:
            self._avoid_until = self._clock() + AVOID_SECONDS
            return None


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
