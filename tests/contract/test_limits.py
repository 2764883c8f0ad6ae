"""Limiter: in memory and in Valkey, the same of both; and what is left to a worker that has lost Valkey."""

from collections.abc import Callable, Iterator

import pytest
import redis

from shared.adapters.limits import (
    CIRCUIT_FAILURES,
    CIRCUIT_SECONDS,
    LINE_PACE,
    LINE_SECONDS,
    PROBE_SECONDS,
    PROBE_WAIT_SECONDS,
    Answer,
    Budget,
    Cost,
    Demand,
    Limiter,
    Quota,
    Standing,
)
from shared.adapters.own_limits import OwnLimiter
from shared.adapters.redis import RedisCache
from shared.adapters.redis_limits import RedisLimiter, read_circuit, read_least_quota
from shared.local.free_ports import HOST, choose_port
from tests.support.clock import ManualClock

MINUTE = Budget("minute", 4, 60.0)
PACE = Budget("pace", 2, 5.0)
READ = Demand("github", "acme", "core", (Cost(MINUTE),))
WRITE = Demand("github", "acme", "core", (Cost(MINUTE), Cost(PACE)))
HEAVY = Demand("github", "acme", "core", (Cost(MINUTE, 3),))
OTHER_ACCOUNT = Demand("github", "globex", "core", (Cost(MINUTE),))
OTHER_RESOURCE = Demand("github", "acme", "graphql", (Cost(Budget("graphql", 4, 60.0)),))
OTHER_UPSTREAM = Demand("codegen", "acme", "core", (Cost(MINUTE),))
FAILURE = Answer(is_failure=True)
SUCCESS = Answer(is_failure=False)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def valkey(addresses: dict[str, str]) -> Iterator[RedisCache]:
    with redis.Redis.from_url(addresses["valkey"]) as client:
        client.flushall()
    cache = RedisCache(addresses["valkey"])
    yield cache
    cache.close()


@pytest.fixture
def away() -> Iterator[RedisCache]:
    cache = RedisCache(f"redis://{HOST}:{choose_port('nobody')}")
    yield cache
    cache.close()


@pytest.fixture(params=["memory", "valkey"])
def limiter(request: pytest.FixtureRequest, clock: ManualClock) -> Limiter:
    if request.param == "memory":
        return OwnLimiter(clock)
    return RedisLimiter(request.getfixturevalue("valkey"), 1, clock=clock)


def take_all(limiter: Limiter, demand: Demand, times: int) -> list[float]:
    return [limiter.take(demand).wait_seconds for _ in range(times)]


def test_a_budget_is_let_through_and_no_more(limiter: Limiter, clock: ManualClock) -> None:
    for _ in range(4):
        assert limiter.take(READ) == Standing()
        clock.advance(10.0)
    standing = limiter.take(READ)
    assert (standing.wait_seconds, standing.reason) == (20.0, "allows no more for now: minute")
    clock.advance(19.0)
    assert limiter.take(READ).wait_seconds > 0.0
    clock.advance(1.0)
    assert take_all(limiter, READ, 2)[0] == 0.0


def test_it_holds_in_any_such_time_not_only_by_the_clock(limiter: Limiter, clock: ManualClock) -> None:
    begun_at, passed_at = clock.now, []
    for _ in range(2_400):
        if limiter.take(READ).wait_seconds == 0.0:
            passed_at.append(clock.now - begun_at)
        clock.advance(0.125)
    assert len(passed_at) == 20
    assert all(later - earlier >= 60.0 for earlier, later in zip(passed_at, passed_at[4:], strict=False))


def test_every_budget_must_have_room_and_what_waits_takes_from_none(limiter: Limiter, clock: ManualClock) -> None:
    assert take_all(limiter, WRITE, 2) == [0.0, 0.0]
    standing = limiter.take(WRITE)
    assert (standing.wait_seconds, standing.reason) == (5.0, "allows no more for now: pace")
    # Neither the write that waits nor its pace keeps a read from the rest of the minute.
    assert take_all(limiter, READ, 2) == [0.0, 0.0]
    clock.advance(5.0)
    assert limiter.take(WRITE).reason == "allows no more for now: minute"


