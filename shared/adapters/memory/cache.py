"""Texts with an age limit, in memory."""

from collections.abc import Callable


class MemoryCache:
    """Texts with an age limit; see ``shared.adapters.redis.RedisCache``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._texts: dict[str, tuple[str, float]] = {}

    def get(self, key: str) -> str | None:
        """Returns the text, or None when there is none to be had."""
        return self._texts[key][0] if self.remaining_seconds(key) > 0 else None

    def put(self, key: str, text: str, seconds: float) -> None:
        """Keeps the text for ``seconds``."""
        self._texts[key] = (text, self._clock() + seconds)

    def remaining_seconds(self, key: str) -> float:
        """Returns how long the key will still be kept; 0 when it is not there."""
        _, until = self._texts.get(key, ("", 0.0))
        return max(0.0, until - self._clock())

    def drop(self, key: str) -> None:
        """Forgets the key."""
        self._texts.pop(key, None)

    def is_up(self) -> bool:
        """It always is."""
        return True
