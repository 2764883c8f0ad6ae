"""An effect: a write to the outside world, recorded before and after."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MARKER_BEGINNING = "<!-- webhook-orchestrator effect="


@dataclass(frozen=True, slots=True)
class Effect:
    """A write that is planned.

    Attributes:
        id: a UUID; the mark the write leaves outside, by which a later attempt finds it.
        kind: the action, ``github.comment``.
        request: what is to be written, complete: a later attempt writes exactly this.
        planned_at: when an earlier attempt recorded it, UTC; None for one that this attempt has just planned.
    """

    id: str
    kind: str
    request: Mapping[str, Any]
    planned_at: datetime | None = None

    @property
    def marker(self) -> str:
        """The mark as it is put into Markdown: GitHub does not show HTML comments."""
        return f"{MARKER_BEGINNING}{self.id} -->"


@dataclass(frozen=True, slots=True)
class Written:
    """What a write left outside: its id there, a link for people, and what later steps may use of it."""

    external_id: str
    url: str | None
    outputs: Mapping[str, Any] = field(default_factory=dict)
