"""Lambda's event source mapping: it polls a queue, calls a function with batches, deletes what was done.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import threading
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from shared.adapters.aws import AwsService
from shared.adapters.sqs import SqsVisibility
from shared.domain.errors import Permanent, Transient
from shared.local.lambda_context import LambdaContext
from shared.observability import write_outcome

# Short, because ministack goes on with the poll of a client that is gone, and hands a message to nobody:
# it then rests for its whole visibility timeout. Twelve idle pollers cost 2 % of a core this way.
WAIT_SECONDS = 1
ANSWER_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0
DELETE_ATTEMPTS = 5

Handler = Callable[[dict[str, Any], Any], Any]


@dataclass(frozen=True, kw_only=True)
class EventSource:
    """A queue and the function that it feeds.

    Attributes:
        function: the function's name, ``route``.
        handler: the function.
        queue_url: of the queue.
        batch_size: the most messages in one event, 1 to 10.
        pollers: how many batches may be at work at once.
        function_timeout_seconds: what the context promises the handler.
    """

    function: str
    handler: Handler
    queue_url: str
    batch_size: int
    pollers: int
    function_timeout_seconds: float

    def arn(self, region: str) -> str:
        """Returns the ARN of the queue."""
        account, _, name = urlsplit(self.queue_url).path.strip("/").rpartition("/")
        return f"arn:aws:sqs:{region}:{account}:{name}"


class Outage:
    """Whether a queue can be reached, told once when it changes, however many pollers find it out."""

    def __init__(self, queue_arn: str) -> None:
        self._queue_arn = queue_arn
        self._is_on = False
        self._lock = threading.Lock()

    def begin(self, reason: str) -> None:
        """Notes that the queue cannot be used."""
        self._change("queue.lost", is_on=True, reason=reason)

    def end(self) -> None:
        """Notes that it can."""
        if self._is_on:
            self._change("queue.found", is_on=False)

    def _change(self, message: str, *, is_on: bool, **fields: object) -> None:
        with self._lock:
            if self._is_on != is_on:
                self._is_on = is_on
                report(message, "workers", level="WARNING", queue=self._queue_arn, **fields)


class Poller:
    """One thread's work: a batch after the other, until ``stop`` is set."""

    def __init__(
        self, source: EventSource, *, region: str, endpoint: str | None, outage: Outage, stop: threading.Event
    ) -> None:
        self._source = source
        self._region = region
        self._arn = source.arn(region)
        self._sqs = AwsService("sqs", region, endpoint, timeout_seconds=WAIT_SECONDS + ANSWER_SECONDS)
        self._outage = outage
        self._stop = stop

    def run(self) -> None:
        """Polls until stopped; no error ends it."""
        pause_seconds = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                messages = self._receive()
                self._outage.end()
                pause_seconds = FIRST_PAUSE_SECONDS
                if messages and self._stop.is_set():
                    # Nobody is left to work on them: whoever polls next gets them at once.
                    self._give_back(messages)
                elif messages:
                    self._work(messages)
            except Exception as error:  # noqa: BLE001 - whatever it is, the poller must go on
                self._outage.begin(f"{type(error).__name__}: {error}")
                self._stop.wait(pause_seconds)
                pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        self._sqs.close()

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.call(
            "AmazonSQS.ReceiveMessage",
            {
                "QueueUrl": self._source.queue_url,
                "MaxNumberOfMessages": self._source.batch_size,
                "WaitTimeSeconds": WAIT_SECONDS,
                "MessageSystemAttributeNames": ["All"],
                "MessageAttributeNames": ["All"],
            },
        )
        messages: list[dict[str, Any]] = answer.get("Messages") or []
        return messages

    def _work(self, messages: Sequence[Mapping[str, Any]]) -> None:
        event = {"Records": [build_record(message, self._arn, self._region) for message in messages]}
        failed_ids = self._invoke(event)
        done = [message for message in messages if message["MessageId"] not in failed_ids]
        if done:
            self._delete(done)

    def _invoke(self, event: dict[str, Any]) -> Collection[str]:
        source = self._source
        message_ids = [record["messageId"] for record in event["Records"]]
        result, error = invoke(source.function, source.handler, event, source.function_timeout_seconds, self._region)
        if error is not None:
            return message_ids
        try:
            return find_failed_ids(result, message_ids)
        except ValueError as fault:
            report("batch.misreported", source.function, reason=str(fault), message_ids=message_ids)
            return message_ids

    def _delete(self, messages: Sequence[Mapping[str, Any]]) -> None:
        entries = [
            {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]} for index, message in enumerate(messages)
        ]
        parameters = {"QueueUrl": self._source.queue_url, "Entries": entries}
        for attempt in range(1, DELETE_ATTEMPTS + 1):
            try:
                answer = self._sqs.call("AmazonSQS.DeleteMessageBatch", parameters)
            except (Transient, Permanent):
                # Undeleted they come again, which costs their handler a second look: worth a few tries.
                if attempt == DELETE_ATTEMPTS:
                    raise
                self._stop.wait(FIRST_PAUSE_SECONDS * attempt)
            else:
                if answer.get("Failed"):
                    report("messages.kept", self._source.function, level="WARNING", reason=str(answer["Failed"]))
                return

    def _give_back(self, messages: Sequence[Mapping[str, Any]]) -> None:
        handles = [message["ReceiptHandle"] for message in messages]
        SqsVisibility(self._sqs, self._source.queue_url).give_back(handles, 0)


def invoke(
    function: str, handler: Handler, event: dict[str, Any], timeout_seconds: float, region: str
) -> tuple[object, BaseException | None]:
    """Calls a handler as Lambda does. Returns its result, or the error it ended with, logged."""
    context = LambdaContext(function, timeout_seconds, region)
    try:
        return handler(event, context), None
    except BaseException as error:  # noqa: BLE001 - also a handler that exits ends its invocation, not its poller
        report(
            "invocation.failed",
            function,
            request_id=context.aws_request_id,
            error=f"{type(error).__name__}: {error}",
            traceback=traceback.format_exc(),
        )
        return None, error


def build_record(message: Mapping[str, Any], arn: str, region: str) -> dict[str, Any]:
    """Returns a received message as it stands in Lambda's event.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes") or {}),
        "messageAttributes": {
            name: {
                "stringListValues": [],
                "binaryListValues": [],
                **{key[0].lower() + key[1:]: value for key, value in attribute.items()},
            }
            for name, attribute in (message.get("MessageAttributes") or {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": region,
    }
    if "MD5OfMessageAttributes" in message:
        record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return record


def find_failed_ids(result: object, message_ids: Collection[str]) -> set[str]:
    """Returns which messages a result of ``ReportBatchItemFailures`` names; an empty one names none.

    Raises:
        ValueError: when it is no such result or names none of the batch; the whole batch has then failed.
    """
    if result is None:
        return set()
    failures = result.get("batchItemFailures") or [] if isinstance(result, dict) else [result]
    failed_ids: set[str] = set()
    for failure in failures if isinstance(failures, list) else [failures]:
        identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        if not isinstance(identifier, str) or identifier not in message_ids:
            raise ValueError(f"no message of the batch is meant by {str(failure)[:200]}")
        failed_ids.add(identifier)
    return failed_ids


def report(message: str, function: str, level: str = "ERROR", **fields: object) -> None:
    """Writes a line about an invocation or a queue."""
    write_outcome(message, fields, function=function, environment="local", level=level)
