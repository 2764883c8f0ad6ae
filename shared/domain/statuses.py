"""The statuses of runs and tasks, and every move between them: any other move is a fault of ours."""

from enum import StrEnum


class Status(StrEnum):
    """One vocabulary for database, API, logs and console."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    DEAD = "dead"

    @property
    def is_final(self) -> bool:
        """Nothing moves on from here."""
        return not MOVES[self]

    @property
    def is_failure(self) -> bool:
        """Counts as a failure for the ``when`` of the steps that follow."""
        return self in {Status.FAILED, Status.DEAD}


_ENDS = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.SUPERSEDED, Status.DEAD})

# queued <-> running: a claim, and a retry later. waiting: an agent works, or nobody is to act before a time.
MOVES: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLED, Status.SUPERSEDED, Status.DEAD}),
    Status.RUNNING: _ENDS | {Status.QUEUED, Status.WAITING},
    Status.WAITING: _ENDS | {Status.RUNNING, Status.QUEUED},
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.SUPERSEDED: frozenset(),
    Status.DEAD: frozenset(),
}


class IllegalMove(RuntimeError):
    """A status was to change in a way that ``MOVES`` does not know."""


def move(before: Status, after: Status) -> Status:
    """Returns ``after``, when the move is allowed; staying is. Raises IllegalMove."""
    if after is not before and after not in MOVES[before]:
        raise IllegalMove(f"{before} cannot become {after}")
    return after
