"""Lambda entry point of route: a batch of deliveries in, the ones to come again out."""

from typing import Any

from shared import bootstrap
from shared.domain.batch import Message, process_in_order, read_messages
from shared.domain.envelope import Envelope, UnreadableEnvelope, decode_envelope
from shared.domain.errors import Permanent, Transient
from shared.ports import SentTask
from shared.usecases.route import MAX_UNFORESEEN, bury_delivery, route

_route = bootstrap.route()
_telemetry = _route.telemetry


@_telemetry.observe
def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Routes each delivery of the batch; sends the first tasks of all of them once they are committed."""
    tasks: list[SentTask] = []
    result = process_in_order(read_messages(event), lambda message: _process(message, tasks), _keep)
    try:
        for delay_seconds in sorted({task.delay_seconds for task in tasks}):
            _route.tasks.send([task.task_id for task in tasks if task.delay_seconds == delay_seconds], delay_seconds)
        if result.failed:
            # Sooner than the queue's own visibility timeout, which must outlast the function.
            handles = [message.receipt_handle for message in result.failed]
            _route.give_back(handles, result.give_back_seconds)
    except (Transient, Permanent) as error:
        # Reconcile sends the tasks that are committed; the queue's timeout returns the messages.
        _telemetry.log("queue.failed", level="WARNING", reason=str(error), task_ids=[task.task_id for task in tasks])
    return result.response


def _process(message: Message, tasks: list[SentTask]) -> bool:
    envelope: Envelope | None = None
    try:
        envelope = decode_envelope(message.body)
        tasks += route(envelope, _route.deps)
    except UnreadableEnvelope as error:
        # A newer version's envelope is for the code that is being deployed; after 20 receipts bury has it.
        _telemetry.log("delivery.kept", level="WARNING", message_id=message.id, reason=str(error))
        return False
    except Transient:
        raise
    except Exception as error:  # noqa: BLE001 - a bug must neither lose the delivery nor hold up its subject for ever
        _telemetry.exception("delivery.failed", message_id=message.id, receive_count=message.receive_count)
        if envelope is None or message.receive_count < MAX_UNFORESEEN:
            return False
        bury_delivery(envelope, f"{type(error).__name__}: {error}", _route.deps.records, _telemetry)
    return True


def _keep(error: Transient) -> None:
    _telemetry.count("route_halts")
    _telemetry.log("deliveries.kept", level="WARNING", reason=str(error))
