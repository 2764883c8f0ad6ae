"""SQS: the queues of deliveries and tasks.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from typing import Any

from shared.adapters.aws import AwsService
from shared.domain.envelope import Envelope
from shared.domain.errors import Permanent, Transient

# SQS delays a message by at most 15 minutes; what is due later is enqueued by reconcile.
MAX_DELAY_SECONDS = 900
MAX_BATCH = 10
_GROUP_ID = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}", re.ASCII)


def group_id(subject: str) -> str:
    """Returns the FIFO group of ``subject``: itself, or its hash where SQS would not take it as a group id."""
    if _GROUP_ID.fullmatch(subject):
        return subject
    return hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()


def _trace_attribute() -> dict[str, Any]:
    # Lambda sets the trace of the current invocation; SQS hands it on to the next function.
    trace = os.environ.get("_X_AMZN_TRACE_ID")
    if not trace:
        return {}
    return {"MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}}


class SqsDeliveryQueue:
    """The FIFO queue of deliveries, grouped by subject, deduplicated by delivery id for SQS's 5 minutes."""

    def __init__(self, service: AwsService, queue_url: str) -> None:
        self._service = service
        self._queue_url = queue_url

    def send(self, envelope: Envelope) -> None:
        """Sends the envelope; see ``shared.ports.DeliveryQueue``."""
        answer = self._call(
            {
                "QueueUrl": self._queue_url,
                "MessageBody": envelope.encode(),
                "MessageGroupId": group_id(envelope.subject),
                "MessageDeduplicationId": envelope.delivery_id,
                **_trace_attribute(),
            }
        )
        if not answer.get("MessageId"):
            raise Transient("sqs answered without a message id")

    def _call(self, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._service.call("AmazonSQS.SendMessage", parameters)
        except Permanent as error:
            # A queue that refuses (gone, no permission) is mended by its operator: the sender tries again.
            raise Transient(str(error)) from error


class SqsTaskQueue:
    """The standard queue of tasks: a message holds the task's id only, Postgres the rest."""

    def __init__(self, service: AwsService, queue_url: str) -> None:
        self._service = service
        self._queue_url = queue_url

    def send(self, task_ids: Sequence[str], delay_seconds: int = 0) -> None:
        """Sends a message for each task; see ``shared.ports.TaskQueue``."""
        for start in range(0, len(task_ids), MAX_BATCH):
            entries = [
                {
                    "Id": str(index),
                    "MessageBody": json.dumps({"task_id": task_id}),
                    "DelaySeconds": min(max(delay_seconds, 0), MAX_DELAY_SECONDS),
                    **_trace_attribute(),
                }
                for index, task_id in enumerate(task_ids[start : start + MAX_BATCH])
            ]
            answer = self._service.call("AmazonSQS.SendMessageBatch", {"QueueUrl": self._queue_url, "Entries": entries})
            if answer.get("Failed"):
                raise Transient(f"sqs did not take {len(answer['Failed'])} of {len(entries)} tasks")

    def ping(self) -> None:
        """Asks the queue for a sign of life. Raises Transient or Permanent."""
        self._service.call("AmazonSQS.GetQueueAttributes", {"QueueUrl": self._queue_url, "AttributeNames": []})


class SqsVisibility:
    """Gives messages back to their queue, to be delivered again after a delay of our choosing."""

    def __init__(self, service: AwsService, queue_url: str) -> None:
        self._service = service
        self._queue_url = queue_url

    def give_back(self, receipt_handles: Sequence[str], delay_seconds: int) -> None:
        """Makes the messages visible again after ``delay_seconds``. Raises Transient or Permanent."""
        for start in range(0, len(receipt_handles), MAX_BATCH):
            entries = [
                {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": delay_seconds}
                for index, handle in enumerate(receipt_handles[start : start + MAX_BATCH])
            ]
            self._service.call(
                "AmazonSQS.ChangeMessageVisibilityBatch", {"QueueUrl": self._queue_url, "Entries": entries}
            )
