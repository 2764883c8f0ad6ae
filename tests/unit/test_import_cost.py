"""Ingest starts cold more often than not, so it imports little."""

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
PROGRAM = "import json, sys, functions.ingest.handler; print(json.dumps(sorted(sys.modules)))"


def test_ingest_imports_little() -> None:
    environ = {
        "DELIVERIES_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/deliveries.fifo",
        "BODIES_BUCKET": "bodies",
        "GITHUB_WEBHOOK_SECRET": "secret",
    }
    # -S: without `site`, as lean as Lambda starts it; -X utf8 because the environment names no locale.
    command = [sys.executable, "-S", "-X", "utf8", "-c", PROGRAM]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stdout)
    assert FORBIDDEN.isdisjoint(modules)
    assert len(modules) <= MAX_MODULES
