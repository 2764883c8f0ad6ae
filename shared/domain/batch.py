"""A batch from a queue: which messages are done, and which are to come again, in the order of their group.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.domain.errors import Transient

# A message that is given back returns after 2, 4, 8 ... seconds: an outage of an hour is waited out within
# the 20 receipts that the queue allows before the dead-letter queue.
MAX_GIVE_BACK_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Message:
    """A message as Lambda hands it over. ``group`` is None in a standard queue."""

    id: str
    body: str
    receipt_handle: str
    receive_count: int
    group: str | None

    @property
    def give_back_seconds(self) -> int:
        """How long the message should rest before it is received again."""
        return min(1 << min(self.receive_count, 16), MAX_GIVE_BACK_SECONDS)


@dataclass(slots=True)
class BatchResult:
    """The messages to be given back; the others are done and will be deleted."""

    failed: list[Message] = field(default_factory=list)

    @property
    def response(self) -> dict[str, Any]:
        """What the function answers, for ``ReportBatchItemFailures``."""
        return {"batchItemFailures": [{"itemIdentifier": message.id} for message in self.failed]}

    @property
    def give_back_seconds(self) -> int:
        """One delay for all: in a group the first must not come back after the second."""
        return max((message.give_back_seconds for message in self.failed), default=0)


def read_messages(event: Mapping[str, Any]) -> list[Message]:
    """Returns the messages in Lambda's SQS event, in its order."""
    return [
        Message(
            record["messageId"],
            record["body"],
            record["receiptHandle"],
            int(record["attributes"]["ApproximateReceiveCount"]),
            record["attributes"].get("MessageGroupId"),
        )
        for record in event["Records"]
    ]


def process_in_order(
    messages: Sequence[Message], process: Callable[[Message], bool], on_halt: Callable[[Transient], None]
) -> BatchResult:
    """Processes the messages one by one; ``process`` returns False for one that is to come again.

    In a FIFO queue everything behind a failed message of its group fails with it, untouched: the order of a
    subject is kept whatever happens. When ``process`` raises Transient, what all messages need is away:
    ``on_halt`` is told, and the rest of the batch comes again without being tried against it one by one.
    """
    result = BatchResult()
    blocked: set[str] = set()
    for index, message in enumerate(messages):
        if message.group is not None and message.group in blocked:
            result.failed.append(message)
            continue
        try:
            is_done = process(message)
        except Transient as error:
            on_halt(error)
            result.failed += messages[index:]
            break
        if not is_done:
            result.failed.append(message)
            if message.group is not None:
                blocked.add(message.group)
    return result
