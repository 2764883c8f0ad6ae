"""A trigger: what of one event a workflow reacts to."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from shared.domain.pattern import Answer, Pattern, compile_pattern

_DURATION = re.compile(r"(\d+)\s*([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _read_duration(value: object) -> object:
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if found is None:
            raise ValueError("must be a duration such as 30s, 5m, 2h or 1d")
        return int(found[1]) * _UNIT_SECONDS[found[2]]
    return value


Seconds = Annotated[int, BeforeValidator(_read_duration), Field(gt=0, le=7 * 86400)]


class Strict(BaseModel):
    """An unknown key is an error, not a wish that is silently not granted."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Trigger(Strict):
    """When a workflow matches an event: one of ``actions`` (any, when absent) and the pattern ``match``."""

    actions: tuple[str, ...] | None = None
    match: dict[str, Any] = Field(default_factory=dict)

    @field_validator("match")
    @classmethod
    def _compiles(cls, value: dict[str, Any]) -> dict[str, Any]:
        compile_pattern(value)
        return value

    @cached_property
    def pattern(self) -> Pattern:
        """The compiled ``match``."""
        return compile_pattern(self.match)

    def explain(self, action: str | None, document: Mapping[str, Any]) -> Answer:
        """Tells whether a delivery of the event matches and, if not, what failed first."""
        if self.actions is not None and action not in self.actions:
            return Answer(matched=False, because=f"action is {json.dumps(action)}, wants {one_of(self.actions)}")
        return self.pattern.explain(document)


def one_of(names: Sequence[str]) -> str:
    """Returns the names as a sentence wants them."""
    listed = ", ".join(json.dumps(name) for name in names)
    return listed if len(names) == 1 else f"one of {listed}"
