"""The moment of a subject that a delivery tells of: GitHub may deliver out of order.

What a delivery tells is newer or older than what is known; an older one does not act on a newer state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# What tells of a subject's own state, and the member that does.
_STATES: Mapping[str, str] = {"pull_request": "pull_request", "issues": "issue"}
# What tells of a commit, and when it was looked at: of a subject whose head has moved on since, it is old news.
_LOOKS: Mapping[str, tuple[str, ...]] = {
    "check_run": ("started_at",),
    "check_suite": ("created_at",),
    "workflow_run": ("run_started_at", "created_at"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A subject at a time.

    Attributes:
        at: UTC.
        sha: its head, or None.
        state: ``open`` or ``closed``, or None.
        is_telling: the delivery is about the subject itself, so that others are measured by it.
    """

    at: datetime
    sha: str | None
    state: str | None
    is_telling: bool


def read_moment(event: str, payload: Mapping[str, Any], sha: str | None) -> Moment | None:
    """Returns the moment a delivery tells of; None when it tells of none. Never raises."""
    if event in _STATES:
        told = _member(payload, _STATES[event])
        at = _time(told.get("updated_at"))
        state = told.get("state")
        # A tuple: what is looked for may be anything.
        state = state if state in ("open", "closed") else None
        return None if at is None else Moment(at, sha, state, is_telling=True)
    if event == "push":
        # Whole seconds since 1970 here, a text everywhere else.
        at = _time(_member(payload, "repository").get("pushed_at"))
        return None if at is None else Moment(at, sha, None, is_telling=True)
    if event in _LOOKS:
        looked = _member(payload, event)
        for name in _LOOKS[event]:
            at = _time(looked.get(name))
            if at is not None:
                return Moment(at, sha, None, is_telling=False)
    return None


def _member(value: object, name: str) -> Mapping[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _time(value: object) -> datetime | None:
    try:
        if type(value) is int:
            return datetime.fromtimestamp(value, UTC)
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    # A time without a zone could not be compared with the others.
    return at if at is not None and at.tzinfo is not None else None
