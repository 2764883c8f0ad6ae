"""The sandbox's rate limits, by a clock of the test's own."""

import pytest
from starlette.responses import Response

from shared.local.sandbox.limits import Kind, LimitKeeper, Limits, Spent, Window
from tests.support.clock import ManualClock


class Sandbox:
    def __init__(self, limits: Limits) -> None:
        self.clock = ManualClock()
        self.refusals: list[tuple[Kind, int | None]] = []
        self.keeper = LimitKeeper(self._refuse, write_points=5, clock=self.clock)
        self.keeper.set_limits(limits)

    def _refuse(self, kind: Kind, retry_after: int | None) -> Response:
        self.refusals.append((kind, retry_after))
        return Response(status_code=403)

    def ask(self, method: str = "POST", times: int = 1) -> list[bool]:
        answers = []
        for _ in range(times):
            answers.append(self.keeper.begin(method) is None)
            self.keeper.end()
        return answers


def test_nothing_is_limited_unless_told() -> None:
    sandbox = Sandbox(Limits())
    assert all(sandbox.ask(times=1_000))
    assert sandbox.keeper.read_figures() is None


def test_content_and_the_retry_after_that_follows() -> None:
    sandbox = Sandbox(Limits(content=Window(amount=2, seconds=10.0), retry_after=5))
    assert sandbox.ask(times=3) == [True, True, False]
    begun_at = sandbox.clock.now
    sandbox.clock.advance(2.5)
    # Nothing is wanted then, not even a read.
    assert sandbox.ask("GET") == [False]
    assert sandbox.refusals == [("content", 5), ("points", 3)]
    sandbox.clock.advance(2.5)
    assert sandbox.ask("GET") == [True]
    assert sandbox.ask("POST") == [False]
    sandbox.clock.advance(5.0)
    assert sandbox.ask(times=2) == [True, True]
    report = sandbox.keeper.report()
    assert report["refused"] == {"content": 2}
    assert report["late_seconds"] == [2.5]
    assert report["closed"] == [[begun_at, begun_at + 5.0], [begun_at + 5.0, begun_at + 10.0]]


def test_points_count_writes_five_times() -> None:
    sandbox = Sandbox(Limits(points=Window(amount=11, seconds=60.0)))
    assert sandbox.ask(times=2) == [True, True]
    assert sandbox.ask("GET") == [True]
    assert sandbox.ask("GET") == [False]
    assert sandbox.refusals == [("points", 60)]


def test_the_primary_limit_has_windows_and_says_no_time() -> None:
    sandbox = Sandbox(Limits(primary=Window(amount=3, seconds=10.0)))
    begun_at = sandbox.clock.now
    assert sandbox.ask(times=2) == [True, True]
    reset = int(begun_at) + 10
    assert sandbox.keeper.read_figures() == {"limit": 3, "remaining": 1, "reset": reset, "used": 2}
    sandbox.clock.advance(4.0)
    sandbox.keeper.spend(Spent(primary=7))
    assert sandbox.ask("GET") == [False]
    assert sandbox.refusals == [("primary", None)]
    assert sandbox.keeper.report()["closed"] == [[begun_at + 4.0, reset]]
    sandbox.clock.advance(6.0)
    assert sandbox.ask(times=4) == [True, True, True, False]


@pytest.mark.parametrize(("at_once", "is_taken"), [(3, True), (4, False)])
def test_so_many_at_the_same_time(at_once: int, is_taken: bool) -> None:  # noqa: FBT001
    sandbox = Sandbox(Limits(concurrent=3))
    answers = [sandbox.keeper.begin("GET") for _ in range(at_once)]
    assert (answers[-1] is None) is is_taken
    assert answers[:-1] == [None] * (at_once - 1)


def test_without_a_time_to_wait_there_is_room_as_it_comes() -> None:
    sandbox = Sandbox(Limits(content=Window(amount=1, seconds=10.0), retry_after=None))
    sandbox.keeper.spend(Spent(content=1))
    assert sandbox.ask() == [False]
    assert sandbox.ask("GET") == [True]
    sandbox.clock.advance(10.0)
    assert sandbox.ask() == [True]
    assert sandbox.keeper.report()["late_seconds"] == []
