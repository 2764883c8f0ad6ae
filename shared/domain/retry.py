"""What to do about an attempt that failed: a decision, which the caller obeys."""

from dataclasses import dataclass

from shared.domain.errors import Deferred, OutcomeUnknown, Permanent, Transient, Unavailable

MAX_RETRY_SECONDS = 900.0
# An answer that never came may belong to a write that is still under way: longer than any request of ours
# lasts, so that the look-up before the next write sees what it did.
SETTLE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class RetryIn:
    """Try again after ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Defer:
    """Not yet: try again after ``seconds``, and count this attempt as none."""

    seconds: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Give up; ``reason`` is for the person who looks."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fail:
    """The step has failed, for ``reason``; there is nothing to mend."""

    reason: str


Decision = RetryIn | Defer | DeadLetter | Fail


def plan_retry(error: Exception, attempt: int, *, max_attempts: int, base_seconds: float, jitter: float) -> Decision:
    """Decides by what the error means.

    Args:
        error: what ended the attempt; one that is not of ours is a bug, and retried like a transient fault.
        attempt: its number, from 1.
        max_attempts: after so many the task is dead.
        base_seconds: the delay after the first attempt; it doubles with each.
        jitter: a random number in [0, 1), so that what failed together does not return together.
    """
    if isinstance(error, Unavailable):
        return Fail(str(error))
    if isinstance(error, Permanent):
        return DeadLetter(str(error))
    asked = error.after_seconds if isinstance(error, Transient) else None
    if isinstance(error, Deferred):
        # Who limits has dealt out different times already; any later is a place in the budget missed.
        return Defer(asked or base_seconds)
    if attempt >= max_attempts:
        return DeadLetter(f"gave up after {attempt} attempts: {describe(error)}")
    backoff = min(base_seconds * 2 ** (attempt - 1), MAX_RETRY_SECONDS) * (0.5 + jitter / 2)
    if isinstance(error, OutcomeUnknown):
        backoff = max(backoff, SETTLE_SECONDS * (1 + jitter / 10))
    if asked is not None:
        # Never earlier than asked; a little later, and not all at once.
        backoff = max(backoff, asked * (1 + jitter / 10))
    return RetryIn(backoff)


def describe(error: Exception) -> str:
    """Returns the error as a reason: its text, and its type when it is not one of ours."""
    if isinstance(error, (Transient, Permanent)):
        return str(error)
    return f"{type(error).__name__}: {error}"
