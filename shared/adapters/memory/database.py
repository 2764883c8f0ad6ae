"""The records in memory: rows as the tables have them, linked by reference."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import Any, Literal
from uuid import UUID

from shared.domain.effect import Effect
from shared.domain.errors import Transient
from shared.domain.instruction import Instruction
from shared.domain.moment import Moment
from shared.domain.statuses import Status
from shared.domain.task import AgentReport, Outcome
from shared.domain.workflow import Workflow
from shared.domain.workflow_file import FileState


@dataclass(slots=True, kw_only=True)
class DeliveryRow:
    """A row of ``deliveries``, with its verdicts and runs. Times are seconds since 1970."""

    key: UUID
    source: str
    delivery_id: UUID
    event: str
    subject: str
    status: Status
    received_at: float
    routed_at: float
    content_type: str
    body: bytes | None
    body_key: str | None
    action: str | None = None
    repository: str | None = None
    sender: str | None = None
    hook_id: str | None = None
    trace_id: str | None = None
    reason: str | None = None
    duplicate_count: int = 0
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    runs: "list[RunRow]" = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class RunRow:
    """A row of ``runs``."""

    id: UUID
    delivery: DeliveryRow
    workflow: Workflow
    created_at: float
    subject: str
    moment: Moment | None = None
    group: str | None = None
    on_conflict: str | None = None
    depth: int = 0
    superseded_by: UUID | None = None
    retry_of: UUID | None = None
    status: Status = Status.QUEUED
    reason: str | None = None
    finished_at: float | None = None
    tasks: "list[TaskRow]" = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class AttemptRow:
    """A row of ``attempts``."""

    number: int
    started_at: float
    finished_at: float | None = None
    outcome: Outcome | Literal["lost"] | None = None
    error: str | None = None
    retry_in_seconds: float | None = None


@dataclass(slots=True, kw_only=True)
class EffectRow:
    """A row of ``effects``: ``effect`` is what is written, the rest what became of it."""

    effect: Effect
    planned_at: float
    is_agent: bool = False
    ended_at: float | None = None
    done_at: float | None = None
    external_id: str | None = None
    url: str | None = None


@dataclass(slots=True, kw_only=True)
class AgentRunRow:
    """A row of ``agent_runs``."""

    report: AgentReport
    created_at: float
    poll_count: int = 0
    finished_at: float | None = None


@dataclass(slots=True, kw_only=True)
class TaskRow:
    """A row of ``tasks``."""

    id: UUID
    run: RunRow
    position: int
    created_at: float
    next_attempt_at: float
    enqueued_at: float | None
    status: Status = Status.QUEUED
    reason: str | None = None
    attempt_count: int = 0
    lease_until: float | None = None
    lease_token: str | None = None
    outputs: dict[str, Any] | None = None
    finished_at: float | None = None
    attempts: list[AttemptRow] = field(default_factory=list)
    effect: EffectRow | None = None
    agent_run: AgentRunRow | None = None


@dataclass(slots=True, kw_only=True)
class SubjectRow:
    """A row of ``subjects``."""

    moment: Moment
    repository: str | None
    delivery_id: UUID


@dataclass(slots=True, kw_only=True)
class InstructionRow:
    """A row of ``instructions``."""

    instruction: Instruction
    given_at: float
    run_ids: Sequence[str]


@dataclass(slots=True, kw_only=True)
class SwitchRow:
    """A row of ``switches``."""

    name: str
    is_on: bool
    reason: str | None
    changed_by: str
    changed_at: float


@dataclass(slots=True, kw_only=True)
class DeadLetterRow:
    """A row of ``dead_letters``."""

    message_id: str
    queue: str
    body: str
    reason: str


@dataclass(slots=True, kw_only=True)
class WorkflowFileRow:
    """A row of ``workflow_files``."""

    next_check_at: float
    settled_at: float | None = None
    state: FileState = field(default_factory=FileState)


class MemoryDatabase:
    """Tables, and one lock that makes each statement all or nothing.

    Args:
        clock: seconds since 1970.

    Attributes:
        is_up: what is asked while it is False raises Transient.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.is_up = True
        self.workflows: dict[str, Workflow] = {}
        self.overrides: dict[str, dict[str, Workflow]] = {}
        self.files: dict[str, WorkflowFileRow] = {}
        self.versions: dict[str, Workflow] = {}
        self.deliveries: dict[tuple[str, UUID], DeliveryRow] = {}
        self.tasks: dict[UUID, TaskRow] = {}
        self.subjects: dict[str, SubjectRow] = {}
        self.switches: dict[str, SwitchRow] = {}
        self.instructions: dict[str, InstructionRow] = {}
        self.approvals: dict[str, str] = {}
        self.dead_letters: dict[str, DeadLetterRow] = {}
        self._numbers = count(1)
        self._lock = Lock()

    @contextmanager
    def transact(self) -> Iterator[float]:
        """Yields the time, the same for all of the statement. Raises Transient while the database is away."""
        if not self.is_up:
            raise Transient("the database cannot be used: it is switched off")
        with self._lock:
            yield self.clock()

    def new_id(self) -> UUID:
        """Returns an id greater than all before it, as ``uuidv7()`` does."""
        return UUID(int=next(self._numbers))

    @property
    def runs(self) -> "list[RunRow]":
        """All runs, oldest first."""
        runs = [run for delivery in self.deliveries.values() for run in delivery.runs]
        return sorted(runs, key=lambda run: run.id)

    def add_task(self, run: RunRow, position: int, now: float, delay_seconds: float = 0.0) -> TaskRow:
        """Adds a task that is due after the delay and about to be enqueued."""
        due_at = now + delay_seconds
        task = TaskRow(
            id=self.new_id(), run=run, position=position, created_at=now, next_attempt_at=due_at, enqueued_at=due_at
        )
        run.tasks.append(task)
        self.tasks[task.id] = task
        return task

    def put_workflows(self, workflows: Sequence[Workflow]) -> None:
        """Puts workflows into force."""
        with self.transact():
            for workflow in workflows:
                self.versions[workflow.version] = workflow
                self.workflows[workflow.name] = workflow
