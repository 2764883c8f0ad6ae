"""Lambda entry point of execute: a batch of task ids in, the ones to come again out."""

import json
from typing import Any

from shared import bootstrap
from shared.domain.batch import Message, process_in_order, read_messages
from shared.domain.errors import Permanent, Transient
from shared.usecases.execute import execute

_execute = bootstrap.execute()
_telemetry = _execute.telemetry


@_telemetry.observe
def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Makes one attempt of each task of the batch."""
    result = process_in_order(read_messages(event), _process, _keep)
    if result.failed:
        try:
            handles = [message.receipt_handle for message in result.failed]
            _execute.give_back(handles, result.give_back_seconds)
        except (Transient, Permanent) as error:
            _telemetry.log("queue.failed", level="WARNING", reason=str(error))
    return result.response


def _process(message: Message) -> bool:
    try:
        task_id = json.loads(message.body)["task_id"]
        execute(task_id, _execute.deps)
    except Transient:
        raise
    except Exception:  # noqa: BLE001 - the message stays in its queue, and after 20 receipts bury has it
        _telemetry.exception("task.crashed", message_id=message.id)
        return False
    return True


def _keep(error: Transient) -> None:
    _telemetry.count("execute_halts")
    _telemetry.log("tasks.kept", level="WARNING", reason=str(error))
