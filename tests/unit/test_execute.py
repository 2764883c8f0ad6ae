"""Execute: attempts, retries, limits, agent runs, and the course of a run."""

from dataclasses import replace
from typing import Any

import pytest

from shared.adapters.memory.database import TaskRow
from shared.domain.envelope import deflate
from shared.domain.errors import Limited, OutcomeUnknown, Permanent, Transient, Unavailable
from shared.domain.statuses import Status
from shared.domain.workflow import Workflow
from shared.usecases.execute import execute
from tests.support.factories import build_envelope, build_payload, build_workflow
from tests.support.orchestra import Orchestra

COMMENT: dict[str, Any] = {"id": "say", "uses": "github.comment", "with": {"body": "Hello {{ sender.login }}"}}
AGENT: dict[str, Any] = {"id": "work", "uses": "codegen.run", "with": {"prompt": "Work"}, "timeout": "10m"}


def start(*steps: dict[str, Any], payload: dict[str, Any] | None = None, work_seconds: float = 60.0) -> Orchestra:
    """Returns an orchestra with one delivery routed; its first task is in the queue."""
    orchestra = Orchestra(build_workflow(*steps), work_seconds=work_seconds)
    orchestra.deliveries.send(build_envelope(payload))
    orchestra.route_batch()
    return orchestra


def find_tasks(orchestra: Orchestra) -> list[TaskRow]:
    [delivery] = orchestra.database.deliveries.values()
    [run] = delivery.runs
    return run.tasks


def find_task(orchestra: Orchestra) -> TaskRow:
    return find_tasks(orchestra)[-1]


def outcomes(task: TaskRow) -> list[tuple[int, str | None]]:
    return [(attempt.number, attempt.outcome) for attempt in task.attempts]


def test_a_step_is_written_once_and_recorded() -> None:
    orchestra = start(COMMENT)
    orchestra.execute_batch()
    task = find_task(orchestra)
    [written] = orchestra.world.writes
    assert written.request == {"body": "Hello ada", "subject": "acme/widgets#7"}
    assert (task.status, outcomes(task)) == (Status.SUCCEEDED, [(1, "succeeded")])
    assert task.outputs == {"url": "memory://github.comment/1"}
    assert task.effect is not None
    assert (task.effect.external_id, task.effect.url) == ("1", "memory://github.comment/1")
    assert orchestra.statuses == [Status.SUCCEEDED]
    assert orchestra.telemetry.messages == ["delivery.routed", "task.succeeded", "run.succeeded"]
    fields = orchestra.telemetry.lines[-1].fields
    assert {"correlation_id", "delivery_id", "run_id", "task_id", "workflow", "step", "attempt"} <= set(fields)


def test_a_message_of_a_finished_task_is_passed_over() -> None:
    orchestra = start(COMMENT)
    task_id = str(find_task(orchestra).id)
    orchestra.run_to_end()
    execute(task_id, orchestra.execute_deps)
    assert len(orchestra.world.writes) == 1
    assert orchestra.telemetry.metrics["tasks_passed_over"] == 1


def test_an_agent_run_is_started_polled_and_followed_by_the_next_step() -> None:
    orchestra = start(AGENT, {"uses": "github.comment", "with": {"body": "{{ steps.work.result }}"}})
    orchestra.execute_batch()
    task = find_task(orchestra)
    assert (task.status, outcomes(task), orchestra.statuses) == (
        Status.WAITING,
        [(1, "succeeded")],
        [Status.WAITING],
    )
    polled_at = []
    for _ in range(100):
        orchestra.clock.advance(1.0)
        if orchestra.execute_batch():
            polled_at.append(orchestra.clock.now)
    assert task.agent_run is not None
    assert (task.agent_run.poll_count, task.agent_run.report.phase) == (2, "succeeded")
    assert polled_at[1] - polled_at[0] == pytest.approx(30.0, abs=1.0)
    assert task.attempt_count == 1
    orchestra.run_to_end()
    assert [effect.kind for effect in orchestra.world.writes] == ["codegen.run", "github.comment"]
    assert orchestra.world.writes[1].request["body"] == "The work is done."
    assert orchestra.statuses == [Status.SUCCEEDED]


def test_polls_become_rarer_up_to_five_minutes() -> None:
    orchestra = start(AGENT | {"timeout": "1d"}, work_seconds=3600.0)
    orchestra.run_to_end()
    delays = [line.fields["retry_in"] for line in orchestra.telemetry.lines if line.message == "task.waited"]
    assert delays[:6] == [30.0, 30.0, 60.0, 120.0, 240.0, 300.0]
    assert set(delays[6:]) == {300.0}


