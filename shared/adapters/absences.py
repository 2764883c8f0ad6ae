"""Upstreams that are known to be away: what one worker was told spares the fleet the same question.

A burst of 500 tasks for an agent whose plan is used up is one request and 500 reasons, not 500 requests.
"""

import socket
import time
from collections.abc import Callable
from typing import Protocol

# Long enough to spare a burst, short enough that nobody waits for a plan that was paid meanwhile.
ABSENT_SECONDS = 300.0

# A resolver's answer that there is no such name. That it did not answer (EAI_AGAIN) may pass.
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class TextCache(Protocol):
    """Texts with an age limit, shared by the workers; it may lose them."""

    def get(self, key: str) -> str | None:
        """Returns the text, or None when there is none to be had."""

    def put(self, key: str, text: str, seconds: float) -> None:
        """Keeps the text for ``seconds``."""

    def drop(self, key: str) -> None:
        """Forgets the text."""


class Absences:
    """What is known to be away, and why. What this worker was told itself holds even while the cache is away."""

    def __init__(self, cache: TextCache, clock: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._clock = clock
        self._own: dict[str, tuple[str, float]] = {}

    def find(self, upstream: str) -> str | None:
        """Returns why ``upstream`` is not to be asked, or None when it is."""
        reason, until = self._own.get(upstream, ("", 0.0))
        return reason if self._clock() < until else self._cache.get(f"unavailable:{upstream}")

    def remember(self, upstream: str, reason: str) -> None:
        """Has every worker refrain from asking ``upstream`` for five minutes."""
        self._own[upstream] = (reason, self._clock() + ABSENT_SECONDS)
        self._cache.put(f"unavailable:{upstream}", reason, ABSENT_SECONDS)


def is_unresolvable(error: BaseException) -> bool:
    """Tells whether a failed connection is due to a name that does not exist."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return cause.errno in _NO_SUCH_NAME
        cause = cause.__cause__ or cause.__context__
    return False
