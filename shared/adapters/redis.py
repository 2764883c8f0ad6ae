"""Redis: texts with an age limit, and scripts. Losing it slows the system, never corrupts it."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis
from redis.commands.core import Script

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
