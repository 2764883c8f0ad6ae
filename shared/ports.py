"""What the use cases need of the outside, each port the size of the need. Adapters implement them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from shared.domain.caps import Refusal
from shared.domain.delivery import Delivery
from shared.domain.effect import Effect, Written
from shared.domain.envelope import Envelope
from shared.domain.instruction import Instruction, Told
from shared.domain.page import Page
from shared.domain.run import PlannedRun
from shared.domain.task import AgentReport, ClaimedTask, Settlement
from shared.domain.workflow import Caps, Verdict, Workflow
from shared.domain.workflow_file import FileState, FoundFile


class WebhookSecrets(Protocol):
    """The live webhook secrets of each source; two or more while one is rotated."""

    def read(self, source: str) -> Sequence[bytes] | None:
        """Returns the secrets of ``source``, or None when there is no such source."""

    def read_again(self, source: str) -> Sequence[bytes] | None:
        """Returns secrets newer than what ``read`` gave, or None when there are none to be had yet."""


class DeliveryQueue(Protocol):
    """Where accepted deliveries wait, in order for each subject."""

    def send(self, envelope: Envelope) -> None:
        """Returns once the queue has it for good. Raises Transient when it is not known to have it."""


class BodyStore(Protocol):
    """Where bodies rest that a queue message cannot hold."""

    def put(self, key: str, deflated: bytes) -> None:
        """Stores the compressed body; raises Transient when it is not known to be stored."""

    def get(self, key: str) -> bytes:
        """Returns the compressed body; raises Transient, or Permanent when there is none."""


class TaskQueue(Protocol):
    """Where tasks wait for a worker, by id."""

    def send(self, task_ids: Sequence[str], delay_seconds: int = 0) -> None:
        """Sends the tasks, visible after the delay (at most 900 s). Raises Transient or Permanent."""


class Telemetry(Protocol):
    """The function's voice: one past-tense line an outcome, and its metrics."""

    def log(self, message: str, level: str = "INFO", **fields: object) -> None:
        """Writes a line, ``noun.past_verb`` with all ids."""

    def count(self, metric: str, value: float = 1) -> None:
        """Adds to a metric; one whose name ends with ``_seconds`` is a duration."""

    def gauge(self, metric: str, value: float) -> None:
        """Says how something stands now."""


class SentTask(NamedTuple):
    """A task that a worker is to be told of, and when."""

    task_id: str
    delay_seconds: int = 0


class RecordedDelivery(NamedTuple):
    """What recording a delivery came to: the tasks that workers are to be told of, or that it was known already."""

    is_known: bool
    tasks: Sequence[SentTask] = ()

    @property
    def task_ids(self) -> list[str]:
        """The tasks' ids."""
        return [task.task_id for task in self.tasks]


class DeliveryRecords(Protocol):
    """Deliveries, verdicts and runs in the database. Every method raises Transient when it cannot be reached."""

    def record_delivery(
        self,
        delivery: Delivery,
        verdicts: Sequence[Verdict],
        runs: Sequence[PlannedRun],
        *,
        is_caused_by_us: bool = False,
    ) -> RecordedDelivery:
        """Records the delivery with its verdicts, its runs and their first tasks: all or nothing.

        What a run means for the earlier ones of its group is decided with it. A delivery that we caused ourselves
        (we or an agent) lies one deeper than the agent runs on its subject.
        """

    def find_pull_request(self, repository: str, sha: str) -> str | None:
        """Returns the key of the pull request whose head a commit is, or None when none is known."""

    def record_dead_delivery(self, envelope: Envelope, reason: str) -> bool:
        """Records a delivery that will not be routed; False when it is known already."""

    def record_dead_letter(self, message_id: str, queue: str, body: str, reason: str) -> None:
        """Keeps a message of a dead-letter queue that is neither a delivery nor a task."""


class WorkflowCatalog(Protocol):
    """The workflows in force."""

    def read(self, repository: str | None = None) -> Sequence[Workflow]:
        """Returns those for deliveries of ``repository`` by name, at most half a minute old. Raises Transient.

        The defaults, the organisation's and the repository's: of the same name the last counts, and one that is
        switched off is among them, so that its verdict says so.
        """


class WorkflowFiles(Protocol):
    """The repositories' workflow files, as far as they are known. Every method raises Transient."""

    def claim_check(self, repository: str, *, at_once: bool) -> FileState | None:
        """Returns what is known of the file when it is due to be looked at, and then to one caller only.

        Args:
            repository: ``owner/repo``.
            at_once: it is due whatever was looked at a moment ago.
        """

    def put_in_force(self, repository: str, workflows: Sequence[Workflow], known: FileState) -> bool:
        """Puts the file's workflows into force in place of all the repository had; False when ``known`` is stale."""

    def settle_check(
        self, repository: str, found: FileState, known: FileState, report: Workflow | None, delivery: Delivery
    ) -> Sequence[str]:
        """Records what a check found and, in the same step, a run of ``report`` for the recorded delivery.

        Returns:
            The ids of the tasks to enqueue; none when ``known`` is stale: somebody else was here first.
        """


class WorkflowSource(Protocol):
    """Where repositories keep their workflow files. Every method raises Transient, Limited, Permanent."""

    def fetch(self, repository: str, etag: str | None) -> FoundFile | Literal["unchanged", "absent"]:
        """Returns the file of the default branch, unless it is still the one that ``etag`` came with."""

    def find_head(self, repository: str, branch: str) -> str:
        """Returns the branch's last commit."""


