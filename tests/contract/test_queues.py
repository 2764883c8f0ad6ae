"""DeliveryQueue, TaskQueue and BodyStore: in memory and at an endpoint of SQS and S3."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, Protocol
from uuid import uuid4

import pytest

from shared.adapters.aws import AwsService
from shared.adapters.memory.queues import MemoryBodyStore, MemoryDeliveryQueue, MemoryQueue, MemoryTaskQueue
from shared.adapters.s3 import S3BodyStore
from shared.adapters.sqs import SqsDeliveryQueue, SqsTaskQueue, SqsVisibility
from shared.domain.envelope import deflate
from shared.domain.errors import Permanent, Transient
from shared.local.free_ports import HOST, choose_port
from shared.ports import BodyStore, DeliveryQueue, TaskQueue
from tests.support.clock import ManualClock
from tests.support.factories import build_envelope

REGION = "us-east-1"


class Receiver(Protocol):
    """The other end of a queue."""

    def receive(self) -> list[tuple[str, str]]:
        """Returns receipt and body of up to ten messages, and hides them."""

    def delete(self, receipt: str) -> None:
        """Deletes a message."""

    def give_back(self, receipts: list[str], delay_seconds: int) -> None:
        """Makes messages visible again."""

    def count_delayed(self) -> int:
        """Returns how many messages are not visible yet."""


class MemoryReceiver:
    def __init__(self, messages: MemoryQueue, clock: ManualClock) -> None:
        self._messages = messages
        self._clock = clock
        self.give_back = messages.give_back
        self.delete = messages.delete

    def receive(self) -> list[tuple[str, str]]:
        return [(message.receipt_handle, message.body) for message in self._messages.receive()]

    def count_delayed(self) -> int:
        visible = len(self._messages.receive(1_000_000))
        delayed = len(self._messages) - visible
        self._clock.advance(900.0)
        assert len(self._messages.receive(1_000_000)) == visible + delayed
        return delayed


class SqsReceiver:
    def __init__(self, service: AwsService, queue_url: str) -> None:
        self._service = service
        self._queue_url = queue_url
        self.give_back = SqsVisibility(service, queue_url).give_back

    def _call(self, operation: str, **parameters: object) -> dict[str, Any]:
        return self._service.call(f"AmazonSQS.{operation}", {"QueueUrl": self._queue_url, **parameters})

    def receive(self) -> list[tuple[str, str]]:
        messages = self._call("ReceiveMessage", MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages", [])
        return [(message["ReceiptHandle"], message["Body"]) for message in messages]

    def delete(self, receipt: str) -> None:
        self._call("DeleteMessage", ReceiptHandle=receipt)

    def count_delayed(self) -> int:
        name = "ApproximateNumberOfMessagesDelayed"
        return int(self._call("GetQueueAttributes", AttributeNames=[name])["Attributes"][name])


@pytest.fixture
def sqs(aws_endpoint: str) -> Iterator[AwsService]:
    service = AwsService("sqs", REGION, aws_endpoint)
    yield service
    service.close()


def create_queue(sqs: AwsService, suffix: str = "", **attributes: str) -> str:
    name = f"queue-{uuid4()}{suffix}"
    url: str = sqs.call("AmazonSQS.CreateQueue", {"QueueName": name, "Attributes": attributes})["QueueUrl"]
    return url


@pytest.fixture(params=["memory", "sqs"])
def deliveries(request: pytest.FixtureRequest) -> tuple[DeliveryQueue, Receiver]:
    if request.param == "memory":
        clock = ManualClock()
        queue = MemoryDeliveryQueue(clock)
        return queue, MemoryReceiver(queue.messages, clock)
    sqs: AwsService = request.getfixturevalue("sqs")
    url = create_queue(sqs, ".fifo", FifoQueue="true", VisibilityTimeout="600")
    return SqsDeliveryQueue(sqs, url), SqsReceiver(sqs, url)


@pytest.fixture(params=["memory", "sqs"])
def tasks(request: pytest.FixtureRequest) -> tuple[TaskQueue, Receiver]:
    if request.param == "memory":
        clock = ManualClock()
        queue = MemoryTaskQueue(clock)
        return queue, MemoryReceiver(queue.messages, clock)
    sqs: AwsService = request.getfixturevalue("sqs")
    url = create_queue(sqs, VisibilityTimeout="600")
    return SqsTaskQueue(sqs, url), SqsReceiver(sqs, url)


@pytest.fixture(params=["memory", "s3"])
def bodies(request: pytest.FixtureRequest) -> Iterator[BodyStore]:
    if request.param == "memory":
        yield MemoryBodyStore()
        return
    service = AwsService("s3", REGION, request.getfixturevalue("aws_endpoint"))
    bucket = f"bodies-{uuid4()}"
    service.request("PUT", f"/{bucket}", {})
    yield S3BodyStore(service, bucket)
    service.close()


@pytest.fixture(params=["sqs", "s3"])
def unreachable(request: pytest.FixtureRequest) -> AwsService:
    return AwsService(request.param, REGION, f"http://{HOST}:{choose_port('nobody')}")


Deliveries = tuple[DeliveryQueue, Receiver]
Tasks = tuple[TaskQueue, Receiver]


def test_a_delivery_is_received_as_it_was_sent(deliveries: Deliveries) -> None:
    queue, receiver = deliveries
    envelope = build_envelope(b'{"x": "\x00 \xf0\x9f\x98\x80"}' * 100)
    odd = replace(build_envelope(), subject="\u00e4/\U0001f600 \uffff " + "x" * 400)
    queue.send(envelope)
    queue.send(odd)
    assert {body for _, body in receiver.receive()} == {envelope.encode(), odd.encode()}


def test_deliveries_of_a_subject_come_in_order_and_wait_for_each_other(deliveries: Deliveries) -> None:
    queue, receiver = deliveries
    first, second, third = (build_envelope() for _ in range(3))
    queue.send(first)
    [(receipt, body)] = receiver.receive()
    assert body == first.encode()
    queue.send(second)
    queue.send(third)
    assert receiver.receive() == []
    other = replace(build_envelope(), subject="acme/gears#1")
    queue.send(other)
    assert [body for _, body in receiver.receive()] == [other.encode()]
    receiver.delete(receipt)
    assert [body for _, body in receiver.receive()] == [second.encode(), third.encode()]


def test_what_is_given_back_comes_again_before_the_rest(deliveries: Deliveries) -> None:
    queue, receiver = deliveries
    first, second = build_envelope(), build_envelope()
    queue.send(first)
    queue.send(second)
    taken = receiver.receive()
    receiver.give_back([receipt for receipt, _ in taken], 0)
    assert [body for _, body in receiver.receive()] == [first.encode(), second.encode()]


def test_a_delivery_that_is_sent_twice_within_minutes_is_taken_once(deliveries: Deliveries) -> None:
    queue, receiver = deliveries
    envelope = build_envelope()
    queue.send(envelope)
    queue.send(replace(envelope, received_at=envelope.received_at + 1))
    assert [body for _, body in receiver.receive()] == [envelope.encode()]


def test_the_largest_envelope_fits_into_a_message(deliveries: Deliveries) -> None:
    queue, receiver = deliveries
    envelope = replace(build_envelope(), deflated=bytes(range(256)) * 3_050)
    assert len(envelope.encode()) > 1_040_000
    queue.send(envelope)
    assert [body for _, body in receiver.receive()] == [envelope.encode()]


def test_tasks_are_received_by_id(tasks: Tasks) -> None:
    queue, receiver = tasks
    task_ids = [str(uuid4()) for _ in range(23)]
    queue.send(task_ids)
    received: list[str] = []
    for _ in task_ids:
        for receipt, body in receiver.receive():
            message = json.loads(body)
            assert list(message) == ["task_id"]
            received.append(message["task_id"])
            receiver.delete(receipt)
    assert sorted(received) == sorted(task_ids)
    assert receiver.count_delayed() == 0


def test_sending_no_task_sends_nothing(tasks: Tasks) -> None:
    queue, receiver = tasks
    queue.send([])
    assert receiver.receive() == []


@pytest.mark.parametrize("delay_seconds", [600, 900, 901, 100_000])
def test_a_delayed_task_waits_for_15_minutes_at_most(tasks: Tasks, delay_seconds: int) -> None:
    queue, receiver = tasks
    queue.send([str(uuid4()), str(uuid4())], delay_seconds)
    assert receiver.receive() == []
    assert receiver.count_delayed() == 2


def test_a_negative_delay_is_none(tasks: Tasks) -> None:
    queue, receiver = tasks
    queue.send(["now"], -5)
    assert len(receiver.receive()) == 1


def test_a_received_task_is_hidden_until_it_is_given_back(tasks: Tasks) -> None:
    queue, receiver = tasks
    queue.send(["a"])
    [(receipt, body)] = receiver.receive()
    assert receiver.receive() == []
    receiver.give_back([receipt], 0)
    assert [again for _, again in receiver.receive()] == [body]


def test_a_body_is_kept_byte_for_byte(bodies: BodyStore) -> None:
    body = deflate(bytes(range(256)) * 1000)
    key = f"github/{uuid4()}"
    bodies.put(key, body)
    assert bodies.get(key) == body
    bodies.put(key, b"a retry overwrites")
    assert bodies.get(key) == b"a retry overwrites"


def test_bodies_are_kept_apart(bodies: BodyStore) -> None:
    keys = ["github/a", "github/b", "github/\u00e4 +&=#?%41", "github/%C3%A4"]
    for key in keys:
        bodies.put(key, key.encode())
    assert [bodies.get(key) for key in keys] == [key.encode() for key in keys]


def test_a_body_that_is_not_there_never_will_be(bodies: BodyStore) -> None:
    with pytest.raises(Permanent):
        bodies.get("github/nothing")


def test_what_cannot_be_reached_may_come_back(unreachable: AwsService) -> None:
    with pytest.raises(Transient, match="cannot be reached"):
        SqsDeliveryQueue(unreachable, "http://q").send(build_envelope())
    with pytest.raises(Transient, match="cannot be reached"):
        S3BodyStore(unreachable, "bodies").put("key", b"")
    with pytest.raises(Transient, match="cannot be reached"):
        S3BodyStore(unreachable, "bodies").get("key")


def test_a_queue_that_is_not_there(sqs: AwsService) -> None:
    missing = create_queue(sqs) + "-not"
    # A delivery must not be lost for it; a task is in the database anyway.
    with pytest.raises(Transient, match=r"NonExistentQueue|QueueDoesNotExist"):
        SqsDeliveryQueue(sqs, missing).send(build_envelope())
    with pytest.raises(Permanent, match=r"NonExistentQueue|QueueDoesNotExist"):
        SqsTaskQueue(sqs, missing).send(["a"])
    with pytest.raises(Permanent, match=r"NonExistentQueue|QueueDoesNotExist"):
        SqsTaskQueue(sqs, missing).ping()


def test_a_bucket_that_is_not_there(aws_endpoint: str) -> None:
    with closing(AwsService("s3", REGION, aws_endpoint)) as service:
        bodies = S3BodyStore(service, "no-such-bucket")
        with pytest.raises(Transient, match="NoSuchBucket"):
            bodies.put("key", b"")
        with pytest.raises(Transient, match="NoSuchBucket"):
            bodies.get("key")


def test_a_body_that_may_not_be_read_is_there_once_it_may(aws_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(AwsService("s3", REGION, aws_endpoint)) as service:
        service.request("PUT", "/guarded", {})
        bodies = S3BodyStore(service, "guarded")
        bodies.put("key", b"body")
        with monkeypatch.context() as patched:
            patched.setenv("AWS_ACCESS_KEY_ID", "AKIAQWERTYUIOPASDFGH")
            with pytest.raises(Transient, match="s3 answered 403"):
                bodies.get("key")
        assert bodies.get("key") == b"body"


def test_a_stranger_is_refused(sqs: AwsService, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = SqsTaskQueue(sqs, create_queue(sqs))
    queue.ping()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAQWERTYUIOPASDFGH")
    with pytest.raises(Permanent, match="sqs answered 403"):
        queue.ping()