@pytest.mark.parametrize(("phase", "status"), [("failed", "FAILED"), ("cancelled", "CANCELLED")])
def test_an_agent_run_that_fails_leads_to_the_steps_for_failures(phase: Any, status: str) -> None:  # noqa: ANN401 - a literal
    after = {"uses": "github.comment", "when": "failure", "with": {"body": "{{ steps.work.error }}"}}
    orchestra = start(AGENT, COMMENT, after)
    orchestra.world.end_agent_run("1", phase)
    orchestra.run_to_end()
    assert [task.position for task in find_tasks(orchestra)] == [0, 2]
    assert orchestra.world.writes[1].request["body"] == f"the agent run ended as {status}"
    assert orchestra.statuses == [Status.FAILED]


def test_an_agent_run_that_never_ends_fails_at_its_timeout() -> None:
    after = {"uses": "github.comment", "when": "failure", "with": {"body": "{{ steps.work.error }}"}}
    orchestra = start(AGENT | {"timeout": "1m"}, after, work_seconds=1e9)
    orchestra.run_to_end()
    reason = "the agent run did not end within 60 seconds (it says ACTIVE)"
    task, _ = find_tasks(orchestra)
    assert (task.status, task.reason) == (Status.FAILED, reason)
    # It is stopped, said once, and what comes of it all the same is not looked at.
    assert orchestra.world.cancelled == ["1"]
    assert [said.request["body"] for said in orchestra.world.list_written("github.comment")] == [reason]
    writes = list(orchestra.world.writes)
    orchestra.task_queue.send([str(task.id)])
    orchestra.run_to_end()
    assert (orchestra.statuses, orchestra.world.writes) == ([Status.FAILED], writes)


def test_polls_that_fail_are_no_attempts_and_end_with_the_timeout() -> None:
    orchestra = start(AGENT | {"timeout": "30m"})
    for _ in range(1000):
        orchestra.world.fail_next(Transient("codegen is away"), "read")
    orchestra.run_to_end()
    task = find_task(orchestra)
    assert task.status is Status.DEAD
    assert task.reason == "the agent run could not be followed: codegen is away"
    assert outcomes(task) == [(1, "succeeded")]


def test_an_agent_run_that_is_gone_is_dead_at_once() -> None:
    orchestra = start(AGENT)
    orchestra.world.fail_next(Permanent("no such agent run"), "read")
    orchestra.run_to_end()
    assert (find_task(orchestra).status, find_task(orchestra).reason) == (Status.DEAD, "no such agent run")


@pytest.mark.parametrize("call", ["write", "read"])
def test_an_agent_that_is_unavailable_fails_softly_and_is_said_once(call: Any) -> None:  # noqa: ANN401 - a literal
    after = {"uses": "github.comment", "when": "failure", "with": {"body": "{{ steps.work.error }}"}}
    orchestra = start(AGENT, after)
    orchestra.world.fail_next(Unavailable("agent unavailable: it was switched off"), call)
    orchestra.run_to_end()
    assert [task.status for task in find_tasks(orchestra)] == [Status.FAILED, Status.SUCCEEDED]
    [said] = orchestra.world.list_written("github.comment")
    assert said.request["body"] == "agent unavailable: it was switched off"
    assert orchestra.statuses == [Status.FAILED]


@pytest.mark.parametrize("is_applied", [False, True])
@pytest.mark.parametrize("step", [COMMENT, AGENT], ids=["comment", "agent"])
def test_a_write_without_an_answer_is_looked_up_before_it_is_repeated(step: dict[str, Any], is_applied: bool) -> None:  # noqa: FBT001 - a column of the table
    orchestra = start(step)
    orchestra.world.fail_next(OutcomeUnknown("the connection was cut"), is_applied=is_applied)
    orchestra.run_to_end()
    assert len(orchestra.world.writes) == 1
    assert orchestra.statuses == [Status.SUCCEEDED]
    assert outcomes(find_task(orchestra)) == [(1, "retried"), (2, "succeeded")]


def test_what_an_attempt_planned_is_what_the_next_one_writes() -> None:
    orchestra = start(COMMENT, payload=build_payload(sender={"login": "\ud800 \x00", "type": "User"}))
    orchestra.world.fail_next(OutcomeUnknown("cut"), is_applied=False)
    orchestra.run_to_end()
    task = find_task(orchestra)
    assert task.effect is not None
    assert orchestra.world.writes[0].request == task.effect.effect.request
    assert orchestra.world.writes[0].request["body"] == "Hello ? \ufffd"
    assert orchestra.world.writes[0].id == task.effect.effect.id


