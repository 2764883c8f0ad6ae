"""What the use cases need of the outside, each port the size of the need. Adapters implement them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from shared.domain.delivery import Delivery
from shared.domain.effect import Effect, Written
from shared.domain.envelope import Envelope
from shared.domain.page import Page
from shared.domain.task import AgentReport, ClaimedTask, Settlement
from shared.domain.workflow import Verdict, Workflow


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


class RecordedDelivery(NamedTuple):
    """What recording a delivery came to: its first tasks, or that it was known already."""

    is_known: bool
    task_ids: Sequence[str]


class DeliveryRecords(Protocol):
    """Deliveries, verdicts and runs in the database. Every method raises Transient when it cannot be reached."""

    def record_delivery(
        self, delivery: Delivery, verdicts: Sequence[Verdict], matched: Sequence[Workflow]
    ) -> RecordedDelivery:
        """Records the delivery with its verdicts, a run and its first task for each match: all or nothing."""

    def record_dead_delivery(self, envelope: Envelope, reason: str) -> bool:
        """Records a delivery that will not be routed; False when it is known already."""

    def record_dead_letter(self, message_id: str, queue: str, body: str, reason: str) -> None:
        """Keeps a message of a dead-letter queue that is neither a delivery nor a task."""


class WorkflowCatalog(Protocol):
    """The workflows in force."""

    def read(self) -> Sequence[Workflow]:
        """Returns them in the order of their names, at most half a minute old. Raises Transient."""


class TaskRecords(Protocol):
    """Tasks in the database. Every method raises Transient when it cannot be reached."""

    def claim_task(self, task_id: str, lease_seconds: float) -> ClaimedTask | None:
        """Claims one attempt; None when the task is finished, not yet due, held by another, or unknown."""

    def plan_effect(self, task: ClaimedTask, effect: Effect) -> bool:
        """Records what is about to be written; False when the lease has passed to somebody else."""

    def settle_task(self, task: ClaimedTask, settlement: Settlement) -> Sequence[str] | None:
        """Records what the attempt came to; returns the ids of the tasks it created, None when the lease is lost."""


class DueTasks(Protocol):
    """What reconcile heals."""

    def take_due(self, stranded_after_seconds: float, limit: int) -> Sequence[str]:
        """Returns tasks that no message will bring to a worker, marked as enqueued now. Raises Transient."""


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
        """Writes. Raises OutcomeUnknown when it may have been applied; Limited, Transient, Permanent."""


class Agent(Action, Protocol):
    """An action whose work goes on after the write: an agent run."""

    def read(self, agent_run_id: str) -> AgentReport:
        """Returns how the agent run stands. Raises Transient, Permanent."""


class Halts(Protocol):
    """Upstreams that asked the whole fleet to wait."""

    def halted_seconds(self, upstream: str) -> float:
        """Returns how long no request may be sent; 0 when there is no halt."""

    def halt(self, upstream: str, seconds: float) -> None:
        """Halts every worker's requests to ``upstream``."""


class Reading(Protocol):
    """What the API shows, as JSON. Every method raises Transient when the database cannot be reached."""

    def read_delivery(self, source: str, delivery_id: UUID) -> dict[str, Any] | None:
        """Returns the delivery with its verdicts, runs, tasks, attempts and effects."""

    def read_run(self, run_id: UUID) -> dict[str, Any] | None:
        """Returns the run with its tasks."""

    def list_deliveries(self, filters: Mapping[str, Any], limit: int, cursor: str | None) -> Page:
        """Returns deliveries by ``filters``, absent ones being None. Raises BadCursor."""

    def list_tasks(self, filters: Mapping[str, Any], limit: int, cursor: str | None) -> Page:
        """Returns tasks by ``filters``, absent ones being None. Raises BadCursor."""

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
