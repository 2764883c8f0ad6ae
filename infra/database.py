"""The database: RDS for PostgreSQL 18, over TLS, seen by the functions alone.

Its logs stay with RDS (a week): exporting them makes a log group that no template gives a retention.
"""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.network import NetworkStack
from infra.secrets import secret_arn
from infra.stages import Stage

NAME = "orchestrator"
USER = "orchestrator"
# Of a durable stage: enough to notice, over a holiday, that something was deleted.
BACKUP_DAYS = 14
# What the functions ask of each connection; RDS Proxy takes no such options from a client.
PROXY_INIT = "SET statement_timeout = '20s'; SET lock_timeout = '5s'; SET timezone = 'UTC'"


class Database(Construct):
    """One instance, by stage with a standby and a proxy.

    Attributes:
        instance: of RDS.
        secret_arn: its user's name and password, with host, port and database.
        proxy_host: what to connect to instead of the instance, when there is a proxy.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, network: NetworkStack) -> None:
        super().__init__(scope, construct_id)
        # uuidv7() and `returning old` came with 18.
        engine = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.VER_18_3)
        secret = rds.DatabaseSecret(self, "Secret", username=USER, dbname=NAME, exclude_characters="\"'@/\\:%?#&+ ")
        self.instance = rds.DatabaseInstance(
            self,
            "Instance",
            engine=engine,
            instance_type=ec2.InstanceType(stage.database_class),
            credentials=rds.Credentials.from_secret(secret),
            database_name=NAME,
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_groups=[self._fixed("SecurityGroup", network.database)],
            publicly_accessible=False,
            multi_az=stage.is_durable,
            allocated_storage=stage.database_gigabytes,
            max_allocated_storage=5 * stage.database_gigabytes,
            storage_type=rds.StorageType.GP3,
            storage_encrypted=True,
            parameter_group=self._parameters(engine),
            # Point-in-time recovery to any second of these days.
            # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIT.html
            backup_retention=Duration.days(BACKUP_DAYS if stage.is_durable else 1),
            delete_automated_backups=not stage.is_durable,
            copy_tags_to_snapshot=True,
            deletion_protection=stage.is_durable,
            removal_policy=RemovalPolicy.SNAPSHOT if stage.is_durable else RemovalPolicy.DESTROY,
            enable_performance_insights=stage.is_durable,
            performance_insight_retention=rds.PerformanceInsightRetention.DEFAULT if stage.is_durable else None,
            auto_minor_version_upgrade=True,
            allow_major_version_upgrade=False,
        )
        self.secret_arn = secret_arn(secret)
        acknowledge(secret, "AwsSolutions-SMG4", "Functions read it at their start: docs/operations.md tells how to")
        acknowledge(self.instance, "AwsSolutions-RDS11", "Only the functions' security groups reach the port at all")
        if not stage.is_durable:
            acknowledge(self.instance, "AwsSolutions-RDS3", "A development stage may be away for minutes")
            acknowledge(self.instance, "AwsSolutions-RDS10", "A development stage is made to be destroyed")
        self.proxy_host = self._add_proxy(stage, network, secret) if stage.database_proxy else None
        if stage.backup_copy is not None:
            # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ReplicateBackups.html
            resource = self.instance.node.default_child
            if isinstance(resource, rds.CfnDBInstance):
                resource.automatic_backup_replication_region = stage.backup_copy.region
                resource.automatic_backup_replication_kms_key_id = stage.backup_copy.kms_key_arn
                resource.automatic_backup_replication_retention_period = BACKUP_DAYS

    def _fixed(self, name: str, group: ec2.SecurityGroup) -> ec2.ISecurityGroup:
        # The rules are the network's: the proxy would add its own, and with them a cycle of stacks.
        return ec2.SecurityGroup.from_security_group_id(self, name, group.security_group_id, mutable=False)

    def _parameters(self, engine: rds.IInstanceEngine) -> rds.ParameterGroup:
        return rds.ParameterGroup(
            self,
            "Parameters",
            engine=engine,
            description="TLS only; what is slow or idle is seen",
            parameters={
                # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.SSL.html
                "rds.force_ssl": "1",
                "log_min_duration_statement": "1000",
                "log_lock_waits": "1",
                "idle_in_transaction_session_timeout": "60000",
            },
        )

    def _add_proxy(self, stage: Stage, network: NetworkStack, secret: rds.DatabaseSecret) -> str:
        if network.proxy is None:
            raise ValueError(f"the network of {stage.name} has no place for a proxy")
        proxy = rds.DatabaseProxy(
            self,
            "Proxy",
            proxy_target=rds.ProxyTarget.from_instance(self.instance),
            secrets=[secret],
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_groups=[self._fixed("ProxySecurityGroup", network.proxy)],
            require_tls=True,
            iam_auth=False,
            init_query=PROXY_INIT,
            max_connections_percent=90,
        )
        return proxy.endpoint
