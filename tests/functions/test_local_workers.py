import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # it ships no types
import pytest

from shared.adapters.aws import AwsService
from shared.adapters.sqs import SqsTaskQueue
from shared.domain.batch import Message, read_messages
from shared.local.event_source import EventSource, Handler, find_failed_ids
from shared.local.free_ports import choose_port
from shared.local.lambda_context import LambdaContext
from shared.local.queues import QueueUrls, create_bucket, create_queues, put_secret
from shared.local.workers import Schedule, WorkersConfig, load_schedule, load_sources, run_workers
from tests.support.ministack import CREDENTIALS, run_ministack

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"
SECONDS = 30.0

Client = Any  # boto3 makes its clients at run time


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, run_ministack(tmp_path_factory.mktemp("ministack")) as endpoint:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield endpoint


@pytest.fixture(scope="module")
def prefixes() -> Iterator[str]:
    return (f"test{number}-" for number in itertools.count())


@pytest.fixture
def queues(endpoint: str, prefixes: Iterator[str]) -> QueueUrls:
    return create_queues(
        endpoint,
        REGION,
        next(prefixes),
        deliveries_visibility_seconds=1,
        tasks_visibility_seconds=1,
        max_receive_count=5,
    )


@contextlib.contextmanager
def connect(service: str, endpoint: str) -> Iterator[Client]:
    client = boto3.session.Session(region_name=REGION).client(service, endpoint_url=endpoint)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def sqs(endpoint: str) -> Iterator[Client]:
    with connect("sqs", endpoint) as client:
        yield client


class Inbox:
    """A handler that keeps what it is called with, then answers as ``answer`` does."""

    def __init__(self, answer: Callable[[list[Message]], object] = lambda _messages: None) -> None:
        self.records: list[dict[str, Any]] = []
        self._answer = answer
        self._lock = threading.Lock()

    def __call__(self, event: dict[str, Any], context: LambdaContext) -> object:
        assert context.get_remaining_time_in_millis() > 0
        with self._lock:
            self.records += event["Records"]
            return self._answer(read_messages(event))

    @property
    def bodies(self) -> list[str]:
        return [record["body"] for record in self.records]


