"""The cache: Valkey in ElastiCache, over TLS and with a password. Losing it slows the system, never corrupts it.

A node rather than a serverless cache: the functions speak to one server, serverless to a cluster.
https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth.html
"""

from aws_cdk import SecretValue, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticache as elasticache
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.network import CACHE_PORT, NetworkStack
from infra.secrets import generated_secret, secret_arn
from infra.stages import Stage


class Cache(Construct):
    """One node, by stage with a replica in another zone.

    Attributes:
        group: of ElastiCache.
        secret_arn: its password, as a plain string.
        url: ``rediss://host:port/0``, without the password.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, network: NetworkStack) -> None:
        super().__init__(scope, construct_id)
        secret = generated_secret(self, "Secret", stage, "Valkey's AUTH")
        self.secret_arn = secret_arn(secret)
        isolated = network.vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        subnets = elasticache.CfnSubnetGroup(
            self, "Subnets", description="Valkey's isolated subnets", subnet_ids=isolated.subnet_ids
        )
        self.group = elasticache.CfnReplicationGroup(
            self,
            "Valkey",
            replication_group_description=f"Webhook Orchestrator {stage.name}: limits, tokens, caches",
            engine="valkey",
            engine_version="8.0",
            cache_node_type=stage.cache_class,
            num_cache_clusters=2 if stage.is_durable else 1,
            automatic_failover_enabled=stage.is_durable,
            multi_az_enabled=stage.is_durable,
            port=CACHE_PORT,
            cache_subnet_group_name=subnets.ref,
            security_group_ids=[network.cache.security_group_id],
            transit_encryption_enabled=True,
            at_rest_encryption_enabled=True,
            auth_token=SecretValue.secrets_manager(self.secret_arn).unsafe_unwrap(),
            auto_minor_version_upgrade=True,
            # Nothing in it is worth a backup.
            snapshot_retention_limit=0,
        )
        if not stage.is_durable:
            acknowledge(self.group, "AwsSolutions-AEC4", "Losing the cache slows the system, never corrupts it")
        port = Token.as_string(self.group.attr_primary_end_point_port)
        self.url = f"rediss://{self.group.attr_primary_end_point_address}:{port}/0"
