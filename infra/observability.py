"""Observability: dashboard, alarms and whom they tell, saved queries, the share of traces that is kept."""

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_xray as xray
from constructs import Construct

from infra.alarms import create_alarms
from infra.application import ApplicationStack
from infra.dashboard import create_dashboard
from infra.data import DataStack
from infra.metrics import Metrics
from infra.queries import save_queries
from infra.stages import Stage


class ObservabilityStack(Stack):
    """What an operator looks at, and is woken by.

    Attributes:
        topic: that alarms are sent to.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, application: ApplicationStack, data: DataStack
    ) -> None:
        super().__init__(scope, construct_id, description="Webhook Orchestrator: dashboard, alarms, queries")
        # Not encrypted by SNS's own key: CloudWatch may not use that one, and its alarms would be lost silently.
        # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        self.topic = sns.Topic(
            self, "Alarms", display_name=f"Webhook Orchestrator {stage.name}: alarms", enforce_ssl=True
        )
        if stage.alarm_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(stage.alarm_email))
        metrics = Metrics(stage, application, data)
        groups: list[logs.ILogGroup] = list(application.functions.log_groups.values())
        alarms = create_alarms(self, stage, metrics, application.queues, self.topic)
        create_dashboard(self, stage, metrics, application.queues, alarms=alarms, groups=groups)
        save_queries(self, stage, groups)
        self._sample_traces(stage)
        CfnOutput(self, "AlarmTopicArn", value=self.topic.topic_arn)

    def _sample_traces(self, stage: Stage) -> None:
        # X-Ray's own rule takes a request a second and a twentieth of the rest: of a million deliveries a month
        # that is nearly every one. https://docs.aws.amazon.com/xray/latest/devguide/xray-console-sampling.html
        xray.CfnSamplingRule(
            self,
            "Sampling",
            sampling_rule=xray.CfnSamplingRule.SamplingRuleProperty(
                rule_name=f"orchestrator-{stage.name}",
                version=1,
                priority=1_000,
                reservoir_size=1 if stage.trace_rate == 1 else 0,
                fixed_rate=stage.trace_rate,
                service_name=f"orchestrator-{stage.name}-*",
                service_type="AWS::Lambda::Function",
                host="*",
                http_method="*",
                url_path="*",
                resource_arn="*",
            ),
        )
