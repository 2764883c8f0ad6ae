"""The records in memory and in Postgres, behind one face: what the contract suites ask of both."""

from collections.abc import Sequence
from typing import Any, Protocol

import psycopg

from shared.adapters.memory.backtest import MemoryStoredDeliveries
from shared.adapters.memory.database import MemoryDatabase
from shared.adapters.memory.deliveries import MemoryDeliveries
from shared.adapters.memory.instructions import MemoryInstructions, MemorySwitches
from shared.adapters.memory.reading import MemoryReading
from shared.adapters.memory.tasks import MemoryTasks
from shared.adapters.memory.workflows import MemoryWorkflows
from shared.adapters.postgres.backtest import PostgresStoredDeliveries
from shared.adapters.postgres.database import Database
from shared.adapters.postgres.deliveries import PostgresDeliveries
from shared.adapters.postgres.instructions import PostgresInstructions, PostgresSwitches
from shared.adapters.postgres.reading import PostgresReading
from shared.adapters.postgres.tasks import PostgresTasks
from shared.adapters.postgres.workflows import PostgresWorkflows, put_defaults
from shared.domain.workflow import Workflow
from shared.ports import (
    DeliveryRecords,
    DueTasks,
    Instructions,
    Reading,
    StoredDeliveries,
    Switches,
    TaskGraves,
    TaskRecords,
    WorkflowCatalog,
    WorkflowFiles,
    WorkflowLibrary,
)
from tests.support.clock import ManualClock

EMPTY = """
truncate deliveries, subjects, switches, instructions, workflows, workflow_versions, workflow_files, dead_letters
    cascade
"""
# Time cannot be moved in a database, so what it holds is moved in time.
_AGE = """
with aged_tasks as (
    update tasks set next_attempt_at = next_attempt_at - age, lease_until = lease_until - age,
        enqueued_at = enqueued_at - age, created_at = created_at - age
    from make_interval(secs => %(seconds)s) as age
), aged_effects as (
    update effects set planned_at = planned_at - age from make_interval(secs => %(seconds)s) as age
), aged_files as (
    update workflow_files set next_check_at = next_check_at - age from make_interval(secs => %(seconds)s) as age
)
update agent_runs set created_at = created_at - age from make_interval(secs => %(seconds)s) as age
"""


class Tasks(TaskRecords, DueTasks, TaskGraves, Protocol):
    """All that is recorded of tasks."""


class Workflows(WorkflowCatalog, WorkflowFiles, WorkflowLibrary, Protocol):
    """All that is recorded of workflows."""


class RecordStore(Protocol):
    """An implementation of the records' ports, and what a test needs beside them.

    Attributes:
        refusal: the error for a workflow whose version was never put into force.
    """

    refusal: type[Exception]

    @property
    def deliveries(self) -> DeliveryRecords:
        """The deliveries."""

    @property
    def catalog(self) -> Workflows:
        """The workflows."""

    def another_catalog(self) -> Workflows:
        """The same, as another worker has it: it remembers nothing."""

    @property
    def tasks(self) -> Tasks:
        """The tasks."""

    @property
    def reading(self) -> Reading:
        """What can be seen of both."""

    @property
    def stored(self) -> StoredDeliveries:
        """The deliveries that drafts are tried on."""

    @property
    def instructions(self) -> Instructions:
        """What people tell about runs."""

    @property
    def switches(self) -> Switches:
        """What is switched off."""

    def put_workflows(self, *workflows: Workflow) -> None:
        """Puts workflows into force."""

    def advance(self, seconds: float) -> None:
        """Lets time pass."""

    def list_dead_letters(self) -> Sequence[tuple[str, str, str, str]]:
        """Returns id, queue, body and reason of each dead letter."""

    def switch_off(self) -> None:
        """Makes the database unreachable."""


class MemoryStore:
    """The records in memory."""

    refusal: type[Exception] = KeyError

    def __init__(self) -> None:
        self._clock = ManualClock()
        self._database = MemoryDatabase(self._clock)
        self.deliveries = MemoryDeliveries(self._database)
        self.catalog = MemoryWorkflows(self._database)
        self.tasks = MemoryTasks(self._database)
        self.reading = MemoryReading(self._database)
        self.stored = MemoryStoredDeliveries(self._database)
        self.instructions = MemoryInstructions(self._database)
        self.switches = MemorySwitches(self._database)

    def another_catalog(self) -> Workflows:
        """The same, as another worker has it."""
        return MemoryWorkflows(self._database)

    def put_workflows(self, *workflows: Workflow) -> None:
        """Puts workflows into force."""
        self._database.put_workflows(workflows)

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self._clock.advance(seconds)

    def list_dead_letters(self) -> Sequence[tuple[str, str, str, str]]:
        """Returns id, queue, body and reason of each dead letter."""
        letters = self._database.dead_letters.values()
        return [(letter.message_id, letter.queue, letter.body, letter.reason) for letter in letters]

    def switch_off(self) -> None:
        """Makes the database unreachable."""
        self._database.is_up = False


class PostgresStore:
    """The records in Postgres, empty at the beginning.

    Args:
        url: of a database with the schema.
        nowhere: an address of Postgres's protocol at which nobody listens.
    """

    refusal: type[Exception] = psycopg.errors.ForeignKeyViolation

    def __init__(self, url: str, nowhere: str) -> None:
        self._database = Database(url)
        self._nowhere = nowhere
        self._clock = ManualClock()
        self._database.fetch(EMPTY)
        self._use(self._database)

    def _use(self, database: Database) -> None:
        self.deliveries = PostgresDeliveries(database)
        self.catalog = PostgresWorkflows(database, self._clock)
        self.tasks = PostgresTasks(database)
        self.reading = PostgresReading(database)
        self.stored = PostgresStoredDeliveries(database)
        self.instructions = PostgresInstructions(database)
        self.switches = PostgresSwitches(database)

    def another_catalog(self) -> Workflows:
        """The same, as another worker has it."""
        return PostgresWorkflows(self._database)

    def put_workflows(self, *workflows: Workflow) -> None:
        """Puts workflows into force."""
        put_defaults(self._database, workflows)

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self._database.fetch(_AGE, {"seconds": seconds})
        self._clock.advance(seconds)

    def list_dead_letters(self) -> Sequence[tuple[str, str, str, str]]:
        """Returns id, queue, body and reason of each dead letter."""
        rows: list[dict[str, Any]] = self._database.fetch("select * from dead_letters order by buried_at")
        return [(row["message_id"], row["queue"], row["body"], row["reason"]) for row in rows]

    def switch_off(self) -> None:
        """Makes the database unreachable."""
        self._use(Database(self._nowhere))

    def close(self) -> None:
        """Closes the connections."""
        self._database.close()
