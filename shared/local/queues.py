"""What the functions need at an SQS, S3 and Secrets Manager endpoint: queues, bucket, webhook secret.

On AWS the stack creates the same, of the same figures; a test compares the two.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3  # type: ignore[import-untyped]  # they ship no types
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

# AWS advises six times the function's timeout.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
DELIVERIES_VISIBILITY_SECONDS = 180
TASKS_VISIBILITY_SECONDS = 360
MAX_RECEIVE_COUNT = 20
RETENTION_SECONDS = 14 * 24 * 3_600
MAX_MESSAGE_BYTES = 1_048_576

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/high-throughput-fifo.html
HIGH_THROUGHPUT_FIFO = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}

DELIVERIES, DELIVERIES_DLQ = "deliveries.fifo", "deliveries-dlq.fifo"
TASKS, TASKS_DLQ = "tasks", "tasks-dlq"

# The region whose buckets are created without naming it.
_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, kw_only=True)
class QueueUrls:
    """The queues, by what they hold."""

    deliveries: str
    tasks: str
    deliveries_dlq: str
    tasks_dlq: str


def create_queues(
    endpoint: str | None,
    region: str,
    prefix: str = "",
    *,
    deliveries_visibility_seconds: int = DELIVERIES_VISIBILITY_SECONDS,
    tasks_visibility_seconds: int = TASKS_VISIBILITY_SECONDS,
    max_receive_count: int = MAX_RECEIVE_COUNT,
) -> QueueUrls:
    """Creates the queues, or brings those that exist to these attributes; their messages stay.

    Args:
        endpoint: ``AWS_ENDPOINT_URL``, or None for AWS itself.
        region: ``us-east-1``.
        prefix: before each queue's name.
        deliveries_visibility_seconds: until a delivery that was not deleted is delivered again.
        tasks_visibility_seconds: likewise for a task.
        max_receive_count: after so many receipts a message goes to its dead-letter queue.

    Raises:
        botocore.exceptions.BotoCoreError: when the endpoint cannot be reached.
        botocore.exceptions.ClientError: when it refuses.
    """
    with _connect("sqs", endpoint, region) as sqs:
        deliveries_dlq = _create_queue(sqs, prefix + DELIVERIES_DLQ, deliveries_visibility_seconds)
        tasks_dlq = _create_queue(sqs, prefix + TASKS_DLQ, tasks_visibility_seconds)

        def create(name: str, visibility_seconds: int, dead_letters: str) -> str:
            found = sqs.get_queue_attributes(QueueUrl=dead_letters, AttributeNames=["QueueArn"])
            redrive = {
                "deadLetterTargetArn": found["Attributes"]["QueueArn"],
                "maxReceiveCount": str(max_receive_count),
            }
            return _create_queue(sqs, prefix + name, visibility_seconds, RedrivePolicy=json.dumps(redrive))

        return QueueUrls(
            deliveries=create(DELIVERIES, deliveries_visibility_seconds, deliveries_dlq),
            tasks=create(TASKS, tasks_visibility_seconds, tasks_dlq),
            deliveries_dlq=deliveries_dlq,
            tasks_dlq=tasks_dlq,
        )


def create_bucket(endpoint: str | None, region: str, name: str) -> None:
    """Creates the bucket of large bodies unless it is there. Raises as ``create_queues``."""
    with _connect("s3", endpoint, region) as s3:
        place = {} if region == _DEFAULT_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            s3.create_bucket(Bucket=name, **place)
        except ClientError as error:
            if _code(error) != "BucketAlreadyOwnedByYou":
                raise


def put_secret(endpoint: str | None, region: str, name: str, value: str) -> None:
    """Stores ``value`` as the current version of the secret, unless it is that already.

    A value that replaces another leaves that one as the previous version, which webhooks may still be signed
    with. Raises as ``create_queues``.
    """
    with _connect("secretsmanager", endpoint, region) as manager:
        try:
            manager.create_secret(Name=name, SecretString=value)
        except ClientError as error:
            if _code(error) != "ResourceExistsException":
                raise
            if manager.get_secret_value(SecretId=name).get("SecretString") != value:
                manager.put_secret_value(SecretId=name, SecretString=value)


def _create_queue(sqs: Any, name: str, visibility_seconds: int, **attributes: str) -> str:  # noqa: ANN401 - boto3 makes its clients at run time
    is_fifo = name.endswith(".fifo")
    # Created bare and configured after: creating a queue that exists with other attributes is an error.
    url: str = sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if is_fifo else {})["QueueUrl"]
    sqs.set_queue_attributes(
        QueueUrl=url,
        Attributes={
            "VisibilityTimeout": str(visibility_seconds),
            "MessageRetentionPeriod": str(RETENTION_SECONDS),
            "MaximumMessageSize": str(MAX_MESSAGE_BYTES),
            **(HIGH_THROUGHPUT_FIFO if is_fifo else {}),
            **attributes,
        },
    )
    return url


@contextmanager
def _connect(service: str, endpoint: str | None, region: str) -> Iterator[Any]:
    # Credentials of the environment only: a profile in the user's home must not reach a local endpoint.
    session = boto3.session.Session(
        os.environ.get("AWS_ACCESS_KEY_ID"),
        os.environ.get("AWS_SECRET_ACCESS_KEY"),
        os.environ.get("AWS_SESSION_TOKEN"),
        region,
    )
    config = Config(
        connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3}, s3={"addressing_style": "path"}
    )
    client = session.client(service, endpoint_url=endpoint, config=config)
    try:
        yield client
    finally:
        client.close()


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
