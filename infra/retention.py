"""Log groups: each with a retention, none that outlives its purpose."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.stages import Stage


def log_group(scope: Construct, name: str, stage: Stage) -> logs.LogGroup:
    """Returns a log group that keeps its lines as long as the stage says.

    Those of a durable stage stay when the stack is deleted: they tell why.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html
    """
    return logs.LogGroup(
        scope,
        name,
        retention=logs.RetentionDays[_RETENTION[stage.log_days]],
        removal_policy=RemovalPolicy.RETAIN if stage.is_durable else RemovalPolicy.DESTROY,
    )


_RETENTION = {7: "ONE_WEEK", 14: "TWO_WEEKS", 30: "ONE_MONTH", 90: "THREE_MONTHS", 365: "ONE_YEAR"}
