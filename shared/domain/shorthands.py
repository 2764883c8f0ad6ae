"""The shorthands of a trigger: what each is compared with, event by event.

A payload may hold anything anywhere, so nothing here raises on one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from shared.domain.command import COMMAND_EVENTS
from shared.domain.events import EVENTS

# GitHub lists at most so many commits in a push: with more, not every changed file is known.
MAX_PUSH_COMMITS: Final = 2048

Seen = Sequence[str]
Document = Mapping[str, Any]

# Where an event's branch stands: the base of a pull request, the branch that was pushed, the head branch that a
# check, suite or run was for. A full ref counts when it is a branch's.
BRANCH_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "check_run": ("check_run", "check_suite", "head_branch"),
    "check_suite": ("check_suite", "head_branch"),
    "code_scanning_alert": ("ref",),
    "create": ("ref",),
    "delete": ("ref",),
    "deployment": ("deployment", "ref"),
    "deployment_status": ("deployment", "ref"),
    "merge_group": ("merge_group", "base_ref"),
    "pull_request": ("pull_request", "base", "ref"),
    "pull_request_review": ("pull_request", "base", "ref"),
    "pull_request_review_comment": ("pull_request", "base", "ref"),
    "pull_request_review_thread": ("pull_request", "base", "ref"),
    "push": ("ref",),
    "release": ("release", "target_commitish"),
    "repository_dispatch": ("branch",),
    "status": ("branches", "name"),
    "workflow_dispatch": ("ref",),
    "workflow_job": ("workflow_job", "head_branch"),
    "workflow_run": ("workflow_run", "head_branch"),
}
_PULL_EVENTS: Final = frozenset(
    {"pull_request", "pull_request_review", "pull_request_review_comment", "pull_request_review_thread"}
)
_LABELLED: Final = ("pull_request", "issue", "discussion")

# Which events know each shorthand.
SHORTHAND_EVENTS: Final[Mapping[str, frozenset[str]]] = {
    "branches": frozenset(BRANCH_PLACES),
    "paths": _PULL_EVENTS | {"push"},
    "labels": _PULL_EVENTS | {"issues", "issue_comment", "discussion", "discussion_comment", "label"},
    "authors": frozenset(EVENTS),
    "commands": COMMAND_EVENTS,
}


def lacks_paths(event: str) -> bool:
    """Tells whether the event's payload does not say which files were changed, so that GitHub has to be asked."""
    return event in _PULL_EVENTS


def read_branches(event: str, document: Document) -> Seen:
    """Returns the branches an event is about; a tag is none."""
    place = BRANCH_PLACES.get(event)
    if place is None or (event in ("create", "delete") and document.get("ref_type") != "branch"):
        return ()
    value: Any = document
    for name in place:
        if isinstance(value, list):
            return tuple(_texts(each.get(name) for each in value if isinstance(each, dict)))
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str):
        return ()
    if value.startswith("refs/"):
        return (value[11:],) if value.startswith("refs/heads/") else ()
    return (value,)


def read_labels(event: str, document: Document) -> Seen:
    """Returns the subject's labels; of an event about one label, that one."""
    if event == "label" or document.get("action") in ("labeled", "unlabeled"):
        label = document.get("label")
        return tuple(_texts([label.get("name")])) if isinstance(label, dict) else ()
    for member in _LABELLED:
        about = document.get(member)
        labels = about.get("labels") if isinstance(about, dict) else None
        if isinstance(labels, list):
            return tuple(_texts(each.get("name") for each in labels if isinstance(each, dict)))
    return ()


def read_authors(_event: str, document: Document) -> Seen:
    """Returns the login of who caused the event."""
    sender = document.get("sender")
    return tuple(_texts([sender.get("login")])) if isinstance(sender, dict) else ()


def read_commands(event: str, document: Document) -> Seen:
    """Returns the name of the slash command in a comment or review."""
    command = document.get("command")
    return tuple(_texts([command.get("name")])) if event in COMMAND_EVENTS and isinstance(command, dict) else ()


def read_pushed_paths(document: Document) -> Seen | None:
    """Returns the files that a push's commits change, each once; None when there are too many to be listed."""
    commits = document.get("commits")
    if not isinstance(commits, list):
        return ()
    if len(commits) >= MAX_PUSH_COMMITS:
        return None
    found: dict[str, None] = {}
    for commit in commits:
        for kind in ("added", "modified", "removed"):
            paths = commit.get(kind) if isinstance(commit, dict) else None
            found.update(dict.fromkeys(_texts(paths if isinstance(paths, list) else ())))
    return tuple(found)


READERS: Final[Mapping[str, Callable[[str, Document], Seen]]] = {
    "branches": read_branches,
    "labels": read_labels,
    "authors": read_authors,
    "commands": read_commands,
}


def _texts(values: Any) -> list[str]:  # noqa: ANN401 - an iterable of anything
    return [value for value in values if isinstance(value, str)]
