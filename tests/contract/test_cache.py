"""The cache: in memory and in Valkey."""

from collections.abc import Iterator
from typing import Protocol

import pytest
import redis

from shared.adapters.memory.cache import MemoryCache
from shared.adapters.redis import AVOID_SECONDS, RedisCache
from shared.local.free_ports import HOST, choose_port
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
