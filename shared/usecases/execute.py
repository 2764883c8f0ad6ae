"""Execute: claim one attempt of a task, act, record what it came to, and go on.

At most once per intent: what is about to be written is recorded first. An attempt that finds such a record
looks outside before it writes, and a lease keeps two workers from doing so at the same time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from shared.domain.caps import Refusal
from shared.domain.delivery import read_delivery
from shared.domain.effect import Effect, Written
from shared.domain.envelope import UnreadableEnvelope
from shared.domain.errors import Declined, Deferred, OutcomeUnknown, Permanent, Refused, Transient
from shared.domain.retry import DeadLetter, Defer, Fail, describe, plan_retry
from shared.domain.statuses import Status, move
from shared.domain.subject import resolve_subject, storable_json
from shared.domain.task import AgentReport, ClaimedTask, Outcome, Settlement
from shared.domain.trigger import explain_paths
from shared.domain.workflow import AGENT_STEPS, APPROVAL_STEP, Caps, plan_course
from shared.ports import Action, Agent, BodyStore, TaskQueue, TaskRecords, Telemetry, Templates
from shared.usecases.route import read_body

# SQS delays a message by at most 15 minutes; reconcile enqueues what is due later.
MAX_DELAY_SECONDS = 900.0
MAX_POLL_SECONDS = 300.0
DEFAULT_AGENT_TIMEOUT_SECONDS = 2 * 3600
APPROVAL_TIMEOUT_SECONDS = 24 * 3600


# What an attempt came to that ended its task.
_OUTCOMES: Mapping[Status, Outcome] = {
    Status.SUCCEEDED: "succeeded",
    Status.FAILED: "failed",
    Status.DEAD: "dead",
    Status.CANCELLED: "declined",
    Status.SUPERSEDED: "declined",
}
# Enough for a busy team, and far from what a loop would spend.
_CAPS = Caps(per_subject=20, per_repository=200, per_day=1000)
CHANGED_FILES = "github.changed_files"
# How long until an agent that stands in the way is looked for again.
BUSY_SECONDS = 15.0


class LeaseLost(Exception):
    """Another worker has the task now: stop here, write nothing."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long and how often.

    Attributes:
        lease_seconds: a worker that has not reported back after so long has lost the task.
        write_seconds: the longest a single write takes; none is begun with less of the lease left.
        agent_poll_seconds: until the first poll of an agent run; it doubles with each up to 5 minutes.
        max_attempts: of a step that does not say otherwise.
        retry_base_seconds: the delay after the first attempt.
        are_agents_on: the deployment's kill switch; the API has another.
        max_agent_runs: the deployment's caps within 24 hours; a workflow may have lower ones.
    """

    lease_seconds: float = 90.0
    write_seconds: float = 25.0
    agent_poll_seconds: float = 30.0
    max_attempts: int = 8
    retry_base_seconds: float = 5.0
    are_agents_on: bool = True
    max_agent_runs: Caps = _CAPS


@dataclass(frozen=True, slots=True)
class ExecuteDeps:
    """What execute works with. An action's name begins with its upstream: ``github.comment``."""

    records: TaskRecords
    queue: TaskQueue
    actions: Mapping[str, Action]
    agents: Mapping[str, Agent]
    templates: Templates
    bodies: BodyStore
    telemetry: Telemetry
    policy: Policy
    new_id: Callable[[], str]
    jitter: Callable[[], float]
    clock: Callable[[], float]


def execute(task_id: str, deps: ExecuteDeps) -> None:
    """Makes one attempt of the task, or one poll of its agent run.

    A task that is finished, not yet due or held by another worker is passed over: its message has done its work.

    Raises:
        Transient: when the database cannot be reached: the message is to be kept.
    """
    task = deps.records.claim_task(task_id, deps.policy.lease_seconds)
    if task is None:
        deps.telemetry.count("tasks_passed_over")
        return
    started = deps.clock()
    try:
        if task.is_over:
            settlement = _end(task, deps)
        else:
            settlement = _poll(task, deps) if task.is_waiting else _act(task, deps, started)
    except LeaseLost:
        settlement = None
    except Exception as error:  # noqa: BLE001 - the one place where every fault becomes a recorded decision
        settlement = _plan_again(task, error, deps)
    created = None if settlement is None else deps.records.settle_task(task, settlement)
    if settlement is None or created is None:
        deps.telemetry.log("attempt.lost", level="WARNING", **task.ids)
        return
    _report(task, settlement, deps, deps.clock() - started)
    _enqueue(task, settlement, list(created), deps)