def await_true(predicate: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not predicate():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def source(queue_url: str, handler: Handler, *, pollers: int = 1, batch_size: int = 10) -> EventSource:
    return EventSource(
        function="test",
        handler=handler,
        queue_url=queue_url,
        batch_size=batch_size,
        pollers=pollers,
        function_timeout_seconds=10,
    )


@contextlib.contextmanager
def work(endpoint: str, *sources: EventSource, schedules: tuple[Schedule, ...] = ()) -> Iterator[None]:
    stop = threading.Event()
    ended: list[bool] = []
    thread = threading.Thread(
        target=lambda: ended.append(run_workers(sources, schedules, region=REGION, endpoint=endpoint, stop=stop))
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert ended == [True]


def count_messages(sqs: Client, queue_url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def send_batch(sqs: Client, queue_url: str, bodies: list[str]) -> None:
    entries = [{"Id": str(index), "MessageBody": body} for index, body in enumerate(bodies)]
    assert not sqs.send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed")


def send_in_group(sqs: Client, queue_url: str, group: str, bodies: list[str]) -> None:
    for body in bodies:
        sqs.send_message(
            QueueUrl=queue_url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=f"{group}-{body}"
        )


def test_what_a_handler_has_done_is_deleted(endpoint: str, queues: QueueUrls, sqs: Client) -> None:
    inbox = Inbox()
    send_batch(sqs, queues.tasks, [str(index) for index in range(10)])
    with work(endpoint, source(queues.tasks, inbox, pollers=4, batch_size=2)):
        await_true(lambda: count_messages(sqs, queues.tasks) == 0)
    assert sorted(inbox.bodies) == [str(index) for index in range(10)]


def test_a_record_is_as_lambda_gives_it(endpoint: str, queues: QueueUrls, sqs: Client) -> None:
    inbox = Inbox()
    sqs.send_message(
        QueueUrl=queues.deliveries,
        MessageBody="body",
        MessageGroupId="octo/repo#1",
        MessageDeduplicationId="d1",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "x"}},
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-2-3"}},
    )
    with work(endpoint, source(queues.deliveries, inbox)):
        await_true(lambda: count_messages(sqs, queues.deliveries) == 0)
    [record] = inbox.records
    arn = sqs.get_queue_attributes(QueueUrl=queues.deliveries, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    attributes = record["attributes"]
    assert record["body"] == "body"
    assert record["md5OfBody"] == "841a2d689ad86bd1611447453c22c6fc"
    assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == ("aws:sqs", arn, REGION)
    assert record["messageAttributes"]["kind"] == {
        "stringValue": "x",
        "dataType": "String",
        "stringListValues": [],
        "binaryListValues": [],
    }
    assert attributes["ApproximateReceiveCount"] == "1"
    assert attributes["MessageGroupId"] == "octo/repo#1"
    assert attributes["MessageDeduplicationId"] == "d1"
    assert attributes["AWSTraceHeader"] == "Root=1-2-3"
    assert int(attributes["SentTimestamp"]) <= int(attributes["ApproximateFirstReceiveTimestamp"])
    assert {"SenderId", "SequenceNumber"} <= attributes.keys()
    assert record["messageId"]
    assert record["receiptHandle"]


def test_only_what_a_handler_names_as_failed_comes_again(endpoint: str, queues: QueueUrls, sqs: Client) -> None:
    def fail_bad_ones(messages: list[Message]) -> object:
        failed = [message for message in messages if message.body == "bad" and message.receive_count < 3]
        return {"batchItemFailures": [{"itemIdentifier": message.id} for message in failed]}

    inbox = Inbox(fail_bad_ones)
    send_batch(sqs, queues.tasks, ["a", "bad", "b"])
    with work(endpoint, source(queues.tasks, inbox)):
        await_true(lambda: count_messages(sqs, queues.tasks) == 0)
    assert sorted(inbox.bodies) == ["a", "b", "bad", "bad", "bad"]


def raise_error(error: BaseException) -> object:
    raise error


@pytest.mark.parametrize(
    "answer",
    [
        lambda _messages: raise_error(ValueError("a bug")),
        lambda _messages: raise_error(SystemExit(1)),
        lambda _messages: {"batchItemFailures": [{"itemIdentifier": "unknown"}]},
        lambda _messages: {"batchItemFailures": [{"itemIdentifier": ""}]},
    ],
)
def test_a_batch_that_fails_comes_again_as_a_whole(
    endpoint: str,
    queues: QueueUrls,
    sqs: Client,
    capsys: pytest.CaptureFixture[str],
    answer: Callable[[list[Message]], object],
) -> None:
    inbox = Inbox(lambda messages: answer(messages) if messages[0].receive_count == 1 else None)
    send_batch(sqs, queues.tasks, ["a", "b"])
    with work(endpoint, source(queues.tasks, inbox)):
        await_true(lambda: count_messages(sqs, queues.tasks) == 0)
    assert sorted(inbox.bodies) == ["a", "a", "b", "b"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["message"] for line in lines} <= {"invocation.failed", "batch.misreported"}
    assert lines


@pytest.mark.parametrize(
    ("result", "failed"),
    [
        (None, set()),
        ({}, set()),
        ({"batchItemFailures": None}, set()),
        ({"batchItemFailures": []}, set()),
        ({"statusCode": 200}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "a"}]}, {"a"}),
    ],
)
def test_a_result_names_the_failed(result: object, failed: set[str]) -> None:
    assert find_failed_ids(result, ["a", "b"]) == failed


@pytest.mark.parametrize(
    "result",
    [
        "ok",
        ["a"],
        {"batchItemFailures": "a"},
        {"batchItemFailures": 5},
        {"batchItemFailures": ["a"]},
        {"batchItemFailures": [None]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"itemidentifier": "a"}]},
        {"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "c"}]},
    ],
)
def test_a_result_that_names_nothing_of_the_batch_fails_it(result: object) -> None:
    with pytest.raises(ValueError, match="no message of the batch"):
        find_failed_ids(result, ["a", "b"])


