"""The functions: one role each with just what it calls, a log group, a reserved share of the account's concurrency.

https://docs.aws.amazon.com/lambda/latest/dg/best-practices.html
"""

from collections.abc import Sequence

from aws_cdk import AssetHashType, Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledgements import acknowledge, acknowledge_managed_policy, acknowledge_wildcard
from infra.network import NetworkStack
from infra.packaging import CODE, INGEST, LAYERS, Asset
from infra.retention import log_group
from infra.shapes import ACTING, OUTSIDE, RECORDING, SHAPES, Shape
from infra.stages import Stage

RUNTIME = lambda_.Runtime.PYTHON_3_13

_VPC_POLICY = "service-role/AWSLambdaVPCAccessExecutionRole"


class Functions(Construct):
    """All functions, by name in ``by_name``.

    Each is created without rights to anything but its own logs and traces; ``allow`` adds what it calls.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, network: NetworkStack, assets: dict[str, Asset]
    ) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self._network = network
        self._assets = assets
        self._layers = {name: self._layer(name) for name in LAYERS}
        self.log_groups: dict[str, logs.LogGroup] = {}
        self.roles: dict[str, iam.Role] = {}
        self.by_name = {name: self._function(name, shape) for name, shape in SHAPES.items()}

    def allow(self, name: str, actions: Sequence[str], resources: Sequence[str]) -> None:
        """Lets a function call ``actions`` on ``resources``, given by ARN."""
        self.by_name[name].add_to_role_policy(
            iam.PolicyStatement(actions=list(actions), resources=list(resources)),
        )

    def set_environment(self, name: str, **settings: str | None) -> None:
        """Sets a function's settings; None leaves one out."""
        for key, value in settings.items():
            if value is not None:
                self.by_name[name].add_environment(key, value)

    def _layer(self, name: str) -> lambda_.LayerVersion:
        return lambda_.LayerVersion(
            self,
            f"{name.capitalize()}Layer",
            code=packaged_code(self._assets[name]),
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[lambda_.Architecture.ARM_64],
            description=f"Libraries of {name}, by layers/{name}/requirements.txt",
        )

    def _function(self, name: str, shape: Shape) -> lambda_.Function:
        title = name.capitalize()
        is_inside = shape.reach != OUTSIDE
        group_of = {RECORDING: self._network.recording, ACTING: self._network.acting}
        group = self.log_groups[name] = log_group(self, f"{title}Logs", self._stage)
        self.roles[name] = self._role(title, group, shape)
        function = lambda_.Function(
            self,
            title,
            description=f"Webhook Orchestrator {self._stage.name}: {name}",
            runtime=RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"functions.{name}.handler.handle",
            code=packaged_code(self._assets[INGEST if name == "ingest" else CODE]),
            layers=[self._layers[shape.layer]] if shape.layer else [],
            role=self.roles[name],
            memory_size=shape.memory_mb,
            timeout=Duration.seconds(shape.timeout_seconds),
            reserved_concurrent_executions=(
                getattr(self._stage.concurrency, name) if self._stage.reserve_concurrency else None
            ),
            # Lambda's own segments; the functions add the requests they make, and send the trace's header over SQS.
            # https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
            tracing=lambda_.Tracing.ACTIVE,
            logging_format=lambda_.LoggingFormat.JSON,
            application_log_level_v2=lambda_.ApplicationLogLevel[self._stage.log_level],
            log_group=group,
            environment={
                "ENVIRONMENT": self._stage.name,
                "LOG_LEVEL": self._stage.log_level,
                "ENABLE_TRACING": "true",
            },
            vpc=self._network.vpc if is_inside else None,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS) if is_inside else None,
            security_groups=[group_of[shape.reach]] if is_inside else None,
        )
        acknowledge(
            function,
            "AwsSolutions-L1",
            "Python 3.13: the newest that the test machines have, and its end is that of 3.14, June 2029",
        )
        return function

    def _role(self, title: str, group: logs.LogGroup, shape: Shape) -> iam.Role:
        role = iam.Role(self, f"{title}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        acknowledge_wildcard(role, "X-Ray's actions know no resources")
        role.add_to_policy(
            iam.PolicyStatement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[group.log_group_arn])
        )
        if shape.reach != OUTSIDE:
            role.add_managed_policy(iam.ManagedPolicy.from_aws_managed_policy_name(_VPC_POLICY))
            acknowledge_managed_policy(role, _VPC_POLICY, "Lambda makes the network interfaces; AWS keeps their list")
        return role


def packaged_code(asset: Asset) -> lambda_.AssetCode:
    """Returns what ``infra.packaging`` built, under the hash it gave."""
    return lambda_.Code.from_asset(asset.path, asset_hash=asset.hash, asset_hash_type=AssetHashType.CUSTOM)
