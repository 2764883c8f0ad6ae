"""The metrics that alarms and dashboard read: what the functions count, and what AWS documents.

Tests compare every name with the functions' source and with AWS's lists:
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html
https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/CacheMetrics.Redis.html
"""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs

from infra.application import ApplicationStack
from infra.data import DataStack
from infra.stages import Stage

NAMESPACE = "WebhookOrchestrator"
MINUTE = Duration.minutes(1)
FIVE_MINUTES = Duration.minutes(5)
# Each has its limits and its circuit.
UPSTREAMS = ("github", "codegen")


class Metrics:
    """Metrics of one stage."""

    def __init__(self, stage: Stage, application: ApplicationStack, data: DataStack) -> None:
        self._stage = stage
        self._application = application
        self._data = data

    def counted(
        self, function: str, name: str, statistic: str = "Sum", period: Duration = MINUTE, label: str | None = None
    ) -> cloudwatch.Metric:
        """What ``function`` counts as ``name``."""
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"environment": self._stage.name, "service": function},
            statistic=statistic,
            period=period,
            label=label or name,
        )

    def split(self, function: str, name: str, dimension: str, statistic: str = "Sum") -> cloudwatch.MathExpression:
        """What ``function`` counts as ``name``, a line for each value of ``dimension``."""
        where = f'environment="{self._stage.name}" service="{function}" MetricName="{name}"'
        return cloudwatch.MathExpression(
            expression=f"SEARCH('{{{NAMESPACE},environment,service,{dimension}}} {where}', '{statistic}')",
            period=MINUTE,
            label="",
            # Nothing to name: SEARCH finds its metrics itself.
            using_metrics={},
        )

    def api(self, name: str, statistic: str = "Sum") -> cloudwatch.Metric:
        """A metric of the HTTP API."""
        return cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name=name,
            dimensions_map={
                "ApiId": self._application.api.api.api_id,
                "Stage": self._application.api.stage_name,
            },
            statistic=statistic,
            period=MINUTE,
            label=f"{name} {statistic}",
        )

    def function(
        self, function: str, name: str, statistic: str = "Sum", period: Duration = MINUTE
    ) -> cloudwatch.Metric:
        """A metric of a function."""
        return cloudwatch.Metric(
            namespace="AWS/Lambda",
            metric_name=name,
            dimensions_map={"FunctionName": self._application.functions.by_name[function].function_name},
            statistic=statistic,
            period=period,
            label=function,
        )

    def queue(self, queue: sqs.IQueue, name: str, label: str) -> cloudwatch.Metric:
        """A metric of a queue, its highest value in each minute."""
        return cloudwatch.Metric(
            namespace="AWS/SQS",
            metric_name=name,
            dimensions_map={"QueueName": queue.queue_name},
            statistic="Maximum",
            period=MINUTE,
            label=label,
        )

    def database(self, name: str, statistic: str = "Average") -> cloudwatch.Metric:
        """A metric of the database."""
        return cloudwatch.Metric(
            namespace="AWS/RDS",
            metric_name=name,
            dimensions_map={"DBInstanceIdentifier": self._data.database.instance.instance_identifier},
            statistic=statistic,
            period=MINUTE,
            label=name,
        )

    def cache(self, name: str, statistic: str = "Average") -> cloudwatch.Metric:
        """A metric of the cache's first node, whose name ElastiCache makes of the group's."""
        return cloudwatch.Metric(
            namespace="AWS/ElastiCache",
            metric_name=name,
            dimensions_map={"CacheClusterId": f"{self._data.cache.group.ref}-001"},
            statistic=statistic,
            period=MINUTE,
            label=name,
        )

    def failed_percent(self) -> cloudwatch.MathExpression:
        """The share of requests that were answered with 5xx; 0 when there were none."""
        return cloudwatch.MathExpression(
            expression="IF(requests > 0, 100 * failures / requests, 0)",
            using_metrics={"requests": self.api("Count"), "failures": self.api("5xx")},
            period=MINUTE,
            label="answered with 5xx, %",
        )

    def total(
        self, metrics: Sequence[cloudwatch.IMetric], label: str, period: Duration = MINUTE
    ) -> cloudwatch.MathExpression:
        """The sum of ``metrics``, in which one without data counts as 0."""
        names = {f"m{index}": metric for index, metric in enumerate(metrics)}
        return cloudwatch.MathExpression(
            expression=" + ".join(f"FILL({name}, 0)" for name in names),
            using_metrics=names,
            period=period,
            label=label,
        )
