"""The Celery version of the job: a careful worker that records a delivery, its run and the run's first task.

It acknowledges late, takes one delivery at a time and keeps a delivery once, in one transaction, its payload as
jsonb. Where it can be cheaper than ours it is: no result backend, no events, no verdicts, no metrics, its rules
are a few lines of Python, and it runs in the pool that takes the least CPU (solo, of those tried).
"""

import json
import os
from datetime import UTC, datetime
from functools import cache
from typing import Any

import psycopg
from celery import Celery  # type: ignore[import-untyped]  # it ships no types

app = Celery("benchmark", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    task_routes={"record_delivery": {"queue": "deliveries"}, "execute_task": {"queue": "tasks"}},
)


@cache
def connect() -> psycopg.Connection[tuple[Any, ...]]:
    """Returns the worker's connection, opened at the first delivery."""
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


@app.task(  # type: ignore[untyped-decorator]  # Celery ships no types
    name="record_delivery", autoretry_for=(psycopg.OperationalError,), retry_backoff=True, max_retries=8
)
def record_delivery(delivery_id: str, event: str, received_at: float, body: str) -> None:
    """Records a delivery once, and its run when a rule matches."""
    payload = json.loads(body)
    repository = payload.get("repository", {}).get("full_name")
    workflow = find_workflow(event, payload)
    with connect().transaction():
        recorded = (
            connect()
            .execute(
                """
            insert into deliveries (delivery_id, event, action, subject, repository, sender, received_at, body)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (delivery_id) do nothing
            returning id
            """,
                (
                    delivery_id,
                    event,
                    payload.get("action"),
                    f"{repository}#{payload.get('number') or payload.get('ref')}",
                    repository,
                    payload.get("sender", {}).get("login"),
                    datetime.fromtimestamp(received_at, UTC),
                    body,
                ),
            )
            .fetchone()
        )
        if recorded is None or workflow is None:
            return
        run = (
            connect()
            .execute("insert into runs (delivery, workflow) values (%s, %s) returning id", (recorded[0], workflow))
            .fetchone()
        )
        assert run is not None
        task = (
            connect()
            .execute("insert into tasks (run, step) values (%s, %s) returning id", (run[0], "analyse"))
            .fetchone()
        )
        assert task is not None
    execute_task.delay(task[0])


@app.task(name="execute_task")  # type: ignore[untyped-decorator]  # likewise
def execute_task(task_id: int) -> None:
    """Stands for the work on a task, which neither version does here."""


def find_workflow(event: str, payload: dict[str, Any]) -> str | None:
    """Returns the workflow that an event starts, by the rules of the product's default workflows."""
    is_bot = payload.get("sender", {}).get("type") == "Bot"
    if event == "pull_request" and not is_bot and not payload["pull_request"]["draft"]:
        if payload["action"] in {"opened", "reopened", "synchronize", "ready_for_review"}:
            return "pull_request_analysis"
    elif event == "check_run" and payload["check_run"]["conclusion"] in {"failure", "timed_out"}:
        return "check_failure_analysis"
    elif event == "push" and not is_bot and payload["ref"] == f"refs/heads/{payload['repository']['default_branch']}":
        return "push_analysis"
    return None
