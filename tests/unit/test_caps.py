"""What stands against starting an agent, and what of it is said first."""

import itertools

import pytest

from shared.domain.caps import AgentCounts, AgentFacts, Refusal, refuse_agent
from shared.domain.workflow import Caps

NOTHING = Caps()
OFF = "the bill (api)"
DECLINED = Refusal("declined", f"agents are switched off: {OFF}")
SUPERSEDED = Refusal("superseded", "the subject has moved on: delivery 5dd2 told of a newer head")
BUSY = Refusal("busy", "the agent of run 0b4f still works")


def test_nothing_stands_against_it() -> None:
    assert refuse_agent(AgentFacts(), NOTHING, NOTHING) is None
    assert (
        refuse_agent(AgentFacts(counts=AgentCounts(9, 9, 9), own_counts=AgentCounts(9, 9, 9)), NOTHING, NOTHING) is None
    )


@pytest.mark.parametrize(("count", "is_refused"), [(0, False), (2, False), (3, True), (4, True)])
@pytest.mark.parametrize("scope", AgentCounts._fields)
@pytest.mark.parametrize("is_own", [True, False])
def test_a_cap_holds_for_its_scope(scope: str, count: int, *, is_own: bool, is_refused: bool) -> None:
    caps, counts = Caps(**{scope: 3}), AgentCounts(**{scope: count})
    name = "guard.max_agent_runs" if is_own else "the deployment's max_agent_runs"
    reason = f"{name}.{scope} is 3, and {count} were started within 24 hours"
    refusal = Refusal("declined", reason) if is_refused else None
    if is_own:
        assert refuse_agent(AgentFacts(own_counts=counts), caps, NOTHING) == refusal
        assert refuse_agent(AgentFacts(counts=counts), caps, NOTHING) is None
    else:
        assert refuse_agent(AgentFacts(counts=counts), NOTHING, caps) == refusal
        assert refuse_agent(AgentFacts(own_counts=counts), NOTHING, caps) is None


@pytest.mark.parametrize("scope", AgentCounts._fields)
def test_a_cap_of_nothing_allows_none(scope: str) -> None:
    refusal = refuse_agent(AgentFacts(), Caps(**{scope: 0}), NOTHING)
    assert refusal == Refusal("declined", f"guard.max_agent_runs.{scope} is 0, and 0 were started within 24 hours")


def test_the_narrowest_cap_of_the_workflow_is_told_first() -> None:
    counts = AgentCounts(5, 5, 5)
    facts = AgentFacts(counts=counts, own_counts=counts)
    caps = Caps(per_subject=5, per_repository=5, per_day=5)
    told = []
    for own, fleet in ((caps, caps), (Caps(per_day=5), caps), (NOTHING, caps), (NOTHING, Caps(per_day=5))):
        refusal = refuse_agent(facts, own, fleet)
        assert refusal is not None
        told.append(refusal.reason.partition(" is ")[0])
    assert told == [
        "guard.max_agent_runs.per_subject",
        "guard.max_agent_runs.per_day",
        "the deployment's max_agent_runs.per_subject",
        "the deployment's max_agent_runs.per_day",
    ]


@pytest.mark.parametrize(
    ("is_off", "has_moved_on", "is_spent", "is_busy"), [*itertools.product([False, True], repeat=4)]
)
def test_what_is_for_good_is_told_before_what_passes(
    *, is_off: bool, has_moved_on: bool, is_spent: bool, is_busy: bool
) -> None:
    facts = AgentFacts(
        off=OFF if is_off else None,
        moved_on_by="5dd2" if has_moved_on else None,
        busy_run_id="0b4f" if is_busy else None,
        own_counts=AgentCounts(per_day=7 if is_spent else 6),
    )
    spent = Refusal("declined", "guard.max_agent_runs.per_day is 7, and 7 were started within 24 hours")
    stands = [(is_off, DECLINED), (has_moved_on, SUPERSEDED), (is_spent, spent), (is_busy, BUSY)]
    first = next((refusal for stands_against, refusal in stands if stands_against), None)
    assert refuse_agent(facts, Caps(per_day=7), NOTHING) == first
