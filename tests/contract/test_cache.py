"""The cache and Halts: in memory and in Valkey, and what holds while Valkey is away."""

from collections.abc import Iterator
from typing import Protocol

import pytest
import redis

from shared.adapters.memory.cache import MemoryCache, MemoryHalts
from shared.adapters.redis import AVOID_SECONDS, RedisCache, RedisHalts
from shared.local.free_ports import HOST, choose_port
from shared.ports import Halts
from tests.support.clock import ManualClock


class Cache(Protocol):
    """Texts with an age limit."""

    def get(self, key: str) -> str | None: ...

    def put(self, key: str, text: str, seconds: float) -> None: ...

    def remaining_seconds(self, key: str) -> float: ...

    def drop(self, key: str) -> None: ...

    def is_up(self) -> bool: ...


@pytest.fixture
def valkey(addresses: dict[str, str]) -> Iterator[RedisCache]:
    """A cache in an empty Valkey."""
    with redis.Redis.from_url(addresses["valkey"]) as client:
        client.flushall()
    cache = RedisCache(addresses["valkey"])
    yield cache
    cache.close()


@pytest.fixture(params=["memory", "valkey"])
def cache(request: pytest.FixtureRequest) -> Cache:
    if request.param == "memory":
        return MemoryCache(ManualClock())
    found: Cache = request.getfixturevalue("valkey")
    return found


@pytest.fixture(params=["memory", "valkey"])
def halts(request: pytest.FixtureRequest) -> Halts:
    if request.param == "memory":
        return MemoryHalts(ManualClock())
    return RedisHalts(request.getfixturevalue("valkey"))


@pytest.fixture
def away() -> Iterator[RedisCache]:
    """A cache whose server is away."""
    cache = RedisCache(f"redis://{HOST}:{choose_port('nobody')}")
    yield cache
    cache.close()


def test_a_text_is_kept_for_its_time(cache: Cache) -> None:
    cache.put("key", "text \u00e4\n", 600.0)
    assert cache.get("key") == "text \u00e4\n"
    assert 500.0 < cache.remaining_seconds("key") <= 600.0
    cache.put("key", "other", 60.0)
    assert cache.get("key") == "other"
    assert 0.0 < cache.remaining_seconds("key") <= 60.0


def test_what_is_not_kept(cache: Cache) -> None:
    assert cache.get("key") is None
    assert cache.remaining_seconds("key") == 0.0
    cache.drop("key")


def test_a_dropped_text_is_gone(cache: Cache) -> None:
    cache.put("key", "text", 600.0)
    cache.put("other", "text", 600.0)
    cache.drop("key")
    assert (cache.get("key"), cache.remaining_seconds("key"), cache.get("other")) == (None, 0.0, "text")


def test_it_is_up(cache: Cache) -> None:
    assert cache.is_up()


def test_a_text_ends_with_its_time() -> None:
    clock = ManualClock()
    cache = MemoryCache(clock)
    cache.put("key", "text", 10.0)
    clock.advance(10.0)
    assert (cache.get("key"), cache.remaining_seconds("key")) == (None, 0.0)


def test_nobody_is_halted_at_first(halts: Halts) -> None:
    assert halts.halted_seconds("github") == 0.0


def test_a_halt_is_for_one_upstream(halts: Halts) -> None:
    halts.halt("github", 300.0)
    assert 200.0 < halts.halted_seconds("github") <= 300.0
    assert halts.halted_seconds("codegen") == 0.0


def test_the_longer_halt_counts(halts: Halts) -> None:
    halts.halt("github", 300.0)
    halts.halt("github", 5.0)
    assert halts.halted_seconds("github") > 200.0
    halts.halt("github", 900.0)
    assert 800.0 < halts.halted_seconds("github") <= 900.0


def test_a_halt_ends() -> None:
    clock = ManualClock()
    halts = MemoryHalts(clock)
    halts.halt("github", 5.0)
    clock.advance(4.0)
    assert halts.halted_seconds("github") == 1.0
    clock.advance(1.0)
    assert halts.halted_seconds("github") == 0.0


def test_the_whole_fleet_is_halted(valkey: RedisCache) -> None:
    RedisHalts(valkey).halt("github", 300.0)
    assert RedisHalts(valkey).halted_seconds("github") > 200.0


def test_what_a_worker_was_told_itself_holds_without_valkey(away: RedisCache) -> None:
    clock = ManualClock()
    halts = RedisHalts(away, clock)
    halts.halt("github", 300.0)
    assert halts.halted_seconds("github") == 300.0
    clock.advance(299.0)
    assert halts.halted_seconds("github") == 1.0
    assert RedisHalts(away).halted_seconds("github") == 0.0


def test_a_cache_that_is_away_knows_nothing(away: RedisCache) -> None:
    away.put("key", "text", 600.0)
    away.drop("key")
    assert (away.get("key"), away.remaining_seconds("key"), away.is_up()) == (None, 0.0, False)


def test_a_cache_that_was_away_is_asked_again_after_a_while(addresses: dict[str, str]) -> None:
    clock = ManualClock()
    url = addresses["valkey"]
    cache = RedisCache(url, clock)
    with redis.Redis.from_url(url) as client:
        client.flushall()
        cache.put("key", "text", 600.0)
        # A wrong type is an error of the server's, and as good as any.
        client.delete("key")
        client.rpush("key", "x")
        assert cache.get("key") is None
        client.delete("key")
        cache.put("key", "text", 600.0)
        assert not client.exists("key")
        clock.advance(AVOID_SECONDS)
        cache.put("key", "text", 600.0)
        assert cache.get("key") == "text"
    cache.close()
