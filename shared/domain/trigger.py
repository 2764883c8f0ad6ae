"""A trigger: what of one event a workflow reacts to."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from shared.domain.command import COMMAND_ACTIONS, COMMAND_NAME
from shared.domain.globs import Globs, compile_globs, compile_name_globs, one_of
from shared.domain.pattern import Answer, Clause, Pattern, compile_pattern
from shared.domain.pattern_operators import PatternError, show_source, show_value
from shared.domain.shorthands import READERS, lacks_paths, read_pushed_paths

DURATION: Final = r"\s*(\d+)\s*([smhd])\s*"
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ALL_MATCHED = Answer(matched=True, because="all clauses matched")
_UNSEEN = "not in the payload: GitHub is asked before the first step"


def _read_duration(value: object) -> object:
    if isinstance(value, str):
        found = re.fullmatch(DURATION, value)
        if found is None:
            raise PatternError("", "a duration such as 30s, 5m, 2h or 1d", show_source(value))
        # Beyond any limit, and still a number that can be shown.
        return int(found[1][:12]) * _UNIT_SECONDS[found[2]]
    return value


Seconds = Annotated[int, BeforeValidator(_read_duration), Field(gt=0, le=7 * 86400)]


class Strict(BaseModel):
    """An unknown key is an error, not a wish that is silently not granted."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _read_texts(value: object) -> object:
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_read_texts), Field(min_length=1, max_length=100)]


class Trigger(Strict):
    """When a workflow matches an event: all that is given must hold.

    Attributes:
        actions: the payload's ``action`` is one of these. Absent: any; with ``commands``: what was said just now.
        branches: globs, as in GitHub Actions, of the event's branch.
        paths: globs, likewise, of the changed files, of which one is enough.
        labels: the subject has one of these, and none that stands here with a ``!``; ``*`` is any text.
        authors: logins of who caused the event, likewise.
        commands: names of slash commands, without the slash, in a comment's or review's first line.
        match: a pattern over the document.
    """

    actions: Texts | None = None
    branches: Texts | None = None
    paths: Texts | None = None
    labels: Texts | None = None
    authors: Texts | None = None
    commands: Texts | None = None
    match: dict[str, Any] = Field(default_factory=dict)

    @field_validator("match")
    @classmethod
    def _compiles(cls, value: dict[str, Any]) -> dict[str, Any]:
        compile_pattern(value)
        return value

    @field_validator("branches", "paths")
    @classmethod
    def _are_globs(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        compile_globs(value or (), "")
        return value

    @field_validator("labels", "authors")
    @classmethod
    def _are_name_globs(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        compile_name_globs(value or (), "")
        return value

    @field_validator("commands")
    @classmethod
    def _are_commands(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for index, name in enumerate(value or ()):
            if re.fullmatch(COMMAND_NAME, name) is None:
                bare = name.strip().removeprefix("/")
                suggestion = show_value(bare) if re.fullmatch(COMMAND_NAME, bare) else ""
                expected = "a command's name without the slash: letters, digits, - and _"
                raise PatternError(f"[{index}]", expected, show_value(name), suggestion)
        return value

    @cached_property
    def pattern(self) -> Pattern:
        """The compiled ``match``."""
        return compile_pattern(self.match)

    @cached_property
    def _wanted_actions(self) -> tuple[str, ...] | None:
        return COMMAND_ACTIONS if self.actions is None and self.commands is not None else self.actions

    @cached_property
    def _globs(self) -> dict[str, Globs]:
        """The shorthands that are given, compiled; ``paths`` is the last, since it costs most."""
        compiled = {}
        for name in (*READERS, "paths"):
            patterns = getattr(self, name)
            if patterns is not None:
                compiled[name] = (compile_globs if name in ("branches", "paths") else compile_name_globs)(
                    patterns, name
                )
        return compiled

    def has_open_paths(self, event: str) -> bool:
        """Tells whether ``paths`` cannot be judged by the event's payload: see ``explain_paths``."""
        return self.paths is not None and lacks_paths(event)

    def explain(self, event: str, action: str | None, document: Mapping[str, Any]) -> Answer:
        """Tells whether a delivery of the event matches and, if not, what failed first."""
        wanted = self._wanted_actions
        if wanted is not None and action not in wanted:
            return _miss(action, wanted)
        for name, globs in self._globs.items():
            seen, matched = _look(name, globs, event, document)
            if not matched:
                return Answer(matched=False, because=f"{name} is {_show_seen(name, seen)}, wants {globs.wants}")
        return self.pattern.explain(document) if self.match or not self._globs else _ALL_MATCHED

    def clauses(self, event: str, action: str | None, document: Mapping[str, Any]) -> list[Clause]:
        """Returns everything that is wanted, held against a delivery of the event."""
        found = []
        if self._wanted_actions is not None:
            wanted = self._wanted_actions
            found.append(Clause("action", one_of(wanted), show_value(action), matched=action in wanted))
        found += [self._hold(name, event, document) for name in self._globs]
        return found + self.pattern.clauses(document)

    def _hold(self, name: str, event: str, document: Mapping[str, Any]) -> Clause:
        globs = self._globs[name]
        seen, matched = _look(name, globs, event, document)
        return Clause(name, globs.wants, _show_seen(name, seen), matched)


@lru_cache(maxsize=4096)  # nearly every delivery has one of a few
def _miss(action: str | None, wanted: tuple[str, ...]) -> Answer:
    return Answer(matched=False, because=f"action is {show_value(action)}, wants {one_of(wanted)}")


def explain_paths(paths: Sequence[str], changed: Sequence[str]) -> Answer:
    """Tells whether one of the changed files is among the ``paths`` of a trigger."""
    globs = compile_globs(paths, "paths")
    if any(map(globs.accepts, changed)):
        return _ALL_MATCHED
    return Answer(matched=False, because=f"paths is {_show_seen('paths', changed)}, wants {globs.wants}")


def _look(name: str, globs: Globs, event: str, document: Mapping[str, Any]) -> tuple[Sequence[str] | None, bool]:
    """Returns what a shorthand sees, and whether that will do; None: it is not to be seen yet, and will do so far."""
    if name == "paths":
        changed = None if lacks_paths(event) else read_pushed_paths(document)
        return changed, changed is None or any(map(globs.accepts, changed))
    seen = READERS[name](event, document)
    if name == "labels":
        return seen, globs.accepts_all(seen)
    for value in seen:
        if globs.accepts(value):
            return seen, True
    return seen, False


def _show_seen(name: str, seen: Sequence[str] | None) -> str:
    if seen is None:
        return _UNSEEN
    if name in ("labels", "paths") or len(seen) > 1:
        return show_value(list(seen))
    return show_value(seen[0]) if seen else "missing"


def list_triggers(value: object) -> object:
    """Returns the triggers by event: of ``on: push``, of ``on: [push, create]``, of an event with nothing below it."""
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return {each: {} for each in value}
    if isinstance(value, Mapping):
        return {event: {} if trigger is None else trigger for event, trigger in value.items()}
    return value


Triggers = Annotated[dict[str, Trigger], BeforeValidator(list_triggers), Field(min_length=1)]
