"""The two versions of the job, each with a Postgres and a Valkey of its own, started under a supervisor."""

import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import boto3  # type: ignore[import-untyped]  # it ships no types
import psycopg

from shared.adapters.postgres.database import Database
from shared.adapters.postgres.workflows import PostgresWorkflows
from shared.local.endpoints import read_endpoints
from shared.local.free_ports import HOST, choose_port
from shared.local.servers import AWS_CREDENTIALS, plan_servers
from shared.local.stack import answers, prepare
from shared.local.supervisor import Program, Supervisor
from tests.benchmarks.payloads import PATH, ROOT, SECRET, read_plain_workflows

TABLES = Path(__file__).with_name("celery_tables.sql")


@dataclass(frozen=True)
class RunningStack:
    """A version that is up.

    Attributes:
        webhook_url: where deliveries go.
        database_url: where it records them.
        pids: of its programs, by name; ``front`` and ``workers`` are the application.
        settings: of the application.
    """

    webhook_url: str
    database_url: str
    pids: Mapping[str, int]
    settings: Mapping[str, str]


def start_ours(supervisor: Supervisor) -> RunningStack:
    """Starts the product as ``make up`` does, without the workers that act on tasks."""
    servers = plan_servers(supervisor.state_dir, {}, {})
    for server in servers:
        supervisor.start(server)
    database_url, redis_url, endpoint = (str(server.address) for server in servers)
    settings = {
        **AWS_CREDENTIALS,
        "AWS_REGION": "us-east-1",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "AWS_ENDPOINT_URL": endpoint,
        "GITHUB_WEBHOOK_SECRET": SECRET,
        "GITHUB_TOKEN": "unused",
        # Nobody: repositories' workflow files are asked for once a minute, and cannot be had.
        "GITHUB_API_URL": f"http://{HOST}:9",
        "API_TOKEN": "unused",
    }
    settings |= prepare(settings)
    with closing(Database(database_url)) as database:
        PostgresWorkflows(database).put_organization(read_plain_workflows())
    port = choose_port("PORT")
    _start(supervisor, "front", ("shared.local.front", "--port", str(port)), settings, port)
    _start(supervisor, "workers", ("tests.benchmarks.route_worker",), settings)
    return _describe(supervisor, port, settings)


def renew_queues(stack: RunningStack) -> None:
    """Replaces our queues, which must be empty but for tasks, by new ones of the same names.

    At each send the emulator copies the ids of all deliveries of the last five minutes. SQS does no such thing, and
    copying 20,000 of them costs whoever shares the processor's caches with it a good part of its speed.
    """
    sqs = boto3.client(
        "sqs",
        region_name=stack.settings["AWS_REGION"],
        endpoint_url=stack.settings["AWS_ENDPOINT_URL"],
        aws_access_key_id=stack.settings["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=stack.settings["AWS_SECRET_ACCESS_KEY"],
    )
    for name in ("DELIVERIES_QUEUE_URL", "TASKS_QUEUE_URL"):
        sqs.delete_queue(QueueUrl=stack.settings[name])
    sqs.close()
    prepare(stack.settings)


def start_celery(supervisor: Supervisor) -> RunningStack:
    """Starts the version of FastAPI and Celery, with the same servers but for SQS."""
    servers = plan_servers(supervisor.state_dir, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, {})[:2]
    for server in servers:
        supervisor.start(server)
    database_url, redis_url = (str(server.address) for server in servers)
    with psycopg.connect(database_url) as connection:
        connection.execute(TABLES.read_bytes())
    settings = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "GITHUB_WEBHOOK_SECRET": SECRET}
    port = choose_port("PORT")
    web = "uvicorn tests.benchmarks.celery_web:app --http httptools --loop asyncio"
    _start(supervisor, "front", (*web.split(), "--port", str(port)), settings, port)
    worker = "celery -A tests.benchmarks.celery_worker worker -Q deliveries --pool solo --loglevel info"
    quiet = "--without-gossip --without-mingle --without-heartbeat"
    _start(supervisor, "workers", (*worker.split(), *quiet.split()), settings)
    return _describe(supervisor, port, settings)


def _start(
    supervisor: Supervisor, name: str, command: tuple[str, ...], settings: Mapping[str, str], port: int | None = None
) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(supervisor.state_dir),
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(supervisor.state_dir / "bytecode"),
        **settings,
    }
    supervisor.start(
        Program(
            name=name,
            argv=(sys.executable, "-m", *command),
            env=environment,
            cwd=supervisor.state_dir,
            ready=(lambda: True) if port is None else partial(answers, f"http://{HOST}:{port}/health"),
        )
    )


def _describe(supervisor: Supervisor, port: int, settings: Mapping[str, str]) -> RunningStack:
    pids = {
        name: endpoint["pid"]
        for name, endpoint in read_endpoints(supervisor.endpoints_path).items()
        if endpoint["pid"] is not None and name != "supervisor"
    }
    return RunningStack(f"http://{HOST}:{port}{PATH}", settings["DATABASE_URL"], pids, settings)
