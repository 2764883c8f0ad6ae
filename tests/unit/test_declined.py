"""Execute: what is declined before anything is done, and why."""

from dataclasses import replace
from typing import Any

import pytest

from shared.adapters.memory.tasks import MemoryTasks
from shared.adapters.memory.world import MemoryAction, MemoryWorld
from shared.domain.effect import Effect, Written
from shared.domain.errors import OutcomeUnknown, Transient
from shared.domain.statuses import Status
from shared.domain.task import ClaimedTask
from shared.domain.workflow import Workflow
from shared.usecases.execute import execute
from tests.support.factories import build_envelope, build_workflow
from tests.support.orchestra import Orchestra
from tests.unit.test_execute import AGENT, COMMENT, find_task, find_tasks, outcomes, start


class ChangedFiles(MemoryAction):
    """Reads which files a pull request changes."""

    def __init__(self, world: MemoryWorld, *paths: str, is_truncated: bool = False) -> None:
        super().__init__(world)
        self._outputs = {"paths": list(paths), "count": len(paths), "is_truncated": is_truncated}
        self._world = world

    def plan(self, arguments: Any, document: Any) -> dict[str, Any]:  # noqa: ANN401 - as the port
        return {"subject": document["subject"]["key"]}

    def write(self, effect: Effect) -> Written:
        return self._world.write(effect, self._outputs)


def start_on_paths(*paths: str, is_truncated: bool = False, on: dict[str, Any] | None = None) -> Orchestra:
    """Returns an orchestra with a pull request of these files routed, for a workflow that looks at documents."""
    steps = (COMMENT, COMMENT | {"id": "again"})
    orchestra = Orchestra(build_workflow(*steps, on=on or {"pull_request": {"paths": ["docs/**", "*.md"]}}))
    files = ChangedFiles(orchestra.world, *paths, is_truncated=is_truncated)
    actions = {**orchestra.execute_deps.actions, "github.changed_files": files}
    orchestra.execute_deps = replace(orchestra.execute_deps, actions=actions)
    orchestra.deliveries.send(build_envelope())
    return orchestra


def kinds(orchestra: Orchestra) -> list[str]:
    return [effect.kind for effect in orchestra.world.writes]


@pytest.mark.parametrize(
    ("paths", "is_truncated"),
    [
        (["docs/guide/x.rst"], False),
        (["src/a.py", "README.md"], False),
        # What GitHub does not list may be one.
        (["src/a.py"], True),
    ],
)
def test_the_changed_files_are_looked_at_once_before_the_first_step(*, paths: list[str], is_truncated: bool) -> None:
    orchestra = start_on_paths(*paths, is_truncated=is_truncated)
    orchestra.run_to_end()
    assert kinds(orchestra) == ["github.changed_files", "github.comment", "github.comment"]
    assert orchestra.statuses == [Status.SUCCEEDED]


@pytest.mark.parametrize("paths", [["src/a.py", "src/docs/x.py"], []])
def test_a_pull_request_of_other_files_ends_the_run_with_its_reason(paths: list[str]) -> None:
    orchestra = start_on_paths(*paths)
    orchestra.run_to_end()
    task = find_task(orchestra)
    [[run]] = [delivery.runs for delivery in orchestra.database.deliveries.values()]
    assert kinds(orchestra) == ["github.changed_files"]
    assert (run.status, task.status, outcomes(task)) == (Status.CANCELLED, Status.CANCELLED, [(1, "declined")])
    assert run.reason == task.reason
    assert (run.reason or "").startswith("paths is ")
    assert task.effect is None
    assert orchestra.telemetry.metrics["runs_cancelled"] == 1


def test_changed_files_that_cannot_be_read_are_read_again() -> None:
    orchestra = start_on_paths("README.md")
    orchestra.world.fail_next(Transient("github is away"))
    orchestra.run_to_end()
    assert kinds(orchestra) == ["github.changed_files", "github.comment", "github.comment"]
    assert outcomes(find_tasks(orchestra)[0]) == [(1, "retried"), (2, "succeeded")]