class WorkflowLibrary(Protocol):
    """What people see of workflows, and an organisation's own. Every method raises Transient."""

    def list_workflows(self, repository: str | None) -> dict[str, Any]:
        """Returns the ``workflows`` in force with their origin, and the ``file`` of the repository (or None)."""

    def list_versions(self, name: str) -> Sequence[dict[str, Any]]:
        """Returns the versions of that name, newest first, at most 100, and for whom each is in force."""

    def put_organization(self, workflows: Sequence[Workflow]) -> None:
        """Puts the organisation's workflows into force in place of all that it had."""

    def drop_organization(self, name: str) -> bool:
        """Takes the organisation's workflow of that name out of force; False when there is none."""


class TaskRecords(Protocol):
    """Tasks in the database. Every method raises Transient when it cannot be reached."""

    def claim_task(self, task_id: str, lease_seconds: float) -> ClaimedTask | None:
        """Claims one attempt; None when the task is finished, not yet due, held by another, or unknown."""

    def plan_effect(self, task: ClaimedTask, effect: Effect) -> bool:
        """Records what is about to be written; False when the lease has passed to somebody else, or the run is over."""

    def plan_agent(self, task: ClaimedTask, effect: Effect, fleet: Caps) -> Refusal | bool:
        """As ``plan_effect``, of an effect that starts an agent; or says what stands against it."""

    def settle_task(self, task: ClaimedTask, settlement: Settlement) -> Sequence[str] | None:
        """Records what the attempt came to.

        Returns the ids of the tasks that may go on now, or None when the lease is lost.
        """


class DueTasks(Protocol):
    """What reconcile heals."""

    def take_due(self, stranded_after_seconds: float, limit: int) -> Sequence[str]:
        """Returns tasks that no message will bring to a worker, marked as enqueued now. Raises Transient."""


class Instructions(Protocol):
    """What people tell the orchestrator about runs. Every method raises Transient when the database is away."""

    def carry_out(self, instruction: Instruction) -> Told:
        """Carries it out, all or nothing and once for its id; given again, it returns the same runs and no tasks."""

    def read(self, instruction_id: str) -> Told | None:
        """Returns what an instruction came to that was carried out, or None."""

    def read_approval(self, effect_id: str) -> str | None:
        """Returns who approved what the effect waits for; None while nobody has."""


class Switches(Protocol):
    """What is switched off for everybody: ``agents``."""

    def put(self, name: str, *, is_on: bool, reason: str | None, changed_by: str) -> None:
        """Switches on or off. Raises Transient."""

    def read(self) -> Sequence[dict[str, Any]]:
        """Returns every switch that was ever touched: name, is_on, reason, changed_by, changed_at."""


class TaskGraves(Protocol):
    """What bury records of tasks."""

    def bury_task(self, task_id: str, reason: str) -> bool:
        """Marks the task and its run dead; False when there is no such task or it is finished."""


class Templates(Protocol):
    """Templates of a step's arguments."""

    def render(self, arguments: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments with every text rendered. Raises Permanent, naming what is missing and where."""


class Action(Protocol):
    """One kind of write to the outside."""

    def plan(self, arguments: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the request to make, complete. Raises Permanent when the arguments lack something."""

    def look_up(self, effect: Effect) -> Written | None:
        """Returns what an earlier attempt has written, or None. Raises Transient, Permanent."""

    def write(self, effect: Effect) -> Written:
        """Writes. Raises OutcomeUnknown when it may have been applied; Limited, Transient, Permanent, Unavailable."""


class Agent(Action, Protocol):
    """An action whose work goes on after the write: an agent run."""

    def read(self, agent_run_id: str) -> AgentReport:
        """Returns how the agent run stands. Raises Transient, Permanent."""

    def cancel(self, agent_run_id: str) -> None:
        """Asks the agent to stop where that is possible; twice is as once. Raises Transient, Permanent."""


class Reading(Protocol):
    """What the API shows, as JSON. Every method raises Transient when the database cannot be reached."""

    def read_delivery(self, source: str, delivery_id: UUID) -> dict[str, Any] | None:
        """Returns the delivery with its verdicts, runs, tasks, attempts and effects."""

    def read_run(self, run_id: UUID) -> dict[str, Any] | None:
        """Returns the run with its tasks."""

    def list_deliveries(self, filters: Mapping[str, Any], limit: int, cursor: str | None) -> Page:
        """Returns deliveries by ``filters``, absent ones being None. Raises BadCursor."""

    def list_runs(self, filters: Mapping[str, Any], limit: int, cursor: str | None) -> Page:
        """Returns runs without their tasks by ``filters``, absent ones being None. Raises BadCursor."""

    def list_tasks(self, filters: Mapping[str, Any], limit: int, cursor: str | None) -> Page:
        """Returns tasks by ``filters``, absent ones being None. Raises BadCursor."""

    def list_instructions(self, limit: int, cursor: str | None) -> Page:
        """Returns what people have told the orchestrator. Raises BadCursor."""

    def ping(self) -> None:
        """Asks the database for a sign of life."""


class StoredDelivery(NamedTuple):
    """A delivery as it was recorded, and the workflows that matched it then."""

    envelope: Envelope
    matched: frozenset[str]


class StoredDeliveries(Protocol):
    """What drafts are tried on. Every method raises Transient when the database cannot be reached."""

    def count_since(self, since: datetime) -> int:
        """Returns how many were received since then."""

    def list_since(self, since: datetime, events: Collection[str]) -> Iterator[StoredDelivery]:
        """Yields those received since then, oldest first; with the bodies of these events only."""

    def find(self, delivery_id: UUID) -> StoredDelivery | None:
        """Returns the delivery's newest generation, or None."""