def test_the_order_within_a_group_is_kept_under_failure(endpoint: str, queues: QueueUrls, sqs: Client) -> None:
    done: dict[str, list[str]] = {"first": [], "second": []}

    def process(messages: list[Message]) -> object:
        failed: list[Message] = []
        for message in messages:
            assert message.group is not None
            is_blocked = any(message.group == each.group for each in failed)
            if is_blocked or (message.group == "first" and message.body == "1" and message.receive_count < 3):
                failed.append(message)
            else:
                done[message.group].append(message.body)
        return {"batchItemFailures": [{"itemIdentifier": message.id} for message in failed]}

    bodies = [str(index) for index in range(8)]
    send_in_group(sqs, queues.deliveries, "first", bodies)
    send_in_group(sqs, queues.deliveries, "second", bodies)
    with work(endpoint, source(queues.deliveries, Inbox(process), pollers=2, batch_size=3)):
        await_true(lambda: count_messages(sqs, queues.deliveries) == 0)
    assert done == {"first": bodies, "second": bodies}


@pytest.mark.parametrize("name", ["deliveries", "tasks"])
def test_what_failed_too_often_reaches_the_dead_letter_handler(
    endpoint: str, prefixes: Iterator[str], sqs: Client, name: str
) -> None:
    queues = create_queues(
        endpoint,
        REGION,
        next(prefixes),
        deliveries_visibility_seconds=1,
        tasks_visibility_seconds=1,
        max_receive_count=2,
    )
    failing = Inbox(lambda _messages: raise_error(ValueError("poison")))
    buried = Inbox()
    queue_url, dead_letters = getattr(queues, name), getattr(queues, f"{name}_dlq")
    if name == "deliveries":
        send_in_group(sqs, queue_url, "group", ["poison"])
    else:
        send_batch(sqs, queue_url, ["poison"])
    with work(endpoint, source(queue_url, failing), source(dead_letters, buried)):
        await_true(lambda: bool(buried.records))
    assert failing.bodies == ["poison", "poison"]
    assert buried.bodies == ["poison"]
    assert buried.records[0]["eventSourceARN"].endswith(Path(dead_letters).name)


def test_a_delayed_message_waits(endpoint: str, queues: QueueUrls, sqs: Client) -> None:
    inbox = Inbox()
    service = AwsService("sqs", REGION, endpoint)
    SqsTaskQueue(service, queues.tasks).send(["t1"], delay_seconds=2)
    service.close()
    with work(endpoint, source(queues.tasks, inbox, pollers=3)):
        await_true(lambda: bool(inbox.records))
    attributes = inbox.records[0]["attributes"]
    waited = int(attributes["ApproximateFirstReceiveTimestamp"]) - int(attributes["SentTimestamp"])
    assert waited >= 1_990


def test_a_lost_queue_is_told_once_and_found_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    port = choose_port("GATEWAY_PORT")
    endpoint = f"http://127.0.0.1:{port}"
    queue_url = f"{endpoint}/000000000000/tasks"
    inbox = Inbox()
    lines: list[str] = []

    def is_told(message: str) -> bool:
        lines.extend(capsys.readouterr().out.splitlines())
        return any(message in line for line in lines)

    with work(endpoint, source(queue_url, inbox, pollers=3)):
        await_true(lambda: is_told("queue.lost"))
        with run_ministack(tmp_path, port):
            queues = create_queues(endpoint, REGION)
            assert queues.tasks == queue_url
            with connect("sqs", endpoint) as sqs:
                send_batch(sqs, queue_url, ["late"])
            await_true(lambda: bool(inbox.records))
            await_true(lambda: is_told("queue.found"))
            lost = [line for line in lines if "queue.lost" in line]
    assert inbox.bodies == ["late"]
    assert len(lost) == 1