def test_a_request_may_cost_more_than_one(limiter: Limiter, clock: ManualClock) -> None:
    assert limiter.take(HEAVY).wait_seconds == 0.0
    assert limiter.take(HEAVY).wait_seconds > 0.0
    assert take_all(limiter, READ, 2)[0] == 0.0
    clock.advance(60.0)
    assert limiter.take(HEAVY).wait_seconds == 0.0


def test_who_waits_is_dealt_times_of_their_own(limiter: Limiter, clock: ManualClock) -> None:
    take_all(limiter, READ, 4)
    waits = take_all(limiter, READ, 20)
    spacing = 15.0 * LINE_PACE
    assert waits == pytest.approx([60.0 + spacing * place for place in range(20)])
    # Whoever asks when there is room has it: a place in the line is a time to ask, not a right.
    clock.advance(60.0)
    assert take_all(limiter, READ, 4) == [0.0] * 4


def test_a_line_is_dealt_out_anew_from_its_front(limiter: Limiter) -> None:
    take_all(limiter, READ, 4)
    places = int(LINE_SECONDS / (15.0 * LINE_PACE))
    waits = take_all(limiter, READ, 2 * (places + 1))
    assert waits[: places + 1] == waits[places + 1 :]
    assert max(waits) <= 60.0 + LINE_SECONDS


def test_accounts_resources_and_upstreams_have_budgets_of_their_own(limiter: Limiter) -> None:
    take_all(limiter, READ, 5)
    for demand in (OTHER_ACCOUNT, OTHER_RESOURCE, OTHER_UPSTREAM):
        assert limiter.take(demand).wait_seconds == 0.0


def test_a_halt_is_the_account_s_and_the_longer_counts(limiter: Limiter, clock: ManualClock) -> None:
    limiter.note(READ, Answer(is_failure=False, halt_seconds=300.0))
    limiter.note(READ, Answer(is_failure=False, halt_seconds=5.0))
    limiter.note(READ, SUCCESS)
    standing = limiter.take(OTHER_RESOURCE)
    assert (standing.wait_seconds, standing.reason) == (300.0, "asked to wait")
    assert limiter.take(OTHER_ACCOUNT).wait_seconds == 0.0
    limiter.note(READ, Answer(is_failure=False, halt_seconds=900.0))
    clock.advance(899.0)
    assert limiter.take(READ).wait_seconds == 1.0
    clock.advance(1.0)
    assert limiter.take(READ).wait_seconds == 0.0


def test_who_is_halted_does_not_return_at_once(limiter: Limiter) -> None:
    limiter.note(WRITE, Answer(is_failure=False, halt_seconds=30.0))
    waits = take_all(limiter, WRITE, 5)
    assert waits == pytest.approx([30.0 + 15.0 * LINE_PACE * place for place in range(5)])


def test_a_circuit_opens_after_failures_in_a_row(limiter: Limiter) -> None:
    for _ in range(CIRCUIT_FAILURES - 1):
        assert not limiter.note(READ, FAILURE).is_open
    limiter.note(OTHER_ACCOUNT, SUCCESS)
    for _ in range(CIRCUIT_FAILURES - 1):
        assert not limiter.note(READ, FAILURE).is_open
    assert limiter.note(OTHER_ACCOUNT, FAILURE).is_open
    standing = limiter.take(READ)
    assert (standing.wait_seconds, standing.is_open) == (CIRCUIT_SECONDS, True)
    assert standing.reason == "is not asked: it has failed 5 times in a row"
    assert limiter.take(OTHER_UPSTREAM) == Standing()


def open_circuit(limiter: Limiter, clock: ManualClock) -> None:
    for _ in range(CIRCUIT_FAILURES):
        limiter.note(READ, FAILURE)
    clock.advance(CIRCUIT_SECONDS)


def test_one_request_probes_an_open_circuit_and_closes_it(limiter: Limiter, clock: ManualClock) -> None:
    open_circuit(limiter, clock)
    assert limiter.take(READ) == Standing(failures=CIRCUIT_FAILURES)
    standing = limiter.take(OTHER_ACCOUNT)
    assert (standing.wait_seconds, standing.is_open) == (PROBE_WAIT_SECONDS, True)
    assert standing.reason == "is being probed after its failures"
    assert not limiter.note(READ, SUCCESS).is_open
    assert limiter.take(OTHER_ACCOUNT) == Standing()
    assert not limiter.note(READ, FAILURE).is_open


