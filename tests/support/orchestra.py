"""The whole orchestrator in memory, as its handlers run it, and interruptions at any step of it."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

from shared.adapters.memory.database import MemoryDatabase
from shared.adapters.memory.deliveries import MemoryDeliveries
from shared.adapters.memory.queues import MemoryBodyStore, MemoryDeliveryQueue, MemoryQueue, MemoryTaskQueue
from shared.adapters.memory.reading import MemoryReading
from shared.adapters.memory.tasks import MemoryTasks
from shared.adapters.memory.telemetry import MemoryTelemetry
from shared.adapters.memory.workflows import MemoryWorkflows, MemoryWorkflowSource
from shared.adapters.memory.world import MemoryAction, MemoryAgent, MemoryWorld
from shared.adapters.templates import JinjaTemplates
from shared.adapters.workflow_reading import read_text
from shared.domain.batch import Message, process_in_order
from shared.domain.envelope import decode_envelope
from shared.domain.errors import Transient
from shared.domain.guard import Surroundings
from shared.domain.statuses import Status
from shared.domain.workflow import Workflow
from shared.ports import SentTask
from shared.usecases.execute import ExecuteDeps, Policy, execute
from shared.usecases.reconcile import ReconcileDeps, reconcile
from shared.usecases.refresh import RefreshDeps
from shared.usecases.route import RouteDeps, route
from tests.support.clock import ManualClock

STRANDED_AFTER_SECONDS = 300.0
MAX_ROUNDS = 2_000


class Killed(BaseException):
    """The process died here: nothing of ours handles it."""


class Interrupter:
    """Counts calls of ports, and kills the process after those it was told.

    Attributes:
        calls: the ports' calls so far, ``records.claim_task``.
    """

    def __init__(self, *kill_after: int) -> None:
        self.calls: list[str] = []
        self._kill_after = frozenset(kill_after)

    def watch(self, name: str, port: Any) -> Any:  # noqa: ANN401 - any port
        """Returns the port with its calls counted."""
        return _Watched(name, port, self)

    def note(self, call: str) -> None:
        """Counts a call that was carried out."""
        self.calls.append(call)
        if len(self.calls) in self._kill_after:
            raise Killed(call)


class _Watched:
    def __init__(self, name: str, port: object, interrupter: Interrupter) -> None:
        self._name = name
        self._port = port
        self._interrupter = interrupter

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the port takes and gives
            try:
                return getattr(self._port, method)(*arguments, **named)
            finally:
                self._interrupter.note(f"{self._name}.{method}")

        return call


class Orchestra:
    """Route, execute and reconcile over memory, with SQS's redelivery of what was not deleted.

    Args:
        workflows: in force.
        interrupter: kills the process at some calls; nothing does unless given.
        work_seconds: how long an agent run takes.
        source: where repositories' workflow files are; they are not looked at unless given.
    """

    def __init__(
        self,
        *workflows: Workflow,
        interrupter: Interrupter | None = None,
        work_seconds: float = 60.0,
        source: MemoryWorkflowSource | None = None,
    ) -> None:
        self.clock = clock = ManualClock()
        self.interrupter = interrupter or Interrupter()
        self.database = MemoryDatabase(clock)
        self.database.put_workflows(workflows)
        self.world = MemoryWorld(clock)
        self.telemetry = MemoryTelemetry()
        self.bodies = MemoryBodyStore()
        self.deliveries = MemoryDeliveryQueue(clock, visibility_seconds=360.0)
        self.task_queue = MemoryTaskQueue(clock, visibility_seconds=720.0)
        self.reading = MemoryReading(self.database)
        watch = self.interrupter.watch
        tasks, queue = watch("records", MemoryTasks(self.database)), watch("queue", self.task_queue)
        telemetry, bodies = watch("telemetry", self.telemetry), watch("bodies", self.bodies)
        self._watched_queue = queue
        catalog = watch("catalog", MemoryWorkflows(self.database))
        refresh = None
        if source is not None:
            refresh = RefreshDeps(catalog, watch("source", source), read_text, telemetry, has_checks=False)
        self.route_deps = RouteDeps(
            records=watch("deliveries", MemoryDeliveries(self.database)),
            catalog=catalog,
            bodies=bodies,
            templates=JinjaTemplates,
            surroundings=Surroundings(frozenset({"orchestrator[bot]"}), frozenset({"codegen-sh[bot]"})),
            telemetry=telemetry,
            refresh=refresh,
        )
        numbers = count(1)
        self.execute_deps = ExecuteDeps(
            records=tasks,
            queue=queue,
            actions={
                "github.comment": watch("comment", MemoryAction(self.world)),
                "github.status": watch("status", MemoryAction(self.world)),
            },
            agents={"codegen.run": watch("agent", MemoryAgent(self.world, work_seconds=work_seconds))},
            templates=JinjaTemplates(),
            bodies=bodies,
            telemetry=telemetry,
            policy=Policy(),
            new_id=lambda: f"effect-{next(numbers)}",
            jitter=lambda: 0.5,
            clock=clock,
        )
        self.reconcile_deps = ReconcileDeps(tasks, queue, telemetry, STRANDED_AFTER_SECONDS)

    def route_batch(self) -> bool:
        """Routes what waits; tells whether there was anything. As ``functions.route`` does."""
        tasks: list[SentTask] = []

        def process(message: Message) -> bool:
            tasks.extend(route(decode_envelope(message.body), self.route_deps))
            return True

        def finish() -> None:
            for task in tasks:
                self._watched_queue.send([task.task_id], task.delay_seconds)

        return self._process(self.deliveries.messages, process, finish)

    def execute_batch(self) -> bool:
        """Makes one attempt of each task that waits; tells whether there was any. As ``functions.execute`` does."""

        def process(message: Message) -> bool:
            task_id = json.loads(message.body)["task_id"]
            execute(task_id, self.execute_deps)
            return True

        return self._process(self.task_queue.messages, process, lambda: None)

    def _process(self, queue: MemoryQueue, process: Callable[[Message], bool], finish: Callable[[], None]) -> bool:
        messages = queue.receive()
        try:
            result = process_in_order(messages, process, lambda _error: None)
            finish()
        except Killed:
            # Lambda's environment is gone; the messages come again when their visibility timeout is over.
            return True
        failed = {message.receipt_handle for message in result.failed}
        for message in messages:
            if message.receipt_handle not in failed:
                queue.delete(message.receipt_handle)
        queue.give_back(list(failed), result.give_back_seconds)
        return bool(messages)

    def reconcile(self) -> None:
        """Enqueues what is stranded, as the schedule does."""
        try:
            reconcile(self.reconcile_deps)
        except (Killed, Transient):
            return

    @property
    def is_done(self) -> bool:
        """Tells whether every delivery was routed and every run has ended."""
        runs = [run for delivery in self.database.deliveries.values() for run in delivery.runs]
        return not len(self.deliveries.messages) and all(run.status.is_final for run in runs)

    def run_to_end(self) -> None:
        """Works on, with time passing where there is nothing to do, until all is done."""
        for _ in range(MAX_ROUNDS):
            if not self.route_batch() | self.execute_batch():
                if self.is_done:
                    return
                self.clock.advance(10.0)
                self.reconcile()
        raise AssertionError("the orchestrator does not come to an end")

    @property
    def statuses(self) -> list[Status]:
        """Returns the status of each run."""
        return [run.status for delivery in self.database.deliveries.values() for run in delivery.runs]
