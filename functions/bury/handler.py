"""Lambda entry point of bury: a batch of dead letters in, the ones to come again out."""

from typing import Any

from shared import bootstrap
from shared.domain.batch import Message, process_in_order, read_messages
from shared.domain.errors import Transient
from shared.usecases.bury import bury

_bury = bootstrap.bury()


@_bury.telemetry.observe
def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Records each dead letter of the batch."""
    queue = event["Records"][0]["eventSourceARN"].rpartition(":")[2] if event["Records"] else ""

    def process(message: Message) -> bool:
        bury(message.id, queue, message.body, message.receive_count, _bury.deps)
        return True

    def keep(error: Transient) -> None:
        _bury.telemetry.log("letters.kept", level="WARNING", reason=str(error))

    return process_in_order(read_messages(event), process, keep).response