@pytest.mark.parametrize("error", [Transient("not sent"), Limited("github", "github answered 429", 5.0)])
def test_what_was_certainly_not_written_is_not_looked_for(error: Transient) -> None:
    orchestra = start(COMMENT)
    orchestra.world.fail_next(error)
    # The next attempt would fail in this look-up.
    orchestra.world.fail_next(Permanent("unknown_outcome"), "look_up")
    orchestra.run_to_end()
    assert orchestra.statuses == [Status.SUCCEEDED]
    [written] = orchestra.world.writes
    task = find_task(orchestra)
    assert task.effect is not None
    assert task.effect.effect.id == written.id


def test_what_an_earlier_attempt_may_have_written_is_looked_for_again_and_again() -> None:
    orchestra = start(COMMENT)
    orchestra.world.fail_next(OutcomeUnknown("cut"), is_applied=False)
    orchestra.world.fail_next(Limited("github", "github answered 429", 5.0))
    orchestra.run_to_end()
    calls = [call for call in orchestra.interrupter.calls if call.startswith("comment.")]
    assert calls == ["comment.plan", "comment.write", *["comment.look_up", "comment.write"] * 2]


def test_a_failed_look_up_writes_nothing() -> None:
    orchestra = start(COMMENT)
    orchestra.world.fail_next(OutcomeUnknown("cut"), is_applied=True)
    orchestra.world.fail_next(Transient("away"), "look_up")
    orchestra.run_to_end()
    assert len(orchestra.world.writes) == 1
    assert outcomes(find_task(orchestra)) == [(1, "retried"), (2, "retried"), (3, "succeeded")]


def test_attempts_are_spent() -> None:
    orchestra = start(COMMENT | {"retry": {"max_attempts": 3}})
    for _ in range(3):
        orchestra.world.fail_next(Transient("github is away"))
    orchestra.run_to_end()
    task = find_task(orchestra)
    assert (task.status, task.reason) == (Status.DEAD, "gave up after 3 attempts: github is away")
    assert outcomes(task) == [(1, "retried"), (2, "retried"), (3, "dead")]
    assert orchestra.statuses == [Status.DEAD]
    assert orchestra.telemetry.metrics["runs_dead"] == 1


def test_a_refusal_is_not_repeated() -> None:
    orchestra = start(COMMENT)
    orchestra.world.fail_next(Permanent("github answered 404"))
    orchestra.run_to_end()
    assert (find_task(orchestra).status, outcomes(find_task(orchestra))) == (Status.DEAD, [(1, "dead")])


def test_a_limit_costs_no_attempt_however_often_it_is_met() -> None:
    orchestra = start(COMMENT)
    for _ in range(20):
        orchestra.world.fail_next(Limited("github", "github asked to wait", 120.0))
    begun_at = orchestra.clock.now
    orchestra.execute_batch()
    task = find_task(orchestra)
    assert (task.status, task.attempt_count, task.attempts) == (Status.QUEUED, 0, [])
    assert task.reason == "github asked to wait"
    orchestra.run_to_end()
    assert len(orchestra.world.writes) == 1
    assert outcomes(task) == [(1, "succeeded")]
    assert task.finished_at is not None
    assert task.finished_at - begun_at >= 20 * 120.0


def test_a_limit_beyond_what_the_queue_delays_is_left_to_reconcile() -> None:
    orchestra = start(COMMENT)
    orchestra.world.fail_next(Limited("github", "github answered 403", 3600.0))
    orchestra.execute_batch()
    assert (find_task(orchestra).enqueued_at, len(orchestra.task_queue.messages)) == (None, 0)
    orchestra.run_to_end()
    assert len(orchestra.world.writes) == 1


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"uses": "github.levitate", "with": {"x": 1}}, "there is no action 'github.levitate'"),
        ({"uses": "github.comment"}, "there is nothing to write: give 'with' some arguments"),
        (
            COMMENT | {"with": {"body": "{{ nobody }}"}},
            "the template at with.body cannot be rendered: 'nobody' is undefined",
        ),
    ],
)
def test_a_faulty_step_is_dead_with_its_reason(step: dict[str, Any], reason: str) -> None:
    orchestra = start(step)
    orchestra.run_to_end()
    assert (find_task(orchestra).status, find_task(orchestra).reason) == (Status.DEAD, reason)


def test_a_body_that_is_gone_is_dead_with_its_reason() -> None:
    orchestra = start(COMMENT)
    [delivery] = orchestra.database.deliveries.values()
    delivery.body = deflate(b"[]")
    orchestra.run_to_end()
    assert (find_task(orchestra).reason or "").startswith("the delivery's body cannot be read")


