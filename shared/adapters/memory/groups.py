"""What runs mean to each other, in memory, by the rules of ``record_delivery`` in ``shared/sql/route.sql``."""

from shared.adapters.memory.database import MemoryDatabase, RunRow, TaskRow
from shared.domain.caps import AgentCounts, AgentFacts
from shared.domain.statuses import Status

DAY_SECONDS = 86_400.0

_UNBEGUN = frozenset({Status.QUEUED, Status.SUPERSEDED, Status.CANCELLED})


def settle_in_group(database: MemoryDatabase, run: RunRow, newer: str | None, max_depth: int, now: float) -> list[str]:
    """Decides whether a new run may begin, and what of earlier ones it replaces.

    Args:
        database: that has the runs before this one, and not yet this one.
        run: the new one.
        newer: the delivery that told of a newer moment of the subject, or None.
        max_depth: of its workflow's guard.
        now: seconds since 1970.

    Returns:
        The ids of stopped tasks whose agents are to be ended.
    """
    in_group = [each for each in database.runs if run.group is not None and each.group == run.group]
    in_the_way = [each for each in in_group if _is_in_the_way(run.on_conflict, each)]
    if newer is not None:
        _refuse(run, Status.SUPERSEDED, f"the subject has moved on: delivery {newer} told of a newer state", now)
    elif run.depth >= max_depth:
        reason = f"guard.max_depth is {max_depth}, and as many agent runs stand behind this one"
        _refuse(run, Status.CANCELLED, reason, now)
    elif in_the_way:
        what = "is under way" if run.on_conflict == "skip" else "has begun"
        reason = f"concurrency.on_conflict is {run.on_conflict}, and run {in_the_way[0].id} of the group {what}"
        _refuse(run, Status.CANCELLED, reason, now)
    if run.status is not Status.QUEUED:
        return []
    stopped = []
    for each in in_group:
        if each.finished_at is None and _is_replaced(run.on_conflict, each):
            each.superseded_by = run.id
            reason = f"run {run.id} of delivery {run.delivery.delivery_id} takes its place"
            stopped += end_run(each, Status.SUPERSEDED, reason, now)
    return stopped


def end_run(run: RunRow, status: Status, reason: str, now: float) -> list[str]:
    """Ends a run; whoever holds a live lease is let finish. Returns the tasks whose agents are to be ended."""
    run.status, run.reason, run.finished_at = status, reason, now
    stopped = [task for task in run.tasks if task.finished_at is None and not is_leased(task, now)]
    for task in stopped:
        task.status, task.reason, task.finished_at = status, reason, now
        task.lease_until = task.lease_token = None
    return [str(task.id) for task in stopped if has_open_agent(task)]


def is_leased(task: TaskRow, now: float) -> bool:
    """Tells whether a worker holds the task."""
    return task.lease_until is not None and task.lease_until >= now


def has_open_agent(task: TaskRow) -> bool:
    """Tells whether the task started, or may have started, an agent that may still work."""
    return task.effect is not None and task.effect.is_agent and task.effect.ended_at is None


def is_blocked(database: MemoryDatabase, run: RunRow) -> bool:
    """Tells whether the run may not begin yet."""
    if run.group is None or run.status is not Status.QUEUED:
        return False
    return any(each.group == run.group and each.id < run.id and each.finished_at is None for each in database.runs)


def find_awaited(database: MemoryDatabase, run: RunRow) -> list[str]:
    """Returns the task of the group's run that may begin now."""
    if run.group is None or run.finished_at is None:
        return []
    queued = [each for each in database.runs if each.group == run.group and each.status is Status.QUEUED]
    return [str(task.id) for each in queued[:1] for task in each.tasks if task.status is Status.QUEUED]


def find_spender(database: MemoryDatabase, run: RunRow) -> str | None:
    """Returns the earlier run that has taken the one chance of a group whose ``on_conflict`` is ``once``."""
    if run.on_conflict != "once":
        return None
    ended = {Status.SUPERSEDED, Status.CANCELLED}
    earlier = [each for each in database.runs if each.group == run.group and each.id < run.id]
    return next((str(each.id) for each in earlier if each.status not in ended), None)


def gather_facts(database: MemoryDatabase, run: RunRow, now: float) -> AgentFacts:
    """Returns what is to be weighed before the run starts an agent."""
    beside = [each for each in database.runs if run.group is not None and each.group == run.group and each is not run]
    busy = next((str(each.id) for each in beside if any(map(has_open_agent, each.tasks))), None)
    started = [
        task.run
        for task in database.tasks.values()
        if task.effect is not None and task.effect.is_agent and task.effect.planned_at > now - DAY_SECONDS
    ]
    own = [each for each in started if each.workflow.name == run.workflow.name]
    switch = database.switches.get("agents")
    known = database.subjects.get(run.subject)
    has_moved = known is not None and run.moment is not None and known.moment.at > run.moment.at
    is_other = known is not None and run.moment is not None and None not in {known.moment.sha, run.moment.sha}
    return AgentFacts(
        off=None if switch is None or switch.is_on else f"{switch.reason or 'no reason given'} ({switch.changed_by})",
        moved_on_by=str(known.delivery_id)
        if known is not None
        and run.moment is not None
        and has_moved
        and is_other
        and known.moment.sha != run.moment.sha
        else None,
        busy_run_id=busy,
        counts=_count(started, run),
        own_counts=_count(own, run),
    )


def _count(runs: list[RunRow], run: RunRow) -> AgentCounts:
    return AgentCounts(
        per_subject=sum(each.subject == run.subject for each in runs),
        per_repository=sum(each.delivery.repository == run.delivery.repository for each in runs),
        per_day=len(runs),
    )


def _is_in_the_way(on_conflict: str | None, other: RunRow) -> bool:
    if on_conflict == "skip":
        return other.finished_at is None
    return on_conflict == "once" and other.status not in _UNBEGUN


def _is_replaced(on_conflict: str | None, other: RunRow) -> bool:
    return on_conflict == "cancel" or (on_conflict in {"queue", "once"} and other.status is Status.QUEUED)


def _refuse(run: RunRow, status: Status, reason: str, now: float) -> None:
    run.status, run.reason, run.finished_at = status, reason, now
