"""The queues: deliveries in the order of their subject, tasks in any; each with a dead-letter queue of its kind."""

from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.stages import Stage

# At least six times the function's timeout.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
DELIVERIES_VISIBILITY = Duration.seconds(180)
TASKS_VISIBILITY = Duration.seconds(360)
# An hour's outage is waited out: what is given back comes again after 2, 4, 8 ... 300 seconds.
MAX_RECEIVE_COUNT = 20
RETENTION = Duration.days(14)
# Four times what deployment tools still take for the limit.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_MESSAGE_BYTES = 1_048_576


@dataclass(frozen=True, kw_only=True)
class Queues:
    """The queues, by what they hold."""

    deliveries: sqs.Queue
    deliveries_dlq: sqs.Queue
    tasks: sqs.Queue
    tasks_dlq: sqs.Queue


def create_queues(scope: Construct, stage: Stage) -> Queues:
    """Creates the four queues."""
    # A message is a delivery of which GitHub was told that it is safe.
    removal = RemovalPolicy.RETAIN if stage.is_durable else RemovalPolicy.DESTROY
    deliveries_dlq = _create_queue(scope, "DeliveriesDlq", DELIVERIES_VISIBILITY, removal, is_fifo=True)
    tasks_dlq = _create_queue(scope, "TasksDlq", TASKS_VISIBILITY, removal, is_fifo=False)
    return Queues(
        deliveries=_create_queue(
            scope, "Deliveries", DELIVERIES_VISIBILITY, removal, is_fifo=True, dead=deliveries_dlq
        ),
        deliveries_dlq=deliveries_dlq,
        tasks=_create_queue(scope, "Tasks", TASKS_VISIBILITY, removal, is_fifo=False, dead=tasks_dlq),
        tasks_dlq=tasks_dlq,
    )


def _create_queue(
    scope: Construct,
    name: str,
    visibility: Duration,
    removal: RemovalPolicy,
    *,
    is_fifo: bool,
    dead: sqs.Queue | None = None,
) -> sqs.Queue:
    return sqs.Queue(
        scope,
        name,
        fifo=is_fifo or None,
        # High throughput: no common limit for all subjects.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/high-throughput-fifo.html
        deduplication_scope=sqs.DeduplicationScope.MESSAGE_GROUP if is_fifo else None,
        fifo_throughput_limit=sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID if is_fifo else None,
        visibility_timeout=visibility,
        retention_period=RETENTION,
        max_message_size_bytes=MAX_MESSAGE_BYTES,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        dead_letter_queue=sqs.DeadLetterQueue(queue=dead, max_receive_count=MAX_RECEIVE_COUNT) if dead else None,
        removal_policy=removal,
    )
