"""A slash command: what somebody asks for in the first line of a comment or review."""

import re
from collections.abc import Mapping
from typing import Any, Final

COMMAND_NAME: Final = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
# Whose payloads hold a body that may be a command.
COMMAND_EVENTS: Final = frozenset(
    {"commit_comment", "discussion_comment", "issue_comment", "pull_request_review", "pull_request_review_comment"}
)
# What was said just now. A comment that is edited or deleted asks for nothing.
COMMAND_ACTIONS: Final = ("created", "submitted")

# A slash at the very beginning, so that neither quoted nor indented text is one; and a word, so that no path is.
_COMMAND = re.compile(rf"/({COMMAND_NAME})(?:[ \t]+([^\r\n]*))?[ \t]*(?:\r?\n|\Z)")


def read_command(payload: Mapping[str, Any]) -> dict[str, str] | None:
    """Returns the command in the payload's comment or review, or None when its first line is none.

    ``name`` is in lower case, ``arguments`` is the rest of the first line, ``text`` what stands below it.
    """
    for member in ("comment", "review"):
        said = payload.get(member)
        body = said.get("body") if isinstance(said, dict) else None
        found = _COMMAND.match(body) if isinstance(body, str) else None
        if isinstance(body, str) and found is not None:
            return {
                "name": found[1].lower(),
                "arguments": (found[2] or "").strip(),
                "text": body[found.end() :].strip(),
            }
    return None
