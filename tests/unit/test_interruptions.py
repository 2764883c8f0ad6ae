"""The process dies after any call of any port: what was to be done is done, and done once."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import OutcomeUnknown
from shared.domain.statuses import Status
from tests.support.factories import build_envelope, build_payload, build_workflow
from tests.support.orchestra import Interrupter, Orchestra

WORKFLOW = build_workflow()
ENVELOPE = build_envelope(build_payload(), delivery_id="0b4f6d5e-0000-4000-8000-00000000000a")


def play(*kill_after: int) -> Orchestra:
    orchestra = Orchestra(WORKFLOW, interrupter=Interrupter(*kill_after))
    orchestra.deliveries.send(ENVELOPE)
    orchestra.run_to_end()
    return orchestra


def check(orchestra: Orchestra) -> None:
    assert Counter(effect.kind for effect in orchestra.world.writes) == {"codegen.run": 1, "github.comment": 1}
    assert orchestra.statuses == [Status.SUCCEEDED]
    [row] = orchestra.database.deliveries.values()
    assert row.status is Status.SUCCEEDED
    for task in row.runs[0].tasks:
        assert task.lease_until is None
        assert all(attempt.outcome is not None for attempt in task.attempts)


CALLS = play().interrupter.calls


def test_the_course_without_interruption_touches_every_port() -> None:
    wanted = {"deliveries", "catalog", "records", "queue", "comment", "agent", "telemetry"}
    assert {call.partition(".")[0] for call in CALLS} == wanted
    check(play())


@pytest.mark.parametrize("step", range(1, len(CALLS) + 1), ids=lambda step: f"{step}-{CALLS[step - 1]}")
def test_killed_after_one_call(step: int) -> None:
    check(play(step))


@given(st.sets(st.integers(1, 2 * len(CALLS)), max_size=7))
@settings(max_examples=150)
def test_killed_several_times(steps: set[int]) -> None:
    # More than eight lost attempts of one task would be its end.
    check(play(*steps))


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 2)),
        st.tuples(st.just("send late"), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.integers(0, 400)),
        st.tuples(st.just("fail"), st.integers(0, 1)),
        st.tuples(st.sampled_from(["route", "execute", "execute again", "reconcile"]), st.just(0)),
    ),
    max_size=25,
)


@given(EVENTS, st.sets(st.integers(1, 150), max_size=4))
@settings(max_examples=150)
def test_each_delivery_is_acted_on_once_whatever_happens(events: list[tuple[str, int]], kill_after: set[int]) -> None:
    """Duplicates, cut connections, deaths, two workers at one task, and time that passes at the wrong moment."""
    orchestra = Orchestra(WORKFLOW, interrupter=Interrupter(*kill_after))
    sent = set()
    for event, number in events:
        match event:
            case "send" | "send late":
                sent.add(number)
                # GitHub redelivers hours later, when the queue no longer knows the id.
                orchestra.clock.advance(301.0 if event == "send late" else 0.0)
                delivery_id = f"0b4f6d5e-0000-4000-8000-{number:012}"
                orchestra.deliveries.send(build_envelope(build_payload(), delivery_id=delivery_id))
            case "wait":
                orchestra.clock.advance(number)
            case "fail":
                orchestra.world.fail_next(OutcomeUnknown("the connection was cut"), is_applied=bool(number))
            case "route":
                orchestra.route_batch()
            case "execute":
                orchestra.execute_batch()
            case "execute again":
                orchestra.task_queue.send([str(task_id) for task_id in orchestra.database.tasks])
            case "reconcile":
                orchestra.reconcile()
    orchestra.run_to_end()
    written = Counter(effect.kind for effect in orchestra.world.writes)
    assert written == Counter({"codegen.run": len(sent), "github.comment": len(sent)})
    assert orchestra.statuses == [Status.SUCCEEDED] * len(sent)