def test_a_worker_that_died_is_followed_by_another_when_its_lease_is_over() -> None:
    orchestra = start(COMMENT)
    task = find_task(orchestra)
    assert orchestra.execute_deps.records.claim_task(str(task.id), 90.0) is not None
    orchestra.execute_batch()
    assert orchestra.world.writes == []
    orchestra.run_to_end()
    assert outcomes(task) == [(1, "lost"), (2, "succeeded")]
    assert len(orchestra.world.writes) == 1


def test_workers_that_die_again_and_again_give_up_without_acting() -> None:
    orchestra = start(COMMENT | {"retry": {"max_attempts": 2}})
    task = find_task(orchestra)
    for _ in range(2):
        assert orchestra.execute_deps.records.claim_task(str(task.id), 90.0) is not None
        orchestra.clock.advance(91.0)
    orchestra.run_to_end()
    assert (task.status, task.reason) == (Status.DEAD, "gave up: 2 attempts did not report back")
    assert orchestra.world.writes == []


def test_a_worker_whose_lease_passed_on_writes_nothing() -> None:
    orchestra = start(COMMENT)
    task = find_task(orchestra)
    templates = orchestra.execute_deps.templates

    class SlowTemplates:
        """Somebody else takes the task while the templates are rendered."""

        def render(self, arguments: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401 - as the port
            orchestra.clock.advance(91.0)
            assert orchestra.execute_deps.records.claim_task(str(task.id), 90.0) is not None
            return templates.render(arguments, context)

    execute(str(task.id), replace(orchestra.execute_deps, templates=SlowTemplates()))
    assert orchestra.world.writes == []
    assert orchestra.telemetry.messages[-1] == "attempt.lost"
    assert outcomes(task) == [(1, "lost"), (2, None)]


def test_no_write_is_begun_with_too_little_of_the_lease_left() -> None:
    orchestra = start(COMMENT)
    task = find_task(orchestra)
    templates = orchestra.execute_deps.templates

    class SlowTemplates:
        def render(self, arguments: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401 - as the port
            orchestra.clock.advance(70.0)
            return templates.render(arguments, context)

    execute(str(task.id), replace(orchestra.execute_deps, templates=SlowTemplates()))
    assert orchestra.world.writes == []
    assert task.attempts[0].error == "too little of the lease was left to write safely"


def test_a_database_that_goes_away_keeps_the_message() -> None:
    orchestra = start(COMMENT)
    task_id = str(find_task(orchestra).id)
    orchestra.database.is_up = False
    with pytest.raises(Transient):
        execute(task_id, orchestra.execute_deps)
    orchestra.database.is_up = True
    orchestra.run_to_end()
    assert len(orchestra.world.writes) == 1


def test_a_queue_that_is_away_is_healed_by_reconcile() -> None:
    class LostQueue:
        def send(self, task_ids: object, delay_seconds: int = 0) -> None:
            raise Transient(f"sqs is away for {task_ids} in {delay_seconds}")

    orchestra = start(COMMENT, COMMENT | {"id": "again"})
    execute(str(find_task(orchestra).id), replace(orchestra.execute_deps, queue=LostQueue()))
    assert orchestra.telemetry.messages[-1] == "task.stranded"
    orchestra.run_to_end()
    assert len(orchestra.world.writes) == 2


def test_an_agent_that_is_not_configured_is_named() -> None:
    orchestra = start(AGENT)
    execute(str(find_task(orchestra).id), replace(orchestra.execute_deps, agents={}))
    assert find_task(orchestra).reason == "there is no action 'codegen.run'"


def test_steps_see_what_earlier_steps_came_to() -> None:
    body = "{{ steps.say.status }} {{ steps.say.url }} {{ run.workflow }} {{ delivery.event }} {{ steps['2'].error }}"
    failing = {"uses": "github.status", "with": {"state": "{{ nobody }}"}}
    orchestra = start(COMMENT, failing, {"uses": "github.comment", "when": "always", "with": {"body": body}})
    orchestra.run_to_end()
    said = orchestra.world.writes[-1].request["body"]
    assert said.startswith("succeeded memory://github.comment/1 greet pull_request the template at with.state")
    assert orchestra.statuses == [Status.DEAD]


def test_the_workflow_of_the_beginning_counts() -> None:
    orchestra = start(COMMENT)
    orchestra.database.put_workflows([Workflow.model_validate(build_workflow(COMMENT | {"with": {"body": "New"}}))])
    orchestra.run_to_end()
    assert orchestra.world.writes[0].request["body"] == "Hello ada"
