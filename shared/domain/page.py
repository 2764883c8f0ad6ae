"""A page of a list that goes on: by a cursor, so that what arrives meanwhile shifts nothing."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID


class BadCursor(ValueError):
    """The cursor is none that a page of this API ended with."""


class Page(NamedTuple):
    """Some of a list, newest first; ``next_cursor`` is None on the last page."""

    items: list[dict[str, Any]]
    next_cursor: str | None


class Place(NamedTuple):
    """Where a page ended: the time and the key of its last item."""

    at: datetime
    key: UUID

    def write_cursor(self) -> str:
        """Returns the place as an opaque text for a URL."""
        return urlsafe_b64encode(json.dumps([self.at.isoformat(), str(self.key)]).encode()).decode()


def read_cursor(cursor: str) -> Place:
    """Returns the place in a cursor. Raises BadCursor."""
    try:
        at, key = json.loads(urlsafe_b64decode(cursor))
        return Place(datetime.fromisoformat(at), UUID(key))
    except (ValueError, TypeError, AttributeError):
        raise BadCursor("the cursor is not one that a page of this list ended with") from None
