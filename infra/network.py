"""The network: functions in private subnets, data in isolated ones, and who may talk to whom.

Ingest is not in it: it touches neither database nor cache, and outside it starts and scales without either.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
"""

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.retention import log_group
from infra.stages import Stage

POSTGRES_PORT = 5432
CACHE_PORT = 6379
HTTPS_PORT = 443


class NetworkStack(Stack):
    """VPC, way out, endpoints, security groups.

    Attributes:
        vpc: over two availability zones.
        recording: security group of functions that reach the database.
        acting: of those that reach the cache too.
        database: of the database.
        cache: of the cache.
        proxy: of the database's proxy, when there is one.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id, description="Webhook Orchestrator: network")
        gateway = None if stage.is_durable else _nat_instance()
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            nat_gateways=2 if stage.is_durable else 1,
            nat_gateway_provider=gateway,
            # Addresses in public subnets are given to the way out alone.
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=26, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="functions", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=22),
                ec2.SubnetConfiguration(name="data", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=26),
            ],
            # S3 through the gateway endpoint costs nothing and does not pass the NAT.
            gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
        )
        for instance in gateway.gateway_instances if gateway is not None else []:
            _encrypt_disk(instance)
        self._log_flows(stage)
        self.database = self._group("Database", "Postgres: who may connect")
        self.cache = self._group("Cache", "Valkey: who may connect")
        self.recording = self._group("Recording", "Functions that record: reconcile, bury, migrate")
        self.acting = self._group("Acting", "Functions that also need the cache: route, execute, api")
        self.proxy = self._group("Proxy", "RDS Proxy") if stage.database_proxy else None
        self._connect(gateway)
        if stage.is_durable:
            self._add_endpoints()

    def _group(self, name: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, name, vpc=self.vpc, description=description, allow_all_outbound=False, disable_inline_rules=True
        )

    def _connect(self, gateway: ec2.NatInstanceProviderV2 | None) -> None:
        postgres, valkey, https = (ec2.Port.tcp(port) for port in (POSTGRES_PORT, CACHE_PORT, HTTPS_PORT))
        front = self.proxy or self.database
        if self.proxy is not None:
            self.proxy.connections.allow_to(self.database, postgres, "the proxy's pool")
        for group in (self.recording, self.acting):
            group.connections.allow_to(front, postgres, "records")
            # GitHub, Codegen and AWS: addresses that change, so the port is what can be said.
            group.connections.allow_to_any_ipv4(https, "AWS, GitHub and Codegen over TLS")
            if gateway is not None:
                gateway.security_group.add_ingress_rule(group, https, "the way out")
        self.acting.connections.allow_to(self.cache, valkey, "limits, tokens, caches")

    def _add_endpoints(self) -> None:
        # What the workers need to go on when the way out is down, and what most of their traffic is.
        endpoints = self._group("Endpoints", "Interface endpoints")
        for group in (self.recording, self.acting):
            endpoints.connections.allow_from(group, ec2.Port.tcp(HTTPS_PORT), "AWS APIs")
        for name, service in (
            ("Sqs", ec2.InterfaceVpcEndpointAwsService.SQS),
            ("SecretsManager", ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER),
        ):
            self.vpc.add_interface_endpoint(
                name,
                service=service,
                security_groups=[endpoints],
                subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
                open=False,
            )

    def _log_flows(self, stage: Stage) -> None:
        # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs.html
        self.vpc.add_flow_log(
            "Flows",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group(self, "FlowLogs", stage)),
            traffic_type=ec2.FlowLogTrafficType.ALL if stage.is_durable else ec2.FlowLogTrafficType.REJECT,
            max_aggregation_interval=ec2.FlowLogMaxAggregationInterval.TEN_MINUTES,
        )


def _encrypt_disk(instance: ec2.Instance) -> None:
    resource = instance.node.default_child
    if isinstance(resource, ec2.CfnInstance):
        resource.block_device_mappings = [
            ec2.CfnInstance.BlockDeviceMappingProperty(
                device_name="/dev/xvda",
                ebs=ec2.CfnInstance.EbsProperty(encrypted=True, volume_size=8, volume_type="gp3"),
            )
        ]
    acknowledge(instance, "AwsSolutions-EC28", "A development stage's way out; its alarm is that work fails")
    acknowledge(instance, "AwsSolutions-EC29", "It holds no state: a new one takes its place at the next deployment")


def _nat_instance() -> ec2.NatInstanceProviderV2:
    """A t4g.nano for 7 dollars a month where a NAT gateway takes 33; it carries megabytes and may fail for minutes."""
    return ec2.NatProvider.instance_v2(
        instance_type=ec2.InstanceType("t4g.nano"),
        machine_image=ec2.MachineImage.latest_amazon_linux2023(cpu_type=ec2.AmazonLinuxCpuType.ARM_64),
        default_allowed_traffic=ec2.NatTrafficDirection.OUTBOUND_ONLY,
        associate_public_ip_address=True,
    )
