"""A workflow: when it matches, its steps run. The model is what a team may write, and no more."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from shared.domain.globs import one_of
from shared.domain.statuses import Status
from shared.domain.trigger import Seconds, Strict, Trigger, Triggers

# The longest that SQS delays a message.
MAX_DEBOUNCE_SECONDS = 900

_NAME = r"^[a-z][a-z0-9_-]{0,63}$"
# The steps that start an agent, which costs money and may push: guards and caps are about these.
AGENT_STEPS = frozenset({"codegen.run", "codegen.resume", "actions.run"})
APPROVAL_STEP = "approval.wait"
INSTRUCTION_PREFIX = "orchestrator."


class Retry(Strict):
    """How often a step is tried.

    Attributes:
        max_attempts: the tries, the first included; waiting for a limit is none.
    """

    max_attempts: int = Field(default=8, ge=1, le=20)


class Step(Strict):
    """One step.

    Attributes:
        id: names the step's outputs for later ones; without it its place does, ``steps["1"]``.
        uses: the action.
        with: the action's arguments; every text is a template.
        when: ``success`` while no step before has failed, ``failure`` once one has, ``always`` either way.
        timeout: how long an agent run or an approval is waited for.
        retry: how often it is tried.
    """

    id: str | None = Field(default=None, pattern=_NAME)
    uses: str
    arguments: dict[str, Any] = Field(default_factory=dict, alias="with")
    when: Literal["success", "failure", "always"] = "success"
    timeout: Seconds | None = None
    retry: Retry | None = None


class Caps(Strict):
    """How many agent runs a workflow may start within 24 hours; absent: only the deployment's own caps hold.

    Attributes:
        per_subject: on one pull request, issue, branch or commit.
        per_repository: in one repository.
        per_day: in all.
    """

    per_subject: int | None = Field(default=None, ge=0)
    per_repository: int | None = Field(default=None, ge=0)
    per_day: int | None = Field(default=None, ge=0)


class Guard(Strict):
    """Who and what may start agents.

    Attributes:
        trust: whose events may: ``write`` of those with write access, ``anyone`` of all.
        loops: what our own App, an agent's bot or a mark of ours caused: ``refuse`` or ``allow``.
        max_depth: how many agent runs may stand one behind the other, each caused by the one before.
        max_agent_runs: how many agent runs it may start within 24 hours.
    """

    trust: Literal["write", "anyone"] = "write"
    loops: Literal["refuse", "allow"] = "refuse"
    max_depth: int = Field(default=3, ge=1, le=20)
    max_agent_runs: Caps = Caps()


class Concurrency(Strict):
    """Which runs stand in each other's way, and what a new one does about the earlier ones of its group.

    Attributes:
        group: ``subject``, ``repository`` or ``workflow`` (each of this workflow's own runs), or a template of a
            name that workflows may share.
        on_conflict: ``cancel`` supersedes the earlier ones; ``queue`` waits for the one under way and supersedes
            those that wait; ``skip`` does not start; ``once`` supersedes those that have not begun, and does not
            start when one has, even if it is over.
    """

    group: str = Field(default="subject", min_length=1, max_length=500)
    on_conflict: Literal["cancel", "queue", "skip", "once"] = "cancel"


# What stands in for the rest of a workflow of which only is said that it is off: it never runs.
_SWITCHED_OFF: Mapping[str, Any] = {"on": {"ping": {}}, "steps": [{"uses": APPROVAL_STEP}]}


class Workflow(Strict):
    """A named rule. ``version`` is its content's hash: a run keeps the version it started with.

    Attributes:
        name: unique among those in force.
        enabled: a later file may switch off an earlier one's workflow by its name, with nothing but ``enabled: false``.
        on: what it reacts to, by event.
        guard: who and what may start agents.
        concurrency: which of its runs stand in each other's way; absent: none.
        debounce: seconds that a run waits for a newer one of its group (of its subject, when it has none).
        steps: run one after the other.
    """

    name: str = Field(pattern=_NAME)
    enabled: bool = True
    on: Triggers
    guard: Guard = Guard()
    concurrency: Concurrency | None = None
    debounce: Annotated[Seconds, Field(le=MAX_DEBOUNCE_SECONDS)] | None = None
    steps: tuple[Step, ...] = Field(min_length=1, max_length=50)

    @model_validator(mode="before")
    @classmethod
    def _off_is_enough(cls, value: Any) -> Any:  # noqa: ANN401 - whatever a file holds
        is_off = isinstance(value, dict) and value.get("enabled") is False
        return {**_SWITCHED_OFF, **value} if is_off else value

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "Workflow":
        ids = [step.id for step in self.steps if step.id is not None]
        if len(ids) != len(set(ids)):
            raise ValueError("two steps have the same id")
        return self

    @cached_property
    def starts_agents(self) -> bool:
        """Whether a step starts an agent."""
        return any(step.uses in AGENT_STEPS for step in self.steps)

    @cached_property
    def needs_trust(self) -> bool:
        """Whether a step starts an agent, or tells the orchestrator what to do, before anybody was asked."""
        for step in self.steps:
            if step.uses == APPROVAL_STEP:
                return False
            if step.uses in AGENT_STEPS or step.uses.startswith(INSTRUCTION_PREFIX):
                return True
        return False

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
    if not workflow.enabled:
        return False, "the workflow is switched off: enabled is false"
    trigger = workflow.on.get(event)
    if trigger is None:
        return False, _miss(event, tuple(workflow.on))
    return trigger.explain(event, action, document)


@lru_cache(maxsize=4096)  # nearly every verdict is one of these few
def _miss(event: str, wanted: tuple[str, ...]) -> str:
    return f"event is {json.dumps(event)}, wants {one_of(wanted)}"


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
    for status in outcomes.values():
        if status in {Status.CANCELLED, Status.SUPERSEDED}:
            return Course(None, status)
    has_failed = any(status.is_failure for status in outcomes.values())
    for position in range(max(outcomes, default=-1) + 1, len(workflow.steps)):
        when = workflow.steps[position].when
        if when == "always" or (when == "failure") == has_failed:
            return Course(position, Status.RUNNING)
    if Status.DEAD in outcomes.values():
        return Course(None, Status.DEAD)
    return Course(None, Status.FAILED if has_failed else Status.SUCCEEDED)


__all__ = ["Caps", "Concurrency", "Course", "Guard", "Step", "Trigger", "Verdict", "Workflow", "judge", "plan_course"]
