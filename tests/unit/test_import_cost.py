"""Ingest starts cold more often than not, so it imports little; no worker imports an SDK of AWS's.

Nor does route import anything to ask GitHub with.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "boto3",
    "botocore",
    "pydantic",
    "fastapi",
    "httpx",
    "aws_xray_sdk",
    "psycopg",
    "redis",
    "aws_lambda_powertools",
}
MAX_MODULES = 220
PROGRAM = "import json, sys, functions.{}.handler; print(json.dumps(sorted(sys.modules)))"
# What only few deliveries need: a file to be fetched and read, a group to be named by a template.
LATER = {"httpx", "redis", "jwt", "ruamel", "jinja2"}
# Each costs more at a cold start than all the rest of a worker.
NEVER = {"boto3", "botocore.session", "aws_xray_sdk"}


def list_modules(function: str, environ: dict[str, str], *options: str) -> list[str]:
    # -X utf8 because the environment names no locale.
    command = [sys.executable, *options, "-X", "utf8", "-c", PROGRAM.format(function)]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    modules: list[str] = json.loads(done.stdout)
    return modules


def test_ingest_imports_little() -> None:
    environ = {
        "DELIVERIES_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/deliveries.fifo",
        "BODIES_BUCKET": "bodies",
        "GITHUB_WEBHOOK_SECRET": "secret",
    }
    # -S: without `site`, as lean as Lambda starts it.
    modules = list_modules("ingest", environ, "-S")
    assert FORBIDDEN.isdisjoint(modules)
    assert len(modules) <= MAX_MODULES


def test_route_imports_nothing_to_ask_github_with() -> None:
    environ = {
        "DELIVERIES_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/deliveries.fifo",
        "TASKS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/tasks",
        "BODIES_BUCKET": "bodies",
        "DATABASE_URL": "postgresql://nowhere/db",
        "REDIS_URL": "redis://nowhere",
        "GITHUB_TOKEN": "a token",
        "ENABLE_TRACING": "true",
    }
    assert (LATER | NEVER).isdisjoint(list_modules("route", environ))


def test_execute_imports_no_sdk_of_aws() -> None:
    environ = {
        "TASKS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/tasks",
        "BODIES_BUCKET": "bodies",
        "DATABASE_URL": "postgresql://nowhere/db",
        "REDIS_URL": "redis://nowhere",
        "GITHUB_TOKEN": "a token",
        "ENABLE_TRACING": "true",
    }
    assert NEVER.isdisjoint(list_modules("execute", environ))
