"""The composition root: what each function is made of.

Adapters, and the use cases that ingest does not need, are imported inside the builders, so that a function
pays only for what it uses.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from shared import config as settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx

    from shared import ports
    from shared.adapters.github.authorization import Authorization
    from shared.adapters.github.client import GitHubClient
    from shared.adapters.limits import Gate
    from shared.adapters.postgres.database import Database
    from shared.adapters.powertools import PowertoolsTelemetry
    from shared.adapters.redis import RedisCache
    from shared.domain.workflow_file import Reading
    from shared.usecases.bury import BuryDeps
    from shared.usecases.execute import ExecuteDeps
    from shared.usecases.reconcile import ReconcileDeps
    from shared.usecases.refresh import RefreshDeps
    from shared.usecases.route import RouteDeps

# What route waits for GitHub at the most: connecting, and then each read.
FETCH_SECONDS = 4.0


class IngestDeps(NamedTuple):
    """What ingest works with."""

    config: settings.IngestConfig
    secrets: ports.WebhookSecrets
    queue: ports.DeliveryQueue
    bodies: ports.BodyStore


def ingest(environ: Mapping[str, str] = os.environ) -> IngestDeps:
    """Builds ingest from the environment. Raises ConfigError."""
    from shared.adapters.aws import AwsService
    from shared.adapters.s3 import S3BodyStore
    from shared.adapters.secrets import FixedWebhookSecrets, ManagedWebhookSecrets, split_secrets
    from shared.adapters.sqs import SqsDeliveryQueue

    config = settings.read_config(settings.IngestConfig, environ)
    secrets: ports.WebhookSecrets
    if config.webhook_secret_id is not None:
        manager = AwsService("secretsmanager", config.region, config.endpoint)
        secrets = ManagedWebhookSecrets(manager, {"github": config.webhook_secret_id})
    elif config.webhook_secret is not None:
        secrets = FixedWebhookSecrets({"github": split_secrets(config.webhook_secret)})
    else:
        raise settings.ConfigError(
            "set GITHUB_WEBHOOK_SECRET or GITHUB_WEBHOOK_SECRET_ID: webhooks are verified with it"
        )
    return IngestDeps(
        config,
        secrets,
        SqsDeliveryQueue(AwsService("sqs", config.region, config.endpoint), config.queue_url),
        S3BodyStore(AwsService("s3", config.region, config.endpoint), config.bucket),
    )


class Route(NamedTuple):
    """What the handler of route works with."""

    deps: RouteDeps
    telemetry: PowertoolsTelemetry
    tasks: ports.TaskQueue
    give_back: Callable[[Sequence[str], int], None]


def route(environ: Mapping[str, str] = os.environ) -> Route:
    """Builds route from the environment. Raises ConfigError."""
    from shared.adapters.aws import AwsService
    from shared.adapters.managed_settings import read_managed
    from shared.adapters.postgres.database import Database
    from shared.adapters.postgres.deliveries import PostgresDeliveries
    from shared.adapters.postgres.workflows import PostgresWorkflows
    from shared.adapters.powertools import PowertoolsTelemetry
    from shared.adapters.s3 import S3BodyStore
    from shared.adapters.sqs import SqsTaskQueue, SqsVisibility
    from shared.domain.guard import Surroundings
    from shared.usecases.route import RouteDeps

    config = settings.read_config(settings.RouteConfig, read_managed(environ))
    telemetry = PowertoolsTelemetry("route", config)
    database = Database(config.database_url, has_fixed_plans=True)
    sqs = AwsService("sqs", config.region, config.endpoint)
    bodies = S3BodyStore(AwsService("s3", config.region, config.endpoint), config.bucket)
    workflows = PostgresWorkflows(database)
    deps = RouteDeps(
        records=PostgresDeliveries(database),
        catalog=workflows,
        bodies=bodies,
        templates=_templates,
        surroundings=Surroundings(config.own_logins, config.agent_logins),
        telemetry=telemetry,
        refresh=_refresh(config, workflows, telemetry),
    )
    give_back = SqsVisibility(sqs, config.queue_url).give_back
    return Route(deps, telemetry, SqsTaskQueue(sqs, config.tasks_queue_url), give_back)


def _refresh(
    config: settings.RouteConfig, files: ports.WorkflowFiles, telemetry: ports.Telemetry
) -> RefreshDeps | None:
    from shared.adapters.github.workflow_source import GitHubWorkflowSource
    from shared.adapters.workflow_reading import read_text
    from shared.usecases.refresh import RefreshDeps

    if not config.is_app and config.github_token is None:
        return None

    def connect() -> GitHubClient:
        from shared.adapters.budgets import github_rules
        from shared.adapters.limits import Gate
        from shared.adapters.redis import RedisCache
        from shared.adapters.redis_limits import RedisLimiter

        cache = RedisCache(config.redis_url)
        gate = Gate(github_rules(config.github_url), RedisLimiter(cache, config.workers), telemetry)
        # A delivery waits meanwhile, and those behind it.
        return _github(config, cache, gate, timeout_seconds=FETCH_SECONDS)

    return RefreshDeps(files, GitHubWorkflowSource(connect), read_text, telemetry, has_checks=config.is_app)


@cache
def _templates() -> ports.Templates:
    from shared.adapters.templates import JinjaTemplates

    return JinjaTemplates()


class Execute(NamedTuple):
    """What the handler of execute works with."""

    deps: ExecuteDeps
    telemetry: PowertoolsTelemetry
    give_back: Callable[[Sequence[str], int], None]


def execute(environ: Mapping[str, str] = os.environ) -> Execute:
    """Builds execute from the environment. Raises ConfigError."""
    import random
    import time
    import uuid

    from shared.adapters.approvals import ApprovalWait
    from shared.adapters.aws import AwsService
    from shared.adapters.budgets import codegen_rules, github_rules
    from shared.adapters.limits import Gate
    from shared.adapters.managed_settings import read_managed
    from shared.adapters.postgres.database import Database
    from shared.adapters.postgres.instructions import PostgresInstructions
    from shared.adapters.postgres.tasks import PostgresTasks
    from shared.adapters.powertools import PowertoolsTelemetry
    from shared.adapters.redis import RedisCache
    from shared.adapters.redis_limits import RedisLimiter
    from shared.adapters.s3 import S3BodyStore
    from shared.adapters.sqs import SqsTaskQueue, SqsVisibility
    from shared.domain.workflow import Caps
    from shared.usecases.execute import ExecuteDeps, Policy

    config = settings.read_config(settings.ExecuteConfig, read_managed(environ))
    telemetry = PowertoolsTelemetry("execute", config)
    sqs = AwsService("sqs", config.region, config.endpoint)
    cache = RedisCache(config.redis_url)
    limiter = RedisLimiter(cache, config.workers)
    github = _github(config, cache, Gate(github_rules(config.github_url), limiter, telemetry))
    database = Database(config.database_url, has_fixed_plans=True)
    queue = SqsTaskQueue(sqs, config.tasks_queue_url)
    actions = {**_actions(config, github), **_own_actions(database, queue)}
    agents = _agents(config, cache, github, Gate(codegen_rules(config.codegen_url), limiter, telemetry))
    approval = ApprovalWait(PostgresInstructions(database), actions["github.comment"], actions["github.check_run"])
    deps = ExecuteDeps(
        records=PostgresTasks(database),
        queue=queue,
        actions=actions,
        agents={**agents, "approval.wait": approval},
        templates=_templates(),
        bodies=S3BodyStore(AwsService("s3", config.region, config.endpoint), config.bucket),
        telemetry=telemetry,
        policy=Policy(
            lease_seconds=config.lease_seconds,
            agent_poll_seconds=config.agent_poll_seconds,
            max_attempts=config.max_attempts,
            retry_base_seconds=config.retry_base_seconds,
            are_agents_on=config.are_agents_on,
            max_agent_runs=Caps(
                per_subject=config.max_agent_runs_per_subject,
                per_repository=config.max_agent_runs_per_repository,
                per_day=config.max_agent_runs_per_day,
            ),
        ),
        new_id=lambda: str(uuid.uuid4()),
        jitter=random.random,
        clock=time.monotonic,
    )
    return Execute(deps, telemetry, SqsVisibility(sqs, config.tasks_queue_url).give_back)


def _github(
    config: settings.RouteConfig | settings.ExecuteConfig,
    cache: RedisCache,
    gate: Gate,
    timeout_seconds: float | None = None,
) -> GitHubClient:
    from shared.adapters.github.client import GitHubClient
    from shared.adapters.http import open_client

    client = open_client(config.github_url, gate, is_traced=config.enable_tracing)
    if timeout_seconds is not None:
        client.timeout = timeout_seconds
    return GitHubClient(client, _authorization(config, client, cache))


def _actions(config: settings.ExecuteConfig, github: GitHubClient) -> dict[str, ports.Action]:
    from shared.adapters.github.actions import build_actions
    from shared.adapters.github.dispatches import Dispatch, RerunFailed
    from shared.adapters.http_request import HttpRequest, open_web_client

    return {
        **build_actions(github),
        Dispatch.kind: Dispatch(github),
        RerunFailed.kind: RerunFailed(github),
        "http.request": HttpRequest(open_web_client(is_traced=config.enable_tracing), config.http_allowed_hosts),
    }


def _own_actions(database: Database, queue: ports.TaskQueue) -> dict[str, ports.Action]:
    from shared.adapters.instructions import Explain, GiveInstruction
    from shared.adapters.postgres.instructions import PostgresInstructions
    from shared.adapters.postgres.reading import PostgresReading

    instructions = PostgresInstructions(database)
    return {
        "orchestrator.approve": GiveInstruction("approve", instructions, queue),
        "orchestrator.cancel": GiveInstruction("cancel", instructions, queue),
        "orchestrator.retry": GiveInstruction("retry", instructions, queue),
        "orchestrator.explain": Explain(PostgresReading(database)),
    }


def _authorization(config: settings.GitHubConfig, client: httpx.Client, cache: RedisCache) -> Authorization:
    from shared.adapters.github.authorization import AppAuthorization, TokenAuthorization

    if config.github_app_id is not None and config.github_private_key is not None:
        return AppAuthorization(client, cache, config.github_app_id, config.github_private_key)
    if config.github_token is not None:
        return TokenAuthorization(config.github_token)
    raise settings.ConfigError("set GITHUB_TOKEN, or GITHUB_APP_ID and GITHUB_PRIVATE_KEY: actions need one of them")


def _agents(
    config: settings.ExecuteConfig, cache: RedisCache, github: GitHubClient, gate: Gate
) -> dict[str, ports.Agent]:
    from shared.adapters.absences import Absences
    from shared.adapters.codegen.agents import CodegenAgent, CodegenResume
    from shared.adapters.codegen.client import CodegenClient
    from shared.adapters.github.workflow_agent import WorkflowAgent
    from shared.adapters.http import open_client

    agents: dict[str, ports.Agent] = {WorkflowAgent.kind: WorkflowAgent(github)}
    if config.codegen_token is None or config.codegen_org_id is None:
        # Workflows that comment or label work without an agent; a step that needs one says that it is missing.
        return agents
    http = open_client(config.codegen_url, gate, is_traced=config.enable_tracing)
    client = CodegenClient(http, config.codegen_token, config.codegen_org_id, Absences(cache))
    agents["codegen.run"] = CodegenAgent(client, cache)
    agents["codegen.resume"] = CodegenResume(client, cache)
    return agents


class Reconcile(NamedTuple):
    """What the handler of reconcile works with."""

    deps: ReconcileDeps
    telemetry: PowertoolsTelemetry


def reconcile(environ: Mapping[str, str] = os.environ) -> Reconcile:
    """Builds reconcile from the environment. Raises ConfigError."""
    from shared.adapters.aws import AwsService
    from shared.adapters.managed_settings import read_managed
    from shared.adapters.postgres.database import Database
    from shared.adapters.postgres.tasks import PostgresTasks
    from shared.adapters.powertools import PowertoolsTelemetry
    from shared.adapters.sqs import SqsTaskQueue
    from shared.usecases.reconcile import ReconcileDeps

    config = settings.read_config(settings.ReconcileConfig, read_managed(environ))
    telemetry = PowertoolsTelemetry("reconcile", config)
    queue = SqsTaskQueue(AwsService("sqs", config.region, config.endpoint), config.tasks_queue_url)
    tasks = PostgresTasks(Database(config.database_url))
    return Reconcile(ReconcileDeps(tasks, queue, telemetry, config.stranded_after_seconds), telemetry)


class Bury(NamedTuple):
    """What the handler of bury works with."""

    deps: BuryDeps
    telemetry: PowertoolsTelemetry


def bury(environ: Mapping[str, str] = os.environ) -> Bury:
    """Builds bury from the environment. Raises ConfigError."""
    from shared.adapters.managed_settings import read_managed
    from shared.adapters.postgres.database import Database
    from shared.adapters.postgres.deliveries import PostgresDeliveries
    from shared.adapters.postgres.tasks import PostgresTasks
    from shared.adapters.powertools import PowertoolsTelemetry
    from shared.usecases.bury import BuryDeps

    config = settings.read_config(settings.BuryConfig, read_managed(environ))
    telemetry = PowertoolsTelemetry("bury", config)
    database = Database(config.database_url)
    return Bury(BuryDeps(PostgresDeliveries(database), PostgresTasks(database), telemetry), telemetry)


class ApiDeps(NamedTuple):
    """What the API reads from and may change."""

    config: settings.ApiConfig
    telemetry: PowertoolsTelemetry
    reading: ports.Reading
    workflows: ports.WorkflowLibrary
    read_workflows: Callable[[str | None], Reading]
    instructions: ports.Instructions
    switches: ports.Switches
    queue: ports.TaskQueue
    is_cache_up: Callable[[], bool]
    ping_queue: Callable[[], None]


def api(environ: Mapping[str, str] = os.environ) -> ApiDeps:
    """Builds the API from the environment. Raises ConfigError."""
    from shared.adapters.aws import AwsService
    from shared.adapters.managed_settings import read_managed
    from shared.adapters.postgres.database import Database
    from shared.adapters.postgres.instructions import PostgresInstructions, PostgresSwitches
    from shared.adapters.postgres.reading import PostgresReading
    from shared.adapters.postgres.workflows import PostgresWorkflows
    from shared.adapters.powertools import PowertoolsTelemetry
    from shared.adapters.redis import RedisCache
    from shared.adapters.sqs import SqsTaskQueue
    from shared.adapters.workflow_reading import read_text

    config = settings.read_config(settings.ApiConfig, read_managed(environ))
    database = Database(config.database_url)
    queue = SqsTaskQueue(AwsService("sqs", config.region, config.endpoint), config.tasks_queue_url)
    return ApiDeps(
        config,
        PowertoolsTelemetry("api", config),
        PostgresReading(database),
        PostgresWorkflows(database),
        read_text,
        PostgresInstructions(database),
        PostgresSwitches(database),
        queue,
        RedisCache(config.redis_url).is_up,
        queue.ping,
    )


def migrate(environ: Mapping[str, str] = os.environ) -> Callable[[], list[str]]:
    """Builds migrate from the environment: brings schema and default workflows up to date. Raises ConfigError."""
    from pathlib import Path

    from alembic.command import upgrade
    from alembic.config import Config

    from shared import sql
    from shared.adapters.managed_settings import read_managed
    from shared.adapters.postgres.database import Database
    from shared.adapters.postgres.workflows import put_defaults
    from shared.adapters.workflow_files import read_default_workflows

    config = settings.read_config(settings.MigrateConfig, read_managed(environ))

    def run() -> list[str]:
        alembic = Config()
        alembic.set_main_option("script_location", str(Path(sql.__file__).parent / "migrations"))
        alembic.attributes["database_url"] = config.database_url
        upgrade(alembic, "head")
        workflows = read_default_workflows()
        database = Database(config.database_url)
        put_defaults(database, workflows)
        database.close()
        return [workflow.name for workflow in workflows]

    return run


class Stored(NamedTuple):
    """What commands read stored deliveries from; ``bodies`` is None where no bucket is set."""

    deliveries: ports.StoredDeliveries
    bodies: ports.BodyStore | None


@contextmanager
def stored(environ: Mapping[str, str] = os.environ) -> Iterator[Stored]:
    """Builds what reads stored deliveries from the environment; closed at the end. Raises ConfigError."""
    from shared.adapters.aws import AwsService
    from shared.adapters.postgres.backtest import PostgresStoredDeliveries
    from shared.adapters.postgres.database import Database
    from shared.adapters.s3 import S3BodyStore

    config = settings.read_config(settings.StoredConfig, environ)
    database = Database(config.database_url)
    bodies = None
    if config.bucket is not None:
        bodies = S3BodyStore(AwsService("s3", config.region, config.endpoint), config.bucket)
    try:
        yield Stored(PostgresStoredDeliveries(database), bodies)
    finally:
        database.close()