class CutAction(MemoryAction):
    """Its first write is applied, and nobody hears of it."""

    def __init__(self, world: MemoryWorld) -> None:
        super().__init__(world)
        self._faults = [OutcomeUnknown("cut")]

    def write(self, effect: Effect) -> Written:
        written = super().write(effect)
        if self._faults:
            raise self._faults.pop()
        return written


def test_an_attempt_that_looks_for_its_write_does_not_look_at_the_files_again() -> None:
    orchestra = start_on_paths("README.md")
    actions = {**orchestra.execute_deps.actions, "github.comment": CutAction(orchestra.world)}
    orchestra.execute_deps = replace(orchestra.execute_deps, actions=actions)
    orchestra.run_to_end()
    assert kinds(orchestra) == ["github.changed_files", "github.comment", "github.comment"]
    assert outcomes(find_tasks(orchestra)[0]) == [(1, "retried"), (2, "succeeded")]


@pytest.mark.parametrize("on", [{"pull_request": {}}, {"pull_request": {}, "push": {"paths": ["docs/**"]}}])
def test_without_paths_of_the_event_no_files_are_looked_at(on: dict[str, Any]) -> None:
    orchestra = start_on_paths("src/a.py", on=on)
    orchestra.run_to_end()
    assert kinds(orchestra) == ["github.comment", "github.comment"]


def start_once() -> Orchestra:
    """Returns an orchestra with two deliveries for a group that has one chance; both runs wait for their time."""
    fields = {"concurrency": {"group": "one failure", "on_conflict": "once"}, "debounce": "20s"}
    orchestra = Orchestra(Workflow.model_validate({**build_workflow(AGENT, COMMENT).definition, **fields}))
    for _ in range(2):
        orchestra.deliveries.send(build_envelope())
    orchestra.route_batch()
    return orchestra


def test_once_lets_the_newest_that_has_not_begun_go_on() -> None:
    orchestra = start_once()
    orchestra.run_to_end()
    assert orchestra.statuses == [Status.SUPERSEDED, Status.SUCCEEDED]
    assert kinds(orchestra) == ["codegen.run", "github.comment"]
    orchestra.deliveries.send(build_envelope())
    orchestra.run_to_end()
    # The chance is spent for good.
    run = orchestra.database.runs[-1]
    reason = f"concurrency.on_conflict is once, and run {orchestra.database.runs[1].id} of the group has begun"
    assert (run.status, run.reason) == (Status.CANCELLED, reason)
    assert kinds(orchestra) == ["codegen.run", "github.comment"]


def test_a_run_whose_chance_was_taken_meanwhile_is_declined_by_name() -> None:
    orchestra = start_once()
    task = orchestra.database.runs[1].tasks[0]
    orchestra.clock.advance(21.0)
    taken = orchestra.execute_deps.records.claim_task(str(task.id), 90.0)
    assert taken is not None
    spent = replace(taken, once_spent_by="run-1")

    class Claims(MemoryTasks):
        """Another run of the group has begun between routing and claiming."""

        def claim_task(self, task_id: str, lease_seconds: float) -> ClaimedTask | None:
            return spent

    records = Claims(orchestra.database)
    execute(str(task.id), replace(orchestra.execute_deps, records=records))
    reason = "concurrency.on_conflict is once, and run run-1 of the group has begun"
    assert (task.status, task.reason, outcomes(task)) == (Status.CANCELLED, reason, [(1, "declined")])
    assert orchestra.world.writes == []
    assert orchestra.telemetry.messages[-2:] == ["task.cancelled", "run.cancelled"]


def test_agents_that_the_deployment_has_switched_off_are_declined_and_nothing_else_is() -> None:
    orchestra = start(COMMENT, AGENT, COMMENT | {"id": "again", "when": "always"})
    policy = replace(orchestra.execute_deps.policy, are_agents_on=False)
    orchestra.execute_deps = replace(orchestra.execute_deps, policy=policy)
    orchestra.run_to_end()
    comment, agent = find_tasks(orchestra)
    assert comment.status is Status.SUCCEEDED
    assert (agent.status, agent.reason) == (Status.CANCELLED, "agents are switched off: AGENTS_ENABLED is false")
    assert outcomes(agent) == [(1, "declined")]
    # Declined is no failure: no step for failures follows.
    assert orchestra.statuses == [Status.CANCELLED]
    assert kinds(orchestra) == ["github.comment"]
