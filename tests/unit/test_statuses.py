"""The table of moves."""

from itertools import product

import pytest

from shared.domain.statuses import MOVES, IllegalMove, Status, move

ENDS = {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.SUPERSEDED, Status.DEAD}


def test_every_status_is_in_the_table() -> None:
    assert set(MOVES) == set(Status)


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)))
def test_only_moves_of_the_table_are_made(before: Status, after: Status) -> None:
    if after is before or after in MOVES[before]:
        assert move(before, after) is after
    else:
        with pytest.raises(IllegalMove, match=f"{before} cannot become {after}"):
            move(before, after)


def test_ends_are_final_and_reachable() -> None:
    assert {status for status in Status if status.is_final} == ENDS
    for status in set(Status) - ENDS:
        assert {Status.DEAD, Status.CANCELLED, Status.SUPERSEDED} <= MOVES[status]
    assert set().union(*MOVES.values()) == set(Status)


def test_what_counts_as_a_failure() -> None:
    assert {status for status in Status if status.is_failure} == {Status.FAILED, Status.DEAD}


def test_statuses_are_the_words_of_the_glossary() -> None:
    assert " ".join(Status) == "queued running waiting succeeded failed cancelled superseded dead"