def test_a_probe_that_fails_opens_the_circuit_again(limiter: Limiter, clock: ManualClock) -> None:
    open_circuit(limiter, clock)
    assert limiter.take(READ).wait_seconds == 0.0
    assert limiter.note(READ, FAILURE).is_open
    assert limiter.take(READ).wait_seconds == CIRCUIT_SECONDS


def test_a_probe_that_is_not_heard_of_again_is_made_by_another(limiter: Limiter, clock: ManualClock) -> None:
    open_circuit(limiter, clock)
    assert limiter.take(READ).wait_seconds == 0.0
    clock.advance(PROBE_SECONDS)
    assert limiter.take(READ) == Standing(failures=CIRCUIT_FAILURES)


def test_what_was_under_way_when_it_opened_does_not_close_it(limiter: Limiter, clock: ManualClock) -> None:
    for _ in range(CIRCUIT_FAILURES):
        limiter.note(READ, FAILURE)
    clock.advance(10.0)
    assert limiter.note(READ, SUCCESS).is_open
    assert limiter.note(READ, FAILURE).is_open
    assert limiter.take(READ).wait_seconds == CIRCUIT_SECONDS - 10.0


def test_a_quota_is_counted_down_and_ends_with_its_window(limiter: Limiter, clock: ManualClock) -> None:
    reset_at = clock.now + 600.0
    wide = Demand("github", "acme", "core", (Cost(Budget("wide", 100, 60.0)),))
    assert limiter.take(wide).limit == 0
    assert limiter.note(wide, Answer(is_failure=False, quota=Quota(10, 2, reset_at))) == Standing(remaining=2, limit=10)
    assert limiter.take(wide) == Standing(remaining=1, limit=10)
    assert limiter.take(wide) == Standing(remaining=0, limit=10)
    standing = limiter.take(wide)
    assert (standing.wait_seconds, standing.remaining) == (600.0, 0)
    assert standing.reason == "says that its hourly limit is spent"
    assert limiter.take(OTHER_RESOURCE).wait_seconds == 0.0
    clock.advance(600.0)
    assert limiter.take(wide) == Standing()


def test_answers_that_overtake_each_other_give_nothing_back(limiter: Limiter, clock: ManualClock) -> None:
    reset_at = clock.now + 600.0
    for remaining, told_at, left in (
        (5, reset_at, 5),
        (7, reset_at, 5),
        # GitHub's resets are off by a second now and then.
        (7, reset_at + 1, 5),
        (4, reset_at, 4),
        # A window that is over, and the next one.
        (9, reset_at - 3600.0, 4),
        (10, reset_at + 3600.0, 10),
        (0, reset_at, 10),
    ):
        answer = Answer(is_failure=False, quota=Quota(10, remaining, told_at))
        assert limiter.note(READ, answer).remaining == left, (remaining, told_at)


@pytest.fixture
def fleet(addresses: dict[str, str], valkey: RedisCache, clock: ManualClock) -> Iterator[Callable[[], RedisLimiter]]:
    """Makes workers with connections of their own."""
    caches = [valkey]

    def build() -> RedisLimiter:
        caches.append(RedisCache(addresses["valkey"]))
        return RedisLimiter(caches[-1], 1, clock=clock)

    yield build
    for cache in caches[1:]:
        cache.close()


def test_the_fleet_counts_together(fleet: Callable[[], RedisLimiter]) -> None:
    workers = [fleet() for _ in range(3)]
    assert [worker.take(READ).wait_seconds for worker in workers * 2].count(0.0) == 4
    workers[0].note(OTHER_UPSTREAM, Answer(is_failure=False, halt_seconds=300.0))
    assert workers[1].take(OTHER_UPSTREAM).wait_seconds == 300.0
    for worker in workers * 2:
        worker.note(OTHER_ACCOUNT, FAILURE)
    assert workers[2].take(OTHER_ACCOUNT).is_open


