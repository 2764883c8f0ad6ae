"""A trace of each delivery, as OpenTelemetry's collectors take it."""

import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.adapters.postgres.database import Database
from shared.local.free_ports import HOST, choose_port
from shared.local.postgres import build_postgres, choose_postgres
from shared.local.servers import build_environment
from shared.local.supervisor import Supervisor
from shared.local.traces import TraceSender, build_spans

ROOT = Path(__file__).parents[2]
DELIVERY_ID = "6a3b1c5e-8f3e-4a57-9b0d-1f2e3d4c5b6a"
TRACE_ID = DELIVERY_ID.replace("-", "")
RECORDS = """
insert into workflow_versions (version, name, definition) values ('v1', 'greet', '{}');
insert into deliveries (key, source, delivery_id, event, subject, status, received_at, content_type)
values ('$1', 'github', '$1', 'push', 'acme/widgets', 'succeeded',
    now() - interval '9 s', 'application/json');
insert into runs (id, delivery_key, workflow, version, subject, status, finished_at)
values ('$1', '$1', 'greet', 'v1', 'acme/widgets', 'running', null);
insert into tasks (id, run_id, position, step, uses, status)
values ('$1', '$1', 0, 'say', 'codegen.run', 'running');
insert into attempts (task_id, number, started_at, finished_at, outcome, error)
values ('$1', 1, now(), now() + interval '1 s', 'retried', 'github answered 502'),
    ('$1', 2, now() + interval '2 s', now() + interval '3 s', 'succeeded', null),
    ('$1', 3, now(), null, null, null);
""".replace("$1", DELIVERY_ID)
END = "update runs set status = 'succeeded', finished_at = now() + interval '4 s'"


class _Collector(http.server.BaseHTTPRequestHandler):
    received: list[Any]
    statuses: list[int]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.received.append((self.path, self.headers["content-type"], body))
        self.send_response(self.statuses.pop() if self.statuses else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


class Collector:
    """Takes OTLP over HTTP.

    Attributes:
        received: path, content type and body of each request.
        statuses: the next answers, the last first; 200 when there is none.
    """

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.statuses: list[int] = []
        handler = type("Handler", (_Collector,), {"received": self.received, "statuses": self.statuses})
        self._server = http.server.HTTPServer((HOST, 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://{HOST}:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.stop()


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("pg")
    environment = build_environment({}, directory)
    programs = choose_postgres(directory, {}, environment)
    with Supervisor(directory) as supervisor:
        server = build_postgres(programs, directory / "postgres", choose_port("PORT"), environment)
        supervisor.start(server)
        url = str(server.address)
        migrate = "from shared import bootstrap; bootstrap.migrate()()"
        subprocess.run([sys.executable, "-c", migrate], cwd=ROOT, env={"DATABASE_URL": url}, check=True)
        yield url


def test_a_delivery_becomes_a_trace_with_its_own_id() -> None:
    spans = build_spans(
        {
            "delivery_id": DELIVERY_ID,
            "source": "github",
            "event": "push",
            "subject": "acme/widgets",
            "status": "dead",
            "received_at": 1_790_000_000.25,
            "routed_at": 1_790_000_001.5,
            "ended_at": 1_790_000_009.0,
            "timings": [["greet/say attempt 1", 1_790_000_002.0, 1_790_000_003.0, "it broke"]],
        }
    )

    root, route, attempt = spans
    assert {span["traceId"] for span in spans} == {TRACE_ID}
    assert len({span["spanId"] for span in spans}) == 3
    assert all(len(bytes.fromhex(span["spanId"])) == 8 for span in spans)
    assert "parentSpanId" not in root
    assert route["parentSpanId"] == attempt["parentSpanId"] == root["spanId"]
    assert root["startTimeUnixNano"] == route["startTimeUnixNano"] == "1790000000250000000"
    assert (root["endTimeUnixNano"], route["endTimeUnixNano"]) == ("1790000009000000000", "1790000001500000000")
    assert {"key": "delivery_id", "value": {"stringValue": DELIVERY_ID}} in root["attributes"]
    assert (root["status"]["code"], route["status"]) == (2, {})
    assert attempt["status"] == {"code": 2, "message": "it broke"}


def test_a_delivery_is_sent_once_when_it_has_ended(database_url: str, collector: Collector) -> None:
    sender = TraceSender(collector.url, database_url)
    database = Database(database_url)
    for statement in RECORDS.strip().split(";\n"):
        database.fetch(statement)
    assert sender.send() == 0

    database.fetch(END)
    collector.statuses.append(503)
    with pytest.raises(httpx.HTTPStatusError):
        sender.send()
    assert sender.send() == 1
    assert sender.send() == 0
    database.close()

    assert len(collector.received) == 2
    path, content_type, body = collector.received[-1]
    assert (path, content_type) == ("/v1/traces", "application/json")
    [resource] = body["resourceSpans"]
    spans = resource["scopeSpans"][0]["spans"]
    names = ["delivery push", "route", "greet/say attempt 1", "greet/say attempt 2"]
    assert [span["name"] for span in spans] == names
    assert {span["traceId"] for span in spans} == {TRACE_ID}
    assert spans[2]["status"]["message"] == "github answered 502"


def test_a_collector_that_is_away_is_told_once_and_ends_nothing(
    database_url: str, collector: Collector, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.local.traces.PAUSE_SECONDS", 0.01)
    sender = TraceSender(collector.url, "postgresql://127.0.0.1:1/none", time.time())
    stop = threading.Event()
    asked: list[int] = []

    def send() -> int:
        asked.append(1)
        stop.set() if len(asked) == 4 else None
        if len(asked) < 3:
            raise httpx.ConnectError("nobody there")
        return 0

    monkeypatch.setattr(sender, "send", send)
    sender.run(stop)

    told = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
    assert told == ["traces.lost", "traces.found"]
    assert len(asked) == 4