def _act(task: ClaimedTask, deps: ExecuteDeps, started: float) -> Settlement:
    uses = task.step.uses
    action = deps.actions.get(uses) or deps.agents.get(uses)
    if action is None:
        raise Permanent(f"there is no action {uses!r}")
    if task.once_spent_by is not None:
        raise Declined(f"concurrency.on_conflict is once, and run {task.once_spent_by} of the group has begun")
    if task.attempt > _max_attempts(task, deps):
        raise Permanent(f"gave up: {task.attempt - 1} attempts did not report back")
    written = None
    if task.effect is None:
        document = {**_document(task, deps), "run": {"id": task.run_id, "workflow": task.workflow.name}}
        if task.position == 0:
            _heed_paths(task, document, deps)
        request = action.plan(_render(task, document, deps), document)
        # As it is recorded, so that a later attempt writes exactly what this one does.
        effect = Effect(deps.new_id(), uses, storable_json(request))
        _plan(task, effect, deps)
    else:
        effect = task.effect
        written = action.look_up(effect)
    if written is None:
        if deps.clock() - started + deps.policy.write_seconds > deps.policy.lease_seconds:
            raise Transient("too little of the lease was left to write safely")
        written = action.write(effect)
    if uses in deps.agents:
        return _wait(task, deps, written, _as_started(uses, written))
    return _finish(task, Status.SUCCEEDED, written=written, outputs={"url": written.url, **written.outputs})


def _heed_paths(task: ClaimedTask, document: Mapping[str, Any], deps: ExecuteDeps) -> None:
    """Looks at the changed files of a pull request, which the payload does not name, before anything is done."""
    event = task.envelope.event
    trigger = task.workflow.on.get(event)
    if trigger is None or trigger.paths is None or not trigger.has_open_paths(event):
        return
    action = deps.actions[CHANGED_FILES]
    changed = action.write(Effect(deps.new_id(), CHANGED_FILES, action.plan({}, document))).outputs
    answer = explain_paths(trigger.paths, changed["paths"])
    if not answer.matched and not changed["is_truncated"]:
        raise Declined(answer.because)


def _plan(task: ClaimedTask, effect: Effect, deps: ExecuteDeps) -> None:
    if effect.kind not in AGENT_STEPS:
        is_planned: Refusal | bool = deps.records.plan_effect(task, effect)
    elif deps.policy.are_agents_on:
        is_planned = deps.records.plan_agent(task, effect, deps.policy.max_agent_runs)
    else:
        raise Declined("agents are switched off: AGENTS_ENABLED is false")
    if isinstance(is_planned, Refusal):
        if is_planned.kind == "busy":
            raise Deferred(is_planned.reason, BUSY_SECONDS)
        raise Declined(is_planned.reason, is_superseded=is_planned.kind == "superseded")
    if not is_planned:
        raise LeaseLost


def _end(task: ClaimedTask, deps: ExecuteDeps) -> Settlement:
    """The run is over: what its agent still does is asked to end, and waited for, so that it counts as working."""
    agent, effect = deps.agents.get(task.step.uses), task.effect
    if agent is None or effect is None:
        return Settlement(Status.WAITING, is_agent_over=True)
    agent_run_id, written = task.agent_run_id, None
    if agent_run_id is None:
        # A worker may have died between starting the agent and saying so.
        written = agent.look_up(effect)
        if written is None:
            return Settlement(Status.WAITING, is_agent_over=True, is_effect_dropped=True)
        agent_run_id = written.external_id
    agent.cancel(agent_run_id)
    report = agent.read(agent_run_id)
    timeout_seconds = _timeout_seconds(task)
    is_agent_over = report.phase != "working" or task.agent_age_seconds >= timeout_seconds
    settlement = Settlement(Status.WAITING, written=written, agent_run=report, is_agent_over=is_agent_over)
    return settlement if is_agent_over else replace(settlement, delay_seconds=_poll_delay(task, deps), is_enqueued=True)


def _as_started(uses: str, written: Written) -> AgentReport:
    agent = uses.partition(".")[0]
    return AgentReport(agent, written.external_id, str(written.outputs.get("status")), "working", written.url)