def test_a_worker_s_wrong_clock_harms_nobody(valkey: RedisCache) -> None:
    fast = RedisLimiter(valkey, 1, OwnLimiter(ManualClock(4e9)))
    slow = RedisLimiter(valkey, 1, OwnLimiter(ManualClock(1e9)))
    assert take_all(fast, READ, 4) == [0.0] * 4
    assert 50.0 < slow.take(READ).wait_seconds <= 60.0


def test_what_redis_has_lost_a_worker_still_heeds(valkey: RedisCache, addresses: dict[str, str]) -> None:
    clock = ManualClock()
    limiter = RedisLimiter(valkey, 1, clock=clock)
    limiter.note(READ, Answer(is_failure=False, halt_seconds=300.0))
    with redis.Redis.from_url(addresses["valkey"]) as client:
        client.flushall()
        client.script_flush()
    standing = limiter.take(READ)
    assert (standing.wait_seconds, standing.reason) == (300.0, "asked to wait")
    clock.advance(300.0)
    assert limiter.take(READ) == Standing()


def test_without_redis_a_worker_keeps_to_its_part(away: RedisCache, clock: ManualClock) -> None:
    limiter = RedisLimiter(away, 8, OwnLimiter(clock))
    demand = Demand("github", "acme", "core", (Cost(Budget("minute", 80, 60.0)), Cost(Budget("pace", 2, 5.0))))
    passed = 0
    for _ in range(600):
        passed += limiter.take(demand).wait_seconds == 0.0
        clock.advance(1.0)
    # The pace's eighth is one in 20 seconds: all workers together keep the budgets.
    assert passed == 30


def test_without_redis_a_worker_heeds_what_it_was_told(away: RedisCache, clock: ManualClock) -> None:
    limiter = RedisLimiter(away, 8, OwnLimiter(clock))
    limiter.note(READ, Answer(is_failure=False, halt_seconds=300.0, quota=Quota(5000, 100, clock.now + 600.0)))
    standing = limiter.take(READ)
    assert (standing.wait_seconds, standing.remaining) == (300.0, 100)
    clock.advance(300.0)
    for _ in range(CIRCUIT_FAILURES):
        limiter.note(OTHER_ACCOUNT, FAILURE)
    assert limiter.take(READ).is_open


def test_the_monitoring_sees_halts_and_circuits(valkey: RedisCache, clock: ManualClock) -> None:
    limiter = RedisLimiter(valkey, 1, clock=clock)
    assert read_circuit(valkey, "github", clock.now) == (0.0, False)
    limiter.note(READ, Answer(is_failure=False, halt_seconds=300.0))
    limiter.note(OTHER_ACCOUNT, Answer(is_failure=False, halt_seconds=60.0))
    assert read_circuit(valkey, "github", clock.now) == (300.0, False)
    assert read_circuit(valkey, "codegen", clock.now) == (0.0, False)
    open_circuit(limiter, clock)
    assert read_circuit(valkey, "github", clock.now) == (300.0 - CIRCUIT_SECONDS, True)
    limiter.take(OTHER_ACCOUNT)
    limiter.note(OTHER_ACCOUNT, SUCCESS)
    assert read_circuit(valkey, "github", clock.now) == (300.0 - CIRCUIT_SECONDS, False)


def test_the_monitoring_sees_whose_budget_is_least(valkey: RedisCache, clock: ManualClock) -> None:
    limiter = RedisLimiter(valkey, 1, clock=clock)
    assert read_least_quota(valkey, "github", clock.now) is None
    limiter.note(OTHER_UPSTREAM, Answer(is_failure=False, quota=Quota(10, 1, clock.now + 600.0)))
    limiter.note(READ, Answer(is_failure=False, quota=Quota(10, 8, clock.now + 600.0)))
    limiter.note(OTHER_ACCOUNT, Answer(is_failure=False, quota=Quota(100, 25, clock.now + 60.0)))
    assert read_least_quota(valkey, "github", clock.now) == 0.25
    clock.advance(60.0)
    assert read_least_quota(valkey, "github", clock.now) == 0.8
