"""A task: one step of a run, as a worker holds it and as it leaves it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.domain.effect import Effect, Written
from shared.domain.envelope import Envelope
from shared.domain.statuses import Status
from shared.domain.workflow import Course, Step, Workflow

AgentPhase = Literal["working", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class AgentReport:
    """How an agent run stands.

    Attributes:
        agent: the adapter's name, ``codegen``.
        agent_run_id: its id there.
        status: in the agent's own words.
        phase: what that means to us.
        url: a page that shows it.
        result: the agent's final text.
        summary: a short text.
        pull_requests: addresses of what it opened.
        detail: why it ended as it did, for a person; None when the status says all.
    """

    agent: str
    agent_run_id: str
    status: str
    phase: AgentPhase
    url: str | None = None
    result: str | None = None
    summary: str | None = None
    pull_requests: tuple[str, ...] = ()
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class EarlierTask:
    """What an earlier step of the run came to."""

    position: int
    step: str
    status: Status
    reason: str | None
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClaimedTask:
    """A task under this worker's lease, with all it needs.

    Attributes:
        task_id: UUID.
        run_id: UUID.
        lease_token: proves the lease to the database.
        position: of the step in the workflow.
        attempt: counted from 1; of a poll, the attempt that started the agent.
        is_waiting: an agent run was started and is to be polled.
        workflow: the version the run started with.
        envelope: the delivery that caused the run.
        earlier: the run's tasks before this one.
        effect: what an earlier attempt planned, or None.
        agent_run_id: of the agent run that was started, or None.
        poll_count: how often it was polled.
        agent_age_seconds: how long ago it was started, or was to be.
        subject: key of what the run is about.
        is_over: the run was ended meanwhile: what is left is to end the agent that this task started, if it did.
        once_spent_by: the run that has taken the one chance of the group, or None.
    """

    task_id: str
    run_id: str
    lease_token: str
    position: int
    attempt: int
    is_waiting: bool
    workflow: Workflow
    envelope: Envelope
    earlier: Sequence[EarlierTask]
    effect: Effect | None = None
    agent_run_id: str | None = None
    poll_count: int = 0
    agent_age_seconds: float = 0.0
    subject: str = ""
    is_over: bool = False
    once_spent_by: str | None = None

    @property
    def step(self) -> Step:
        """The step as its workflow has it."""
        return self.workflow.steps[self.position]

    @property
    def ids(self) -> dict[str, object]:
        """The ids that every log line about the task carries."""
        return {
            **self.envelope.ids,
            "run_id": self.run_id,
            "task_id": self.task_id,
            "workflow": self.workflow.name,
            "step": self.workflow.step_name(self.position),
            "uses": self.step.uses,
            "attempt": self.attempt,
        }


Outcome = Literal["succeeded", "failed", "declined", "retried", "deferred", "dead"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt (or a poll) came to, for the database.

    Attributes:
        status: of the task from now on.
        course: how the run goes on; None while the task is not final.
        outcome: of the attempt; None when it was a poll.
        reason: why it failed, waits or is retried.
        delay_seconds: until the next attempt or poll.
        is_enqueued: whether a message will bring the task back after the delay.
        written: what was written outside by this attempt.
        agent_run: how the agent run stands.
        outputs: what later steps may use.
        is_agent_over: nothing of the agent is left to wait for; so it is whenever the status is final.
        is_effect_dropped: the planned effect was certainly not written, so that the next attempt need not look for
            it, which not every action can.
    """

    status: Status
    course: Course | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    delay_seconds: float = 0.0
    is_enqueued: bool = False
    written: Written | None = None
    agent_run: AgentReport | None = None
    outputs: Mapping[str, Any] | None = None
    is_agent_over: bool = False
    is_effect_dropped: bool = False

    @property
    def run_reason(self) -> str | None:
        """Why the run does not do well, when it is this task that says so."""
        is_bad_end = self.status.is_final and self.status is not Status.SUCCEEDED
        return self.reason if is_bad_end else None