def _poll(task: ClaimedTask, deps: ExecuteDeps) -> Settlement:
    agent_run_id = task.agent_run_id
    if agent_run_id is None:
        raise Permanent("the task waits for an agent run that was never recorded")
    timeout_seconds = _timeout_seconds(task)
    report = deps.agents[task.step.uses].read(agent_run_id)
    if report.phase == "working":
        if task.agent_age_seconds < timeout_seconds:
            return _wait(task, deps, None, report)
        _stop(task, agent_run_id, deps)
        what = "nobody approved" if task.step.uses == APPROVAL_STEP else "the agent run did not end"
        reason = f"{what} within {timeout_seconds} seconds (it says {report.status})"
        return _finish(task, Status.FAILED, reason=reason, agent_run=report, outputs=_outputs(report))
    if report.phase == "succeeded":
        return _finish(task, Status.SUCCEEDED, agent_run=report, outputs=_outputs(report))
    reason = report.detail or f"the agent run ended as {report.status}"
    return _finish(task, Status.FAILED, reason=reason, agent_run=report, outputs=_outputs(report))


def _stop(task: ClaimedTask, agent_run_id: str, deps: ExecuteDeps) -> None:
    try:
        deps.agents[task.step.uses].cancel(agent_run_id)
    except (Transient, Permanent) as error:
        # It was given up already; that it goes on costs money and changes nothing.
        deps.telemetry.log("agent_run.left", level="WARNING", **task.ids, agent_run_id=agent_run_id, reason=str(error))


def _outputs(report: AgentReport) -> dict[str, Any]:
    return {
        "agent_run_id": report.agent_run_id,
        "url": report.url,
        "result": report.result,
        "summary": report.summary,
        "pull_requests": list(report.pull_requests),
    }


def _wait(task: ClaimedTask, deps: ExecuteDeps, written: Written | None, report: AgentReport) -> Settlement:
    return Settlement(
        Status.WAITING,
        outcome=None if task.is_waiting else "succeeded",
        delay_seconds=_poll_delay(task, deps),
        is_enqueued=True,
        written=written,
        agent_run=report,
    )


def _timeout_seconds(task: ClaimedTask) -> int:
    default = APPROVAL_TIMEOUT_SECONDS if task.step.uses == APPROVAL_STEP else DEFAULT_AGENT_TIMEOUT_SECONDS
    return task.step.timeout or default


def _poll_delay(task: ClaimedTask, deps: ExecuteDeps) -> float:
    if task.step.uses == APPROVAL_STEP:
        # Whoever approves has it looked at; this is for an approval whose message was lost.
        return MAX_DELAY_SECONDS
    return min(deps.policy.agent_poll_seconds * 2.0**task.poll_count, MAX_POLL_SECONDS)


def _finish(
    task: ClaimedTask,
    status: Status,
    *,
    reason: str | None = None,
    written: Written | None = None,
    agent_run: AgentReport | None = None,
    outputs: Mapping[str, Any] | None = None,
) -> Settlement:
    move(Status.WAITING if task.is_waiting else Status.RUNNING, status)
    outcomes = {each.position: each.status for each in task.earlier} | {task.position: status}
    return Settlement(
        status,
        course=plan_course(task.workflow, outcomes),
        outcome=None if task.is_waiting else _OUTCOMES[status],
        reason=reason,
        written=written,
        agent_run=agent_run,
        outputs=outputs,
    )


