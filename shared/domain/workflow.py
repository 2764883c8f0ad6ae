"""A workflow: when it matches, its steps run. The model is what a team may write, and no more."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from shared.domain.pattern import Pattern, PatternError, compile_pattern
from shared.domain.statuses import Status

_DURATION = re.compile(r"(\d+)\s*([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NAME = r"^[a-z][a-z0-9_-]{0,63}$"


def _read_duration(value: object) -> object:
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if found is None:
            raise ValueError("must be a duration such as 30s, 5m, 2h or 1d")
        return int(found[1]) * _UNIT_SECONDS[found[2]]
    return value


Seconds = Annotated[int, BeforeValidator(_read_duration), Field(gt=0, le=7 * 86400)]


class _Strict(BaseModel):
    """An unknown key is an error, not a wish that is silently not granted."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Trigger(_Strict):
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


class Retry(_Strict):
    """How often a step is tried."""

    max_attempts: int = Field(default=8, ge=1, le=20)


class Step(_Strict):
    """One step: ``uses`` names an action, ``with`` its arguments, templates in any text."""

    id: str | None = Field(default=None, pattern=_NAME)
    uses: str
    arguments: dict[str, Any] = Field(default_factory=dict, alias="with")
    when: Literal["success", "failure", "always"] = "success"
    timeout: Seconds | None = None
    retry: Retry | None = None


class Workflow(_Strict):
    """A named rule. ``version`` is its content's hash: a run keeps the version it started with."""

    name: str = Field(pattern=_NAME)
    on: dict[str, Trigger] = Field(min_length=1)
    steps: tuple[Step, ...] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "Workflow":
        ids = [step.id for step in self.steps if step.id is not None]
        if len(ids) != len(set(ids)):
            raise ValueError("two steps have the same id")
        return self

    @cached_property
    def definition(self) -> dict[str, Any]:
        """The workflow as JSON, without what is absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @cached_property
    def version(self) -> str:
        """SHA-256 of the canonical definition, in hex."""
        text = json.dumps(self.definition, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def step_name(self, position: int) -> str:
        """Returns the step's id, or its place when it has none (``1`` is the first)."""
        return self.steps[position].id or str(position + 1)


class Verdict(NamedTuple):
    """A workflow's explained answer to a delivery."""

    workflow: str
    version: str
    matched: bool
    because: str


def judge(workflow: Workflow, event: str, action: str | None, document: Mapping[str, Any]) -> Verdict:
    """Returns the workflow's verdict on a delivery; ``document`` is what patterns are matched against."""
    matched, because = _explain(workflow, event, action, document)
    return Verdict(workflow.name, workflow.version, matched, because)


def _explain(workflow: Workflow, event: str, action: str | None, document: Mapping[str, Any]) -> tuple[bool, str]:
    trigger = workflow.on.get(event)
    if trigger is None:
        return False, _miss(event, tuple(workflow.on))
    if trigger.actions is not None and action not in trigger.actions:
        return False, f"action is {json.dumps(action)}, wants {_one_of(trigger.actions)}"
    return trigger.pattern.explain(document)


@lru_cache(maxsize=4096)  # nearly every verdict is one of these few
def _miss(event: str, wanted: tuple[str, ...]) -> str:
    return f"event is {json.dumps(event)}, wants {_one_of(wanted)}"


def _one_of(names: Sequence[str]) -> str:
    listed = ", ".join(json.dumps(name) for name in names)
    return listed if len(names) == 1 else f"one of {listed}"


class Course(NamedTuple):
    """How a run goes on after a task: at ``position``, or to its end with ``status``."""

    position: int | None
    status: Status


def plan_course(workflow: Workflow, outcomes: Mapping[int, Status]) -> Course:
    """Decides which step comes next.

    Args:
        workflow: the version the run started with.
        outcomes: the final status of each task so far, by position; steps that were passed over are absent.
    """
    has_failed = any(status.is_failure for status in outcomes.values())
    for position in range(max(outcomes, default=-1) + 1, len(workflow.steps)):
        when = workflow.steps[position].when
        if when == "always" or (when == "failure") == has_failed:
            return Course(position, Status.RUNNING)
    if Status.DEAD in outcomes.values():
        return Course(None, Status.DEAD)
    return Course(None, Status.FAILED if has_failed else Status.SUCCEEDED)


__all__ = ["Course", "PatternError", "Step", "Trigger", "Verdict", "Workflow", "judge", "plan_course"]
