"""The application: functions, queues, API and schedule; wired by who calls whom."""

from aws_cdk import CfnOutput, CustomResource, Duration, Stack, custom_resources
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.acknowledgements import acknowledge, acknowledge_managed_policy, acknowledge_wildcard
from infra.api import WEBHOOKS_PATH, Api
from infra.bodies import create_bucket
from infra.data import DataStack
from infra.functions import Functions
from infra.network import NetworkStack
from infra.packaging import CODE, Asset
from infra.queues import Queues, create_queues
from infra.retention import log_group
from infra.stages import Stage

MIN_PER_QUEUE = 2
# A task may wait half a minute for GitHub: several in one invocation would outlast its timeout.
BATCH_SIZES = {"route": 10, "execute": 1, "bury": 10}

READ_SECRET = ["secretsmanager:GetSecretValue"]
SEND = ["sqs:SendMessage"]


class ApplicationStack(Stack):
    """What runs.

    Attributes:
        functions: by name.
        queues: by what they hold.
        bodies: the bucket of bodies that a queue message cannot hold.
        api: the way in.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        network: NetworkStack,
        data: DataStack,
        assets: dict[str, Asset],
    ) -> None:
        super().__init__(scope, construct_id, description="Webhook Orchestrator: functions, queues, API")
        self._stage = stage
        self._data = data
        self.queues: Queues = create_queues(self, stage)
        self.bodies = create_bucket(self, stage)
        self.functions = Functions(self, "Functions", stage=stage, network=network, assets=assets)
        self._wire_settings()
        self._wire_rights()
        self._migrate(assets[CODE])
        self._feed()
        self._schedule()
        by_name = self.functions.by_name
        self.api = Api(self, "Api", stage=stage, ingest=by_name["ingest"], everything_else=by_name["api"])
        CfnOutput(self, "WebhookUrl", value=self.api.url + WEBHOOKS_PATH.replace("{source}", "github"))
        CfnOutput(self, "ApiUrl", value=self.api.url)

    def _wire_settings(self) -> None:
        queues, data, stage = self.queues, self._data, self._stage
        deliveries, tasks = queues.deliveries.queue_url, queues.tasks.queue_url
        bodies = self.bodies.bucket_name
        configure = self.functions.set_environment
        configure(
            "ingest",
            DELIVERIES_QUEUE_URL=deliveries,
            BODIES_BUCKET=bodies,
            GITHUB_WEBHOOK_SECRET_ID=data.webhook_secret_arn,
        )
        configure("route", DELIVERIES_QUEUE_URL=deliveries)
        # Route reads a repository's own workflows from GitHub, execute acts there.
        for name in ("route", "execute"):
            configure(
                name,
                TASKS_QUEUE_URL=tasks,
                BODIES_BUCKET=bodies,
                SETTINGS_SECRET_ID=data.credentials_secret_arn,
                GITHUB_API_URL=stage.github_api_url,
                # Who shares the budgets while Redis is away; route asks once a minute for each repository.
                WORKERS=str(stage.concurrency.execute),
            )
        configure("execute", CODEGEN_API_URL=stage.codegen_api_url)
        configure("reconcile", TASKS_QUEUE_URL=tasks)
        configure("api", TASKS_QUEUE_URL=tasks, SETTINGS_SECRET_ID=data.api_secret_arn)
        for name in ("route", "execute", "api"):
            configure(name, REDIS_URL=data.cache.url, REDIS_SECRET_ID=data.cache.secret_arn)
        for name in ("route", "execute", "reconcile", "bury", "api", "migrate"):
            configure(name, DATABASE_SECRET_ID=data.database.secret_arn, DATABASE_HOST=data.database.proxy_host)

    def _wire_rights(self) -> None:
        queues, data, allow = self.queues, self._data, self.functions.allow
        allow("ingest", SEND, [queues.deliveries.queue_arn])
        allow("ingest", ["s3:PutObject"], [self.bodies.arn_for_objects("*")])
        for name in ("ingest", "route", "execute"):
            acknowledge_wildcard(
                self.functions.roles[name],
                "A body's key is made of its delivery's id",
                of=self.bodies,
                suffix="/*",
            )
        allow("ingest", READ_SECRET, [data.webhook_secret_arn])
        allow("route", SEND, [queues.tasks.queue_arn])
        allow("execute", SEND, [queues.tasks.queue_arn])
        allow("reconcile", SEND, [queues.tasks.queue_arn])
        for name in ("route", "execute"):
            allow(name, ["s3:GetObject"], [self.bodies.arn_for_objects("*")])
            # Who may not list is told 403 for a body that has expired, as if the right to read were missing.
            # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
            allow(name, ["s3:ListBucket"], [self.bodies.bucket_arn])
        allow("api", ["sqs:GetQueueAttributes", "sqs:SendMessage"], [queues.tasks.queue_arn])
        database, cache = data.database.secret_arn, data.cache.secret_arn
        for name, secrets in (
            ("route", [database, cache, data.credentials_secret_arn]),
            ("execute", [database, cache, data.credentials_secret_arn]),
            ("reconcile", [database]),
            ("bury", [database]),
            ("api", [database, cache, data.api_secret_arn]),
            ("migrate", [database]),
        ):
            allow(name, READ_SECRET, secrets)

    def _migrate(self, code: Asset) -> None:
        """Brings the schema up to date before the functions whose code needs it, each time the code has changed.

        https://docs.aws.amazon.com/cdk/api/v2/python/aws_cdk.custom_resources/README.html
        """
        function = self.functions.by_name["migrate"]
        group = log_group(self, "MigrationProviderLogs", self._stage)
        provider = custom_resources.Provider(self, "MigrationProvider", on_event_handler=function, log_group=group)
        migration = CustomResource(
            self,
            "Migration",
            resource_type="Custom::Migration",
            service_token=provider.service_token,
            # Read by nobody: a change of it is what calls the function again.
            properties={"Code": code.hash},
        )
        for name in ("route", "execute", "reconcile", "bury", "api"):
            self.functions.by_name[name].node.add_dependency(migration)
        acknowledge_managed_policy(
            provider, "service-role/AWSLambdaBasicExecutionRole", "CDK's own function, called at a deployment only"
        )
        acknowledge_wildcard(provider, "The versions of migrate; CDK's own function", of=function, suffix=":*")
        acknowledge(provider, "AwsSolutions-L1", "CDK's own function, on the runtime that CDK keeps")

    def _feed(self) -> None:
        concurrency = self._stage.concurrency
        self._feed_from(self.queues.deliveries, "route", concurrency.route)
        self._feed_from(self.queues.tasks, "execute", concurrency.execute)
        for queue in (self.queues.deliveries_dlq, self.queues.tasks_dlq):
            self._feed_from(queue, "bury", MIN_PER_QUEUE)

    def _feed_from(self, queue: sqs.Queue, name: str, concurrency: int) -> None:
        # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
        self.functions.by_name[name].add_event_source(
            event_sources.SqsEventSource(
                queue,
                batch_size=BATCH_SIZES[name],
                max_concurrency=concurrency,
                report_batch_item_failures=True,
            )
        )

    def _schedule(self) -> None:
        function = self.functions.by_name["reconcile"]
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
        scheduler.Schedule(
            self,
            "ReconcileEveryMinute",
            description="Heals what fell between two steps",
            schedule=scheduler.ScheduleExpression.rate(Duration.minutes(1)),
            # The next minute is the retry.
            target=scheduler_targets.LambdaInvoke(function, retry_attempts=0, max_event_age=Duration.minutes(1)),
        )
        acknowledge_wildcard(
            self, "The versions of reconcile, by CDK's own role of the schedule", of=function, suffix=":*"
        )