def _plan_again(task: ClaimedTask, error: Exception, deps: ExecuteDeps) -> Settlement:
    """Turns what went wrong into what happens next; a fault of the database itself goes up to the queue."""
    if task.is_over:
        # Nobody waits for it any more; it is tried until the agent's own deadline.
        is_agent_over = task.agent_age_seconds >= _timeout_seconds(task)
        return Settlement(
            Status.WAITING,
            reason=describe(error),
            delay_seconds=BUSY_SECONDS,
            is_enqueued=not is_agent_over,
            is_agent_over=is_agent_over or isinstance(error, Permanent),
        )
    if isinstance(error, Declined):
        return _finish(task, Status.SUPERSEDED if error.is_superseded else Status.CANCELLED, reason=str(error))
    # A poll is no attempt: only the agent run's own deadline ends the waiting.
    attempt = 1 if task.is_waiting else task.attempt
    max_attempts = attempt + 1 if task.is_waiting else _max_attempts(task, deps)
    decision = plan_retry(
        error,
        attempt,
        max_attempts=max_attempts,
        base_seconds=deps.policy.retry_base_seconds,
        jitter=deps.jitter(),
    )
    if isinstance(decision, Fail):
        return _finish(task, Status.FAILED, reason=decision.reason)
    if isinstance(decision, DeadLetter):
        return _finish(task, Status.DEAD, reason=decision.reason)
    if task.is_waiting and task.agent_age_seconds >= _timeout_seconds(task):
        return _finish(task, Status.DEAD, reason=f"the agent run could not be followed: {describe(error)}")
    status = Status.WAITING if task.is_waiting else Status.QUEUED
    outcome = None if task.is_waiting else ("deferred" if isinstance(decision, Defer) else "retried")
    return Settlement(
        status,
        outcome=outcome,  # type: ignore[arg-type] # one of the two literals just above
        reason=describe(error),
        delay_seconds=decision.seconds,
        is_enqueued=decision.seconds <= MAX_DELAY_SECONDS,
        # Planned by this attempt, and its write, if there was one, was refused or never sent.
        is_effect_dropped=task.effect is None
        and isinstance(error, Transient)
        and not isinstance(error, OutcomeUnknown),
    )


def _max_attempts(task: ClaimedTask, deps: ExecuteDeps) -> int:
    return task.step.retry.max_attempts if task.step.retry is not None else deps.policy.max_attempts


def _document(task: ClaimedTask, deps: ExecuteDeps) -> dict[str, Any]:
    try:
        delivery = read_delivery(task.envelope, read_body(task.envelope, deps.bodies))
    except (UnreadableEnvelope, Refused) as error:
        raise Permanent(f"the delivery's body cannot be read: {error}") from error
    # Route may have found the pull request that the delivery does not name.
    return replace(delivery, subject=resolve_subject(delivery.subject, task.subject)).document


def _render(task: ClaimedTask, document: Mapping[str, Any], deps: ExecuteDeps) -> dict[str, Any]:
    steps = {each.step: {**each.outputs, "status": each.status.value, "error": each.reason} for each in task.earlier}
    return deps.templates.render(task.step.arguments, {**document, "steps": steps})


def _report(task: ClaimedTask, settlement: Settlement, deps: ExecuteDeps, seconds: float) -> None:
    telemetry = deps.telemetry
    ids = task.ids
    if settlement.reason is not None:
        ids["reason"] = settlement.reason
    if settlement.written is not None:
        ids |= {"effect_url": settlement.written.url, "external_id": settlement.written.external_id}
    if settlement.outcome is not None:
        telemetry.count(f"attempts_{settlement.outcome}")
        telemetry.count("attempt_seconds", seconds)
    if task.is_over:
        message = "agent_run.ended" if settlement.is_agent_over else "agent_run.lingers"
        telemetry.log(message, level="INFO", **ids)
        return
    if settlement.status in {Status.QUEUED, Status.WAITING}:
        message = "attempt.failed" if settlement.status is Status.QUEUED else "task.waited"
        level = "WARNING" if settlement.status is Status.QUEUED else "INFO"
        telemetry.log(message, level=level, **ids, retry_in=round(settlement.delay_seconds, 1))
        return
    level = "ERROR" if settlement.status is Status.DEAD else "INFO"
    telemetry.count(f"tasks_{settlement.status.value}")
    telemetry.log(f"task.{settlement.status.value}", level=level, **ids)
    if settlement.course is not None and settlement.course.position is None:
        telemetry.count(f"runs_{settlement.course.status.value}")
        telemetry.log(f"run.{settlement.course.status.value}", level=level, **ids)


def _enqueue(task: ClaimedTask, settlement: Settlement, created: list[str], deps: ExecuteDeps) -> None:
    try:
        if created:
            deps.queue.send(created)
        if settlement.is_enqueued:
            deps.queue.send([task.task_id], ceil(settlement.delay_seconds))
    except (Transient, Permanent) as error:
        # The truth is in the database: reconcile sends what a worker could not.
        deps.telemetry.log("task.stranded", level="WARNING", **task.ids, reason=str(error))
