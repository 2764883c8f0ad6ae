"""Bury: what landed in a dead-letter queue is recorded as dead, with its reason, and can be seen."""

import json
from dataclasses import dataclass
from uuid import UUID

from shared.domain.envelope import UnreadableEnvelope, decode_envelope
from shared.domain.subject import storable
from shared.ports import DeliveryRecords, TaskGraves, Telemetry
from shared.usecases.route import bury_delivery

MAX_KEPT_CHARACTERS = 262_144


@dataclass(frozen=True, slots=True)
class BuryDeps:
    """What bury works with."""

    deliveries: DeliveryRecords
    tasks: TaskGraves
    telemetry: Telemetry


def bury(message_id: str, queue: str, body: str, receive_count: int, deps: BuryDeps) -> None:
    """Records one dead letter. Raises Transient when the database cannot be reached: the message is to be kept."""
    reason = f"not processed after {receive_count} receipts from the queue"
    task_id = _task_id(body)
    if task_id is not None:
        is_buried = deps.tasks.bury_task(task_id, reason)
        deps.telemetry.count("dead_tasks", int(is_buried))
        deps.telemetry.log("task.died", level="ERROR", task_id=task_id, reason=reason, is_buried=is_buried)
        return
    try:
        bury_delivery(decode_envelope(body), reason, deps.deliveries, deps.telemetry)
    except UnreadableEnvelope as error:
        reason = storable(str(error))
        deps.deliveries.record_dead_letter(message_id, queue, storable(body)[:MAX_KEPT_CHARACTERS], reason)
        deps.telemetry.count("dead_letters")
        deps.telemetry.log("letter.buried", level="ERROR", message_id=message_id, queue=queue, reason=reason)


def _task_id(body: str) -> str | None:
    try:
        return str(UUID(json.loads(body)["task_id"]))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None