def test_what_arrives_during_the_end_is_not_held_back(endpoint: str, prefixes: Iterator[str], sqs: Client) -> None:
    queues = create_queues(endpoint, REGION, next(prefixes))  # messages would rest for minutes
    inbox = Inbox()
    stop = threading.Event()
    thread = threading.Thread(
        target=run_workers,
        args=([source(queues.tasks, inbox, pollers=4)], []),
        kwargs={"region": REGION, "endpoint": endpoint, "stop": stop},
    )
    thread.start()
    time.sleep(0.3)  # the pollers are waiting
    stop.set()
    send_batch(sqs, queues.tasks, ["late"])
    thread.join()
    received = sqs.receive_message(QueueUrl=queues.tasks, WaitTimeSeconds=2)
    assert [message["Body"] for message in received.get("Messages", [])] == ["late"]
    assert inbox.records == []


def test_a_schedule_calls_again_whatever_happens(endpoint: str) -> None:
    events: list[dict[str, Any]] = []

    def reconcile(event: dict[str, Any], _context: object) -> None:
        events.append(event)
        raise LookupError("no database")

    schedule = Schedule(function="reconcile", handler=reconcile, interval_seconds=0.05, function_timeout_seconds=10)
    with work(endpoint, schedules=(schedule,)):
        await_true(lambda: len(events) > 2)
    assert events[0] == {"source": "aws.scheduler"}


# The workers as they are, with handlers of the test in the place of the functions: execute says what it
# received, and is done when it is told so.
_WORKERS = """
import importlib, sys, types
def execute(event, context):
    print("called", flush=True)
    sys.stdin.readline()
for name in ("route", "execute", "bury", "reconcile"):
    module = types.ModuleType(f"functions.{name}.handler")
    module.handle = execute if name == "execute" else lambda event, context: None
    sys.modules[module.__name__] = module
    importlib.import_module(f"functions.{name}").handler = module
from shared.local.workers import main
main([])
"""


@contextlib.contextmanager
def start_workers(endpoint: str, queues: QueueUrls) -> "Iterator[subprocess.Popen[str]]":
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "DELIVERIES_QUEUE_URL": queues.deliveries,
        "TASKS_QUEUE_URL": queues.tasks,
        "DELIVERIES_DLQ_URL": queues.deliveries_dlq,
        "TASKS_DLQ_URL": queues.tasks_dlq,
    }
    with subprocess.Popen(
        [sys.executable, "-c", _WORKERS],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "workers: polling 4 queues\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_lets_running_handlers_finish(
    endpoint: str, prefixes: Iterator[str], sqs: Client, stop_signal: signal.Signals
) -> None:
    queues = create_queues(endpoint, REGION, next(prefixes))
    with start_workers(endpoint, queues) as workers:
        assert workers.stdin is not None
        assert workers.stdout is not None
        send_batch(sqs, queues.tasks, ["task"])
        assert workers.stdout.readline() == "called\n"
        workers.send_signal(stop_signal)
        with pytest.raises(subprocess.TimeoutExpired):
            workers.wait(0.5)
        workers.stdin.write("\n")
        workers.stdin.flush()
        assert workers.wait(SECONDS) == 0
    assert count_messages(sqs, queues.tasks) == 0


def test_sigterm_ends_idle_workers(endpoint: str, queues: QueueUrls) -> None:
    with start_workers(endpoint, queues) as workers:
        workers.send_signal(signal.SIGTERM)
        assert workers.wait(SECONDS) == 0


def test_sigkill_loses_nothing(endpoint: str, queues: QueueUrls, sqs: Client) -> None:
    inbox = Inbox()
    with start_workers(endpoint, queues) as workers:
        assert workers.stdout is not None
        send_batch(sqs, queues.tasks, ["task"])
        assert workers.stdout.readline() == "called\n"
        workers.kill()
        workers.wait()
    with work(endpoint, source(queues.tasks, inbox)):
        await_true(lambda: bool(inbox.records))
    assert inbox.bodies == ["task"]
    assert int(inbox.records[0]["attributes"]["ApproximateReceiveCount"]) > 1


