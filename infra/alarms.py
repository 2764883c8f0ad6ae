"""The alarms: what somebody is woken for, each with the section of the runbook that says what to do.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.metrics import FIVE_MINUTES, UPSTREAMS, Metrics
from infra.queues import Queues
from infra.shapes import SHAPES
from infra.stages import Stage

RUNBOOK = "docs/operations.md"
GIGABYTE = 1024**3
ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
MISSING_IS_FINE = cloudwatch.TreatMissingData.NOT_BREACHING
MISSING_IS_BAD = cloudwatch.TreatMissingData.BREACHING


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One alarm.

    Attributes:
        name: ``tasks-backlog``.
        text: what is the matter, in one sentence.
        section: of the runbook, as its anchor.
        metric: what is watched.
        compare: with ``threshold``.
        threshold: in the metric's unit.
        periods: of the metric, all of which must be beyond it.
        missing: what a period without data means.
    """

    name: str
    text: str
    section: str
    metric: cloudwatch.IMetric
    threshold: float
    compare: cloudwatch.ComparisonOperator = ABOVE
    periods: int = 1
    missing: cloudwatch.TreatMissingData = MISSING_IS_FINE


def create_alarms(
    scope: Construct, stage: Stage, metrics: Metrics, queues: Queues, topic: sns.ITopic
) -> list[cloudwatch.Alarm]:
    """Creates every alarm; each tells the topic when it begins and when it ends."""
    action = actions.SnsAction(topic)
    alarms = []
    for watch in (
        *_watch_service(metrics),
        *_watch_queues(metrics, queues),
        *_watch_functions(metrics),
        *_watch_upstreams(metrics),
        *_watch_data(metrics, stage),
    ):
        alarm = cloudwatch.Alarm(
            scope,
            "".join(part.capitalize() for part in watch.name.split("-")),
            alarm_name=f"orchestrator-{stage.name}-{watch.name}",
            alarm_description=f"{watch.text} What to do: {RUNBOOK}#{watch.section}",
            metric=watch.metric,
            threshold=watch.threshold,
            comparison_operator=watch.compare,
            evaluation_periods=watch.periods,
            treat_missing_data=watch.missing,
        )
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
        alarms.append(alarm)
    return alarms


def _watch_service(metrics: Metrics) -> Iterator[Watch]:
    yield Watch(
        name="service-down",
        text="Every request of a minute was answered with 5xx.",
        section="service-down",
        metric=metrics.failed_percent(),
        compare=AT_LEAST,
        threshold=100,
    )
    yield Watch(
        name="error-rate",
        text="More than 5 % of the requests were answered with 5xx, for 2 minutes.",
        section="error-rate",
        metric=metrics.failed_percent(),
        threshold=5,
        periods=2,
    )
    yield Watch(
        name="reconcile-not-run",
        text="Reconcile has not come to its end for 3 minutes.",
        section="reconcile-not-run",
        metric=metrics.counted("reconcile", "reconciled"),
        compare=BELOW,
        threshold=1,
        periods=3,
        missing=MISSING_IS_BAD,
    )
    dead = [
        metrics.counted(function, name, period=FIVE_MINUTES)
        for function, name in (
            ("route", "dead_deliveries"),
            ("bury", "dead_deliveries"),
            ("bury", "dead_tasks"),
            ("bury", "dead_letters"),
        )
    ]
    yield Watch(
        name="work-died",
        text="A delivery or task was given up and recorded as dead.",
        section="dead-letters",
        metric=metrics.total(dead, "recorded as dead", FIVE_MINUTES),
        threshold=0,
    )


def _watch_queues(metrics: Metrics, queues: Queues) -> Iterator[Watch]:
    for name, queue, dead in (
        ("deliveries", queues.deliveries, queues.deliveries_dlq),
        ("tasks", queues.tasks, queues.tasks_dlq),
    ):
        yield Watch(
            name=f"{name}-backlog",
            text=f"More than 100 {name} have waited in the queue for 5 minutes.",
            section="backlog",
            metric=metrics.queue(queue, "ApproximateNumberOfMessagesVisible", name),
            threshold=100,
            periods=5,
        )
        yield Watch(
            name=f"{name}-too-old",
            text=f"The oldest message of {name} is older than 5 minutes.",
            section="backlog",
            metric=metrics.queue(queue, "ApproximateAgeOfOldestMessage", name),
            threshold=300,
        )
        yield Watch(
            name=f"{name}-dead-letter",
            text=f"The dead-letter queue of {name} holds a message.",
            section="dead-letters",
            metric=metrics.queue(dead, "ApproximateNumberOfMessagesVisible", name),
            threshold=0,
        )


def _watch_functions(metrics: Metrics) -> Iterator[Watch]:
    for name in SHAPES:
        yield Watch(
            name=f"{name}-errors",
            text=f"An invocation of {name} failed: an error nobody foresaw, a timeout, or no settings.",
            section="function-errors",
            metric=metrics.function(name, "Errors", period=FIVE_MINUTES),
            threshold=0,
        )
    throttles = [metrics.function(name, "Throttles", period=FIVE_MINUTES) for name in SHAPES]
    yield Watch(
        name="throttles",
        text="Invocations were refused for 10 minutes: a function is at its reserved concurrency.",
        section="throttles",
        metric=metrics.total(throttles, "throttled", FIVE_MINUTES),
        threshold=0,
        periods=2,
    )


def _watch_upstreams(metrics: Metrics) -> Iterator[Watch]:
    yield Watch(
        name="github-budget",
        text="Less than a tenth is left of GitHub's hourly limit, of the installation that has least.",
        section="github-budget",
        # Said with every request and every task that must wait: without any, nobody lacks the budget.
        metric=metrics.counted("execute", "github_budget_remaining_ratio", "Minimum", FIVE_MINUTES),
        compare=BELOW,
        threshold=0.1,
    )
    circuits = [metrics.counted("execute", f"{upstream}_circuit_open", "Maximum") for upstream in UPSTREAMS]
    yield Watch(
        name="circuit-open",
        text="GitHub or Codegen has failed so often in a row that it is not asked for the time being.",
        section="circuit-open",
        metric=metrics.total(circuits, "circuits open"),
        threshold=0,
    )


def _watch_data(metrics: Metrics, stage: Stage) -> Iterator[Watch]:
    yield Watch(
        name="database-storage",
        text="Less than a tenth of the database's storage is free.",
        section="database",
        metric=metrics.database("FreeStorageSpace", "Minimum"),
        compare=BELOW,
        threshold=stage.database_gigabytes * GIGABYTE / 10,
        periods=5,
    )
    yield Watch(
        name="database-connections",
        text="More than 80 % of the database's connections are in use.",
        section="database",
        metric=metrics.database("DatabaseConnections", "Maximum"),
        threshold=0.8 * stage.database_connections,
        periods=3,
    )
    yield Watch(
        name="database-cpu",
        text="The database has been over 80 % of its CPU for 15 minutes.",
        section="database",
        metric=metrics.database("CPUUtilization"),
        threshold=80,
        periods=15,
    )
    yield Watch(
        name="cache-memory",
        text="Valkey uses more than 80 % of its memory.",
        section="cache",
        metric=metrics.cache("DatabaseMemoryUsagePercentage", "Maximum"),
        threshold=80,
        periods=5,
    )
