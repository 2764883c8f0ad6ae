"""Rate limits of the kinds that the real services have, with figures of the tester's choice.

https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.responses import Response

Kind = Literal["primary", "content", "points", "concurrent"]
# Says no: which limit, after how many seconds to come again (None: it does not say).
Refuse = Callable[[Kind, int | None], Response]

_READS = {"GET", "HEAD", "OPTIONS"}


class Window(BaseModel):
    """At most ``amount`` in ``seconds``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amount: int = Field(ge=1)
    seconds: float = Field(gt=0, allow_inf_nan=False)


class Limits(BaseModel):
    """The limits in force; what is None is not limited.

    Attributes:
        primary: requests, in windows that begin one after the other, as GitHub's headers tell them.
        content: writes in any such time.
        points: 1 for a read, and for a write as many as the service counts, in any such time.
        concurrent: requests at the same time.
        retry_after: seconds for which nothing more is wanted after any but the primary limit was met; None is not to
            say any, and to take what there is room for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    primary: Window | None = None
    content: Window | None = None
    points: Window | None = None
    concurrent: int | None = Field(default=None, ge=1)
    retry_after: int | None = Field(default=60, ge=1)


class Spent(BaseModel):
    """What somebody else uses up who shares the account: requests, writes, points."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    primary: int = Field(default=0, ge=0)
    content: int = Field(default=0, ge=0)
    points: int = Field(default=0, ge=0)


class LimitKeeper:
    """Counts requests, refuses those beyond the limits, and remembers who did not do as they were told.

    In memory: a server that is started again limits nothing.

    Args:
        refuse: makes the real service's answer.
        write_points: that a write costs.
        clock: seconds since 1970.
    """

    def __init__(self, refuse: Refuse, write_points: int, clock: Callable[[], float] = time.time) -> None:
        self._refuse = refuse
        self._write_points = write_points
        self._clock = clock
        self.set_limits(Limits())

    def set_limits(self, limits: Limits) -> None:
        """Puts limits in force, nothing being spent of them, and forgets what was remembered."""
        self._limits = limits
        self._writes: deque[float] = deque()
        self._points: deque[float] = deque()
        self._used = 0
        self._reset_at = 0.0
        self._under_way = 0
        self._told_at = 0.0
        self._halted_until = 0.0
        self._refused: Counter[str] = Counter()
        self._late_seconds: list[float] = []
        self._closed: list[tuple[float, float]] = []

    def spend(self, spent: Spent) -> None:
        """Takes what somebody else uses up, as if it were asked for now."""
        now = self._clock()
        self._begin_window(now)
        self._writes.extend([now] * spent.content)
        self._points.extend([now] * spent.points)
        self._use(spent.primary, now)

    def begin(self, method: str) -> Response | None:
        """Counts a request and returns None, or the refusal of one beyond the limits. ``end`` follows either."""
        now = self._clock()
        self._under_way += 1
        self._begin_window(now)
        limits, is_read = self._limits, method in _READS
        points = 1 if is_read else self._write_points
        if now < self._halted_until:
            self._late_seconds.append(now - self._told_at)
            return self._refuse("points", math.ceil(self._halted_until - now))
        if limits.primary is not None and self._used >= limits.primary.amount:
            self._refused["primary"] += 1
            return self._refuse("primary", None)
        if limits.concurrent is not None and self._under_way > limits.concurrent:
            return self._halt("concurrent", now)
        if not is_read and _is_full(limits.content, self._writes, 1, now):
            return self._halt("content", now)
        if _is_full(limits.points, self._points, points, now):
            return self._halt("points", now)
        if not is_read:
            self._writes.append(now)
        self._points.extend([now] * points)
        self._use(1, now)
        return None

    def end(self) -> None:
        """Counts that a request is no longer under way."""
        self._under_way -= 1

    def read_figures(self) -> dict[str, int] | None:
        """Returns limit, remaining, used (requests) and reset (epoch seconds); None where there is no primary limit."""
        primary = self._limits.primary
        if primary is None:
            return None
        self._begin_window(self._clock())
        remaining = max(0, primary.amount - self._used)
        return {"limit": primary.amount, "remaining": remaining, "reset": int(self._reset_at), "used": self._used}

    def report(self) -> dict[str, JsonValue]:
        """Returns how often each limit was met, when nothing was wanted, and who came then.

        ``late_seconds`` has an entry for each request that came inside a ``Retry-After``: how long after the answer
        that gave it. What was under way by then is late by as long as a request lasts.
        """
        return {
            "limits": self._limits.model_dump(mode="json"),
            "refused": dict(self._refused),
            "closed": [list(span) for span in self._closed],
            "late_seconds": list(self._late_seconds),
        }

    def _begin_window(self, now: float) -> None:
        if self._limits.primary is not None and now >= self._reset_at:
            self._used = 0
            # The header has whole seconds.
            self._reset_at = math.ceil(now + self._limits.primary.seconds)

    def _use(self, amount: int, now: float) -> None:
        primary = self._limits.primary
        was_left = primary is not None and self._used < primary.amount
        self._used += amount
        if primary is not None and was_left and self._used >= primary.amount:
            self._closed.append((now, self._reset_at))

    def _halt(self, kind: Kind, now: float) -> Response:
        self._refused[kind] += 1
        if self._limits.retry_after is not None:
            self._told_at, self._halted_until = now, now + self._limits.retry_after
            self._closed.append((now, self._halted_until))
        return self._refuse(kind, self._limits.retry_after)


def _is_full(window: Window | None, log: deque[float], cost: int, now: float) -> bool:
    if window is None:
        return False
    while log and log[0] <= now - window.seconds:
        log.popleft()
    return len(log) + cost > window.amount
