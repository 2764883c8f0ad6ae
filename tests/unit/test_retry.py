"""The decision table of a failed attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import Limited, OutcomeUnknown, Permanent, Transient, Unavailable
from shared.domain.retry import (
    MAX_RETRY_SECONDS,
    SETTLE_SECONDS,
    DeadLetter,
    Decision,
    Defer,
    Fail,
    RetryIn,
    plan_retry,
)


def decide(error: Exception, attempt: int = 1, jitter: float = 0.0) -> Decision:
    return plan_retry(error, attempt, max_attempts=8, base_seconds=5.0, jitter=jitter)


@pytest.mark.parametrize(
    ("error", "attempt", "decision"),
    [
        (Transient("slow"), 1, RetryIn(2.5)),
        (Transient("slow"), 2, RetryIn(5.0)),
        (Transient("slow"), 7, RetryIn(160.0)),
        (Transient("slow"), 8, DeadLetter("gave up after 8 attempts: slow")),
        (Transient("slow"), 9, DeadLetter("gave up after 9 attempts: slow")),
        (Transient("slow", 60.0), 1, RetryIn(60.0)),
        (Transient("slow", 1.0), 3, RetryIn(10.0)),
        (OutcomeUnknown("cut"), 1, RetryIn(SETTLE_SECONDS)),
        (OutcomeUnknown("cut"), 5, RetryIn(40.0)),
        (OutcomeUnknown("cut", 90.0), 1, RetryIn(90.0)),
        (OutcomeUnknown("cut"), 8, DeadLetter("gave up after 8 attempts: cut")),
        (Limited("github", "budget", 30.0), 1, Defer(30.0)),
        (Limited("github", "budget", 30.0), 8, Defer(30.0)),
        (Limited("github", "budget", 3600.0), 99, Defer(3600.0)),
        (Limited("github", "budget", 0.0), 1, Defer(5.0)),
        (Permanent("gone"), 1, DeadLetter("gone")),
        (Permanent("gone"), 8, DeadLetter("gone")),
        (Unavailable("switched off"), 1, Fail("switched off")),
        (KeyError("name"), 1, RetryIn(2.5)),
        (KeyError("name"), 8, DeadLetter("gave up after 8 attempts: KeyError: 'name'")),
    ],
)
def test_decision(error: Exception, attempt: int, decision: Decision) -> None:
    assert decide(error, attempt) == decision


def test_one_attempt_may_be_all() -> None:
    decision = plan_retry(Transient("slow"), 1, max_attempts=1, base_seconds=5.0, jitter=0.0)
    assert decision == DeadLetter("gave up after 1 attempts: slow")


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 19), st.none() | st.floats(0, 10_000), st.floats(0.1, 1_000))
def test_delays_are_bounded_and_never_earlier_than_asked(
    jitter: float, attempt: int, after_seconds: float | None, base_seconds: float
) -> None:
    error = Transient("slow", after_seconds)
    decision = plan_retry(error, attempt, max_attempts=20, base_seconds=base_seconds, jitter=jitter)
    assert isinstance(decision, RetryIn)
    asked = after_seconds or 0.0
    assert asked <= decision.seconds <= max(MAX_RETRY_SECONDS, asked * 1.1)
    assert decision.seconds > 0
