"""Queues and bodies in memory, with SQS's rules for visibility, groups, delays and duplicates.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from threading import Lock

from shared.domain.batch import Message
from shared.domain.envelope import Envelope
from shared.domain.errors import Permanent

MAX_DELAY_SECONDS = 900
DEDUPLICATION_SECONDS = 300


@dataclass(slots=True)
class _Letter:
    id: str
    body: str
    group: str | None
    visible_at: float
    receive_count: int = 0
    receipt: str | None = None


class MemoryQueue:
    """A queue whose messages come again unless they are deleted in time.

    Args:
        clock: seconds.
        visibility_seconds: for so long a received message is hidden.
    """

    def __init__(self, clock: Callable[[], float], visibility_seconds: float = 30.0) -> None:
        self._clock = clock
        self._visibility_seconds = visibility_seconds
        self._letters: list[_Letter] = []
        self._sent: dict[str, float] = {}
        self._numbers = count(1)
        self._lock = Lock()

    def put(
        self, body: str, *, group: str | None = None, deduplication_id: str | None = None, delay_seconds: float = 0
    ) -> None:
        """Adds a message; one with a deduplication id seen within 5 minutes is taken and dropped."""
        with self._lock:
            now = self._clock()
            if deduplication_id is not None:
                if now - self._sent.get(deduplication_id, float("-inf")) < DEDUPLICATION_SECONDS:
                    return
                self._sent[deduplication_id] = now
            self._letters.append(_Letter(f"message-{next(self._numbers)}", body, group, now + delay_seconds))

    def receive(self, limit: int = 10) -> list[Message]:
        """Returns visible messages, oldest first, and hides them; a group waits while one of it is hidden."""
        with self._lock:
            now = self._clock()
            hidden = {each.group for each in self._letters if each.group is not None and each.visible_at > now}
            ready = [each for each in self._letters if each.visible_at <= now and each.group not in hidden]
            messages = []
            for letter in ready[:limit]:
                letter.receive_count += 1
                letter.receipt = f"receipt-{next(self._numbers)}"
                letter.visible_at = now + self._visibility_seconds
                messages.append(Message(letter.id, letter.body, letter.receipt, letter.receive_count, letter.group))
            return messages

    def delete(self, receipt_handle: str) -> None:
        """Deletes a message; an old receipt, of a message received again since, deletes nothing."""
        with self._lock:
            self._letters = [each for each in self._letters if each.receipt != receipt_handle]

    def give_back(self, receipt_handles: Sequence[str], delay_seconds: float) -> None:
        """Makes received messages visible after ``delay_seconds``."""
        with self._lock:
            for letter in self._letters:
                if letter.receipt in receipt_handles:
                    letter.visible_at = self._clock() + delay_seconds

    def __len__(self) -> int:
        """Returns how many messages there are, hidden and delayed ones included."""
        return len(self._letters)


class MemoryDeliveryQueue:
    """See ``shared.ports.DeliveryQueue``; ``messages`` is the other end."""

    def __init__(self, clock: Callable[[], float], visibility_seconds: float = 30.0) -> None:
        self.messages = MemoryQueue(clock, visibility_seconds)

    def send(self, envelope: Envelope) -> None:
        """Puts the envelope behind the others of its subject."""
        self.messages.put(envelope.encode(), group=envelope.subject, deduplication_id=envelope.delivery_id)


class MemoryTaskQueue:
    """See ``shared.ports.TaskQueue``; ``messages`` is the other end."""

    def __init__(self, clock: Callable[[], float], visibility_seconds: float = 30.0) -> None:
        self.messages = MemoryQueue(clock, visibility_seconds)

    def send(self, task_ids: Sequence[str], delay_seconds: int = 0) -> None:
        """Puts a message for each task, visible after the delay."""
        delay = min(max(delay_seconds, 0), MAX_DELAY_SECONDS)
        for task_id in task_ids:
            self.messages.put(json.dumps({"task_id": task_id}), delay_seconds=delay)


class MemoryBodyStore:
    """See ``shared.ports.BodyStore``."""

    def __init__(self) -> None:
        self._bodies: dict[str, bytes] = {}

    def put(self, key: str, deflated: bytes) -> None:
        """Keeps the compressed body under ``key``."""
        self._bodies[key] = bytes(deflated)

    def get(self, key: str) -> bytes:
        """Returns the compressed body under ``key``."""
        try:
            return self._bodies[key]
        except KeyError:
            raise Permanent(f"there is no body under {key!r}") from None