def test_missing_settings_end_the_workers_with_one_line() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith(("_URL", "_SECONDS"))}
    ended = subprocess.run(
        [sys.executable, "-m", "shared.local.workers"],
        cwd=ROOT,
        env={**environment, "RECONCILE_SECONDS": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "RECONCILE_SECONDS must be a number of seconds above 0" in line
    for name in ("DELIVERIES_QUEUE_URL", "TASKS_QUEUE_URL", "DELIVERIES_DLQ_URL", "TASKS_DLQ_URL"):
        assert f"{name} is not set" in line


def test_queues_are_created_once_with_the_stacks_attributes(
    endpoint: str, prefixes: Iterator[str], sqs: Client
) -> None:
    prefix = next(prefixes)
    first = create_queues(endpoint, REGION, prefix, max_receive_count=3)
    send_batch(sqs, first.tasks, ["kept"])
    queues = create_queues(endpoint, REGION, prefix)
    assert queues == first
    assert count_messages(sqs, queues.tasks) == 1

    def read(queue_url: str) -> dict[str, str]:
        found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
        return found

    for queue_url, dead_letters, seconds in (
        (queues.deliveries, queues.deliveries_dlq, "180"),
        (queues.tasks, queues.tasks_dlq, "360"),
    ):
        arn = read(dead_letters)["QueueArn"]
        assert json.loads(read(queue_url)["RedrivePolicy"]) == {"deadLetterTargetArn": arn, "maxReceiveCount": "20"}
        for each in (queue_url, dead_letters):
            assert read(each)["VisibilityTimeout"] == seconds
            assert read(each)["MaximumMessageSize"] == "1048576"
            assert read(each)["MessageRetentionPeriod"] == "1209600"
    for queue_url in (queues.deliveries, queues.deliveries_dlq):
        assert read(queue_url)["FifoQueue"] == "true"
        assert read(queue_url)["DeduplicationScope"] == "messageGroup"
        assert read(queue_url)["FifoThroughputLimit"] == "perMessageGroupId"


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_the_bucket_is_created_once(endpoint: str, region: str) -> None:
    name = f"bodies-{region}"
    for _ in range(2):
        create_bucket(endpoint, region, name)
    with connect("s3", endpoint) as s3:
        s3.put_object(Bucket=name, Key="kept", Body=b"1")
        create_bucket(endpoint, region, name)
        assert s3.get_object(Bucket=name, Key="kept")["Body"].read() == b"1"


def test_the_secret_gets_a_version_when_it_changes(endpoint: str) -> None:
    def read(stage: str) -> str:
        with connect("secretsmanager", endpoint) as manager:
            return str(manager.get_secret_value(SecretId="webhooks", VersionStage=stage)["SecretString"])

    put_secret(endpoint, REGION, "webhooks", "one")
    put_secret(endpoint, REGION, "webhooks", "two")
    put_secret(endpoint, REGION, "webhooks", "two")
    assert (read("AWSCURRENT"), read("AWSPREVIOUS")) == ("two", "one")


def test_each_queue_feeds_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "BODIES_BUCKET": "bodies",
        "DATABASE_URL": "postgresql://127.0.0.1:1/x",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "GITHUB_TOKEN": "test",
        "DELIVERIES_QUEUE_URL": "http://127.0.0.1:1/000000000000/deliveries.fifo",
        "TASKS_QUEUE_URL": "http://127.0.0.1:1/000000000000/tasks",
    }.items():
        monkeypatch.setenv(name, value)
    base = "http://127.0.0.1:1/000000000000"
    config = WorkersConfig(
        deliveries_queue_url=f"{base}/deliveries.fifo",
        tasks_queue_url=f"{base}/tasks",
        deliveries_dlq_url=f"{base}/deliveries-dlq.fifo",
        tasks_dlq_url=f"{base}/tasks-dlq",
    )
    fed = {each.arn(REGION).rpartition(":")[2]: each.function for each in load_sources(config)}
    assert fed == {
        "deliveries.fifo": "route",
        "tasks": "execute",
        "deliveries-dlq.fifo": "bury",
        "tasks-dlq": "bury",
    }
    assert load_schedule(config).interval_seconds == 5.0
