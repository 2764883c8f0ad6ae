"""One task of one action, over real records and real servers, by workers that die at any effect boundary of it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from shared.adapters.memory.queues import MemoryBodyStore, MemoryTaskQueue
from shared.adapters.memory.telemetry import MemoryTelemetry
from shared.adapters.templates import JinjaTemplates
from shared.domain.run import PlannedRun
from shared.domain.statuses import Status
from shared.domain.workflow import AGENT_STEPS, APPROVAL_STEP
from shared.ports import Action
from shared.usecases.execute import ExecuteDeps, Policy, execute
from tests.support.clock import ManualClock
from tests.support.factories import build_delivery, build_workflow
from tests.support.orchestra import Interrupter, Killed
from tests.support.record_stores import RecordStore

# Longer than any lease, any pause between two attempts and any between two polls.
PATIENCE_SECONDS = 1000.0
MAX_LIVES = 30


class Life(NamedTuple):
    """What became of a task.

    Attributes:
        run: as the API shows it.
        calls: of ports and over HTTP, in order, those of every life.
    """

    run: Mapping[str, Any]
    calls: list[str]


def watch_exchanges(interrupter: Interrupter) -> dict[str, list[Callable[..., None]]]:
    """Returns event hooks of a client: a worker dies before its request leaves, or when it was carried out unheard."""
    return {
        "request": [lambda request: interrupter.note(f"http.before_{request.method}")],
        "response": [lambda response: interrupter.note(f"http.after_{response.request.method}")],
    }


def live(
    store: RecordStore,
    interrupter: Interrupter,
    uses: str,
    arguments: Mapping[str, Any],
    action: Action,
    *,
    while_waiting: Callable[[], None],
) -> Life:
    """Runs a workflow of one step to its end.

    Args:
        store: the records.
        interrupter: kills workers; another goes on when the lease is over.
        uses: the action's name.
        arguments: its arguments.
        action: it, already watched where it calls ports of its own.
        while_waiting: called before each life.
    """
    workflow = build_workflow({"id": "only", "uses": uses, "with": dict(arguments)})
    store.put_workflows(workflow)
    delivery = build_delivery()
    [task_id] = store.deliveries.record_delivery(delivery, [], [PlannedRun(workflow)]).task_ids
    document = store.reading.read_delivery("github", UUID(delivery.envelope.delivery_id))
    assert document is not None
    [run] = document["runs"]
    clock = ManualClock()
    is_agent = uses in AGENT_STEPS or uses == APPROVAL_STEP
    deps = ExecuteDeps(
        records=interrupter.watch("records", store.tasks),
        queue=interrupter.watch("queue", MemoryTaskQueue(clock, visibility_seconds=720.0)),
        actions={} if is_agent else {uses: action},
        agents={uses: action} if is_agent else {},  # type: ignore[dict-item] # those of agents are agents
        templates=JinjaTemplates(),
        bodies=MemoryBodyStore(),
        telemetry=MemoryTelemetry(),
        policy=Policy(),
        new_id=lambda: str(uuid4()),
        jitter=lambda: 0.5,
        clock=clock,
    )
    for _ in range(MAX_LIVES):
        while_waiting()
        with suppress(Killed):
            execute(task_id, deps)
        shown = store.reading.read_run(UUID(run["run_id"]))
        assert shown is not None
        if Status(shown["status"]).is_final:
            return Life(shown, interrupter.calls)
        store.advance(PATIENCE_SECONDS)
    raise AssertionError(f"{uses} does not come to an end: {shown}")
