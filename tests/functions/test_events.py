"""The events for ``sam local invoke``: what the product's own code makes, and what every handler takes.

The handlers are the real ones, each in a process of its own, with the settings of tests/data/events/settings.json
against the servers of docker-compose.local.yml, which run here without containers.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shared.domain.envelope import UnreadableEnvelope, decode_envelope, inflate
from shared.local.queues import DELIVERIES, TASKS
from shared.local.stack import prepare
from tests.support.compose import serve_compose
from tests.support.events import FIRST_ID, FOLDER, SECOND_ID, SECRET, build_events

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, str] = json.loads((FOLDER / "settings.json").read_text("utf-8"))
INVOKE = """
import importlib, json, pathlib, sys
from shared.local.lambda_context import LambdaContext
handler = importlib.import_module(f"functions.{sys.argv[1]}.handler")
event = json.loads(pathlib.Path(sys.argv[2]).read_text("utf-8"))
answer = handler.handle(event, LambdaContext(sys.argv[1], 30))
print(json.dumps(answer))
"""


def normalize(event: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the event with its envelopes' bodies inflated: what deflates them differs between builds of zlib."""
    records = []
    for record in event.get("Records", []):
        try:
            envelope = decode_envelope(record["body"])
        except UnreadableEnvelope:
            records.append(record)
        else:
            assert envelope.deflated is not None
            body = (replace(envelope, deflated=None), inflate(envelope.deflated))
            records.append({**record, "body": body, "md5OfBody": None})
    return {**event, "Records": records}


@pytest.mark.parametrize("name", build_events())
def test_a_file_holds_what_the_product_s_code_makes(name: str) -> None:
    written = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    assert normalize(written) == normalize(json.loads(json.dumps(build_events()[name])))


def test_there_is_no_other_file() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {*build_events(), "settings"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The file's settings, where its servers are here, with the schema and the queues made."""
    with serve_compose(tmp_path_factory.mktemp("servers")) as places:
        settings = {name: places.replace(value) for name, value in SETTINGS.items()}
        prepared = prepare(settings)
        for name, queue in (("DELIVERIES_QUEUE_URL", DELIVERIES), ("TASKS_QUEUE_URL", TASKS)):
            assert prepared[name].endswith(f"/000000000000/{queue}")
            assert settings[name].endswith(f"/000000000000/{queue}")
        assert prepared["BODIES_BUCKET"] == settings["BODIES_BUCKET"]
        yield settings


def run(function: str, event: str, settings: Mapping[str, str]) -> list[Any]:
    """Returns the lines of the log, and last what the handler answers."""
    done = subprocess.run(
        [sys.executable, "-c", INVOKE, function, str(FOLDER / f"{event}.json")],
        cwd=ROOT,
        env=dict(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def invoke(function: str, event: str, settings: Mapping[str, str]) -> Any:  # noqa: ANN401 - what the handler answers
    return run(function, event, settings)[-1]


def test_the_webhook_is_signed_with_the_settings_secret(settings: dict[str, str]) -> None:
    assert settings["GITHUB_WEBHOOK_SECRET"] == SECRET
    answer = invoke("ingest", "webhook", settings)
    assert (answer["statusCode"], json.loads(answer["body"])["delivery_id"]) == (202, FIRST_ID)


def test_another_secret_refuses_it(settings: dict[str, str]) -> None:
    answer = invoke("ingest", "webhook", {**settings, "GITHUB_WEBHOOK_SECRET": "another"})
    assert answer["statusCode"] == 401


def test_why_the_queue_did_not_take_it_is_in_the_log_and_not_in_the_answer(settings: dict[str, str]) -> None:
    stranger = {**settings, "AWS_ACCESS_KEY_ID": "AKIAQWERTYUIOPASDFGH"}
    line, answer = run("ingest", "webhook", stranger)
    assert (line["message"], line["reason"]) == ("delivery.refused", "queue_unavailable")
    assert line["cause"].startswith("sqs answered 403 ")
    assert (answer["statusCode"], json.loads(answer["body"])["error"]) == (503, "queue_unavailable")
    assert "403" not in answer["body"]


def test_the_deliveries_are_routed(settings: dict[str, str]) -> None:
    assert invoke("route", "deliveries", settings) == {"batchItemFailures": []}
    with psycopg.connect(settings["DATABASE_URL"]) as connection:
        rows = connection.execute("select delivery_id::text, status from deliveries").fetchall()
    assert set(rows) >= {(FIRST_ID, "succeeded"), (SECOND_ID, "succeeded")}


def test_a_task_that_nobody_knows_is_passed_over(settings: dict[str, str]) -> None:
    assert invoke("execute", "tasks", settings) == {"batchItemFailures": []}


def test_the_dead_letters_are_recorded(settings: dict[str, str]) -> None:
    assert invoke("bury", "dead-letters", settings) == {"batchItemFailures": []}
    with psycopg.connect(settings["DATABASE_URL"]) as connection:
        rows = connection.execute("select queue, body from dead_letters").fetchall()
    assert rows == [("deliveries-dlq.fifo", "no envelope")]


def test_the_schedule_reconciles(settings: dict[str, str]) -> None:
    assert invoke("reconcile", "schedule", settings)["tasks_reenqueued"] >= 0


def test_the_custom_resource_migrates(settings: dict[str, str]) -> None:
    answer = invoke("migrate", "migration", settings)
    assert answer["PhysicalResourceId"] == "schema"
    assert "pull_request_analysis" in answer["Data"]["Workflows"]


def test_the_api_answers(settings: dict[str, str]) -> None:
    answer = invoke("api", "health", settings)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"status": "ok"})
