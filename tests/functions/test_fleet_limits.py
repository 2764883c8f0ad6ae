"""Five hundred tasks and two workers at a GitHub that limits: nobody is early, little is idle, no task dies.

The limits are those of github.com made faster, at the sandbox and in the product alike; all figures are the sandbox's.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shared import bootstrap
from shared.adapters.aws import AwsService
from shared.adapters.sqs import SqsTaskQueue
from shared.domain.run import PlannedRun
from shared.local.queues import create_queues
from shared.local.servers import AWS_CREDENTIALS
from tests.support.factories import build_delivery, build_payload, build_workflow
from tests.support.fleet_worker import (
    CONTENT_AMOUNT,
    CONTENT_SECONDS,
    POINTS_AMOUNT,
    POINTS_SECONDS,
    POLLERS,
    REGION,
)
from tests.support.real_servers import run_servers
from tests.support.record_stores import PostgresStore
from tests.support.sandbox_server import SandboxServer

ROOT = Path(__file__).parents[2]
TASKS = 500
WORKERS = 2
PRIMARY_AMOUNT = 5000
LIMITS = {
    "content": {"amount": CONTENT_AMOUNT, "seconds": CONTENT_SECONDS},
    "points": {"amount": POINTS_AMOUNT, "seconds": POINTS_SECONDS},
    "primary": {"amount": PRIMARY_AMOUNT, "seconds": 6},
    "concurrent": 100,
    "retry_after": 2,
}
# Somebody else spends of the same account: after so many comments of ours, one limit after the other is met.
OTHERS = {400: {"content": 60}, 425: {"points": POINTS_AMOUNT}, 450: {"primary": PRIMARY_AMOUNT}}
# What was under way when a Retry-After was given has arrived after so long.
UNDER_WAY_SECONDS = 1.0
# A deadline ends a test that hangs; nothing is measured by it.
DEADLINE_SECONDS = 180.0


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    with pytest.MonkeyPatch.context() as patch, run_servers("fleet-") as addresses:
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        for name, value in AWS_CREDENTIALS.items():
            patch.setenv(name, value)
        yield addresses


@pytest.fixture
def github(tmp_path: Path) -> Iterator[SandboxServer]:
    with SandboxServer("github", tmp_path / "github") as server:
        server.client.post("/_limits", json=LIMITS).raise_for_status()
        yield server


@dataclass(frozen=True)
class Fleet:
    """Two workers, and what there is to be looked at."""

    addresses: dict[str, str]
    tasks_queue_url: str
    github: SandboxServer

    @contextmanager
    def work(self) -> Iterator[None]:
        """Has the workers work for the block."""
        environment = os.environ | {
            "DATABASE_URL": self.addresses["postgres"],
            "REDIS_URL": self.addresses["valkey"],
            "AWS_ENDPOINT_URL": self.addresses["aws"],
            "TASKS_QUEUE_URL": self.tasks_queue_url,
            "BODIES_BUCKET": "bodies",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_TOKEN": "made-up",
            "ENABLE_METRICS": "false",
            "LOG_LEVEL": "ERROR",
        }
        command = [sys.executable, "-m", "tests.support.fleet_worker"]
        workers = [subprocess.Popen(command, cwd=ROOT, env=environment) for _ in range(WORKERS)]
        try:
            yield
            assert [worker.poll() for worker in workers] == [None] * WORKERS
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait()

    def record_tasks(self) -> list[str]:
        """Records a delivery with a task to comment, for each of as many pull requests."""
        store = PostgresStore(self.addresses["postgres"], self.addresses["postgres"])
        workflow = build_workflow({"uses": "github.comment", "with": {"body": "Hello"}})
        store.put_workflows(workflow)
        task_ids: list[str] = []
        for number in range(1, TASKS + 1):
            pull_request = {"number": number, "title": "Widgets", "draft": False, "head": {"sha": "0" * 40}}
            delivery = build_delivery(build_payload(number=number, pull_request=pull_request))
            task_ids += store.deliveries.record_delivery(delivery, [], [PlannedRun(workflow)]).task_ids
        store.close()
        return task_ids

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.addresses["postgres"]) as connection:
            return connection.execute(query).fetchall()

    def await_comments(self, count: int) -> None:
        def is_there() -> bool:
            [(found,)] = self.ask("select count(*) from effects where status = 'done'")
            return int(found) >= count

        await_true(is_there, f"{count} comments")

    def list_comments(self) -> list[dict[str, Any]]:
        """Returns the comments that the sandbox took, in their order."""
        return [each for each in self.github.list_received(method="POST") if each["applied"]]


def await_true(predicate: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not predicate():
        assert time.monotonic() < deadline, f"not yet: {what}"
        time.sleep(0.2)


def test_500_tasks_at_a_github_that_limits(addresses: dict[str, str], github: SandboxServer) -> None:
    bootstrap.migrate({"DATABASE_URL": addresses["postgres"]})()
    queue_url = create_queues(addresses["aws"], REGION).tasks
    fleet = Fleet(addresses, queue_url, github)
    task_ids = fleet.record_tasks()
    assert len(task_ids) == TASKS
    sqs = AwsService("sqs", REGION, addresses["aws"])
    SqsTaskQueue(sqs, queue_url).send(task_ids)
    sqs.close()

    with fleet.work():
        for count, spent in OTHERS.items():
            fleet.await_comments(count)
            github.client.post("/_spent", json=spent).raise_for_status()
        await_true(lambda: not fleet.ask("select 1 from tasks where finished_at is null limit 1"), "every task's end")

    # No task dies, none is done twice, and a limit costs no attempt.
    assert fleet.ask("select status, count(*) from tasks group by 1") == [("succeeded", TASKS)]
    assert fleet.ask("select outcome, number, count(*) from attempts group by 1, 2") == [("succeeded", 1, TASKS)]
    comments = fleet.list_comments()
    assert Counter(Counter(each["path"] for each in comments).values()) == {1: TASKS}

    # Each limit was met, and what came inside a Retry-After was under way when it was given.
    report = github.client.get("/_limits").json()
    closed, late_seconds = report["closed"], report["late_seconds"]
    assert set(report["refused"]) >= {"content", "points"}
    assert len(closed) >= len(OTHERS)
    assert len(late_seconds) < WORKERS * POLLERS * len(closed)
    assert [seconds for seconds in late_seconds if seconds >= UNDER_WAY_SECONDS] == []

    # Before the others spend, and after the burst that fills the first window, at least 90 % of the rate is used.
    written_at = [datetime.fromisoformat(each["at"]).timestamp() for each in comments[: min(OTHERS)]]
    full_at = written_at[0] + CONTENT_SECONDS
    paced = [at for at in written_at if at >= full_at]
    used = len(paced) / ((paced[-1] - full_at) * CONTENT_AMOUNT / CONTENT_SECONDS)
    assert used >= 0.9
