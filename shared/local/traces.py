"""What happened to each delivery, as a trace for Jaeger: its id is the delivery's, so that one finds the other.

On AWS X-Ray traces the functions as they run; here the records tell afterwards, as OpenTelemetry's protocol has it.
https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
"""

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import httpx
import psycopg
from psycopg.rows import dict_row

from shared.observability import write_outcome
from shared.sql import read_queries

PAUSE_SECONDS = 5.0
ANSWER_SECONDS = 2.0
# What a start of the exporter still tells of what was before it.
LOOK_BACK_SECONDS = 3_600.0
_ERROR = 2
_INTERNAL = 1


class Timing(NamedTuple):
    """What took how long: a name, seconds since 1970, and the error that it ended with."""

    name: str
    start: float
    end: float
    error: str | None = None


def build_spans(delivery: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the spans of a row of ``read_ended_deliveries``: the delivery, its routing, attempts, agent runs."""
    trace_id = str(delivery["delivery_id"]).replace("-", "")
    facts = {name: delivery[name] for name in ("delivery_id", "source", "event", "subject", "status")}
    is_dead = delivery["status"] == "dead"
    whole = Timing(
        f"delivery {delivery['event']}", delivery["received_at"], delivery["ended_at"], "dead" if is_dead else None
    )
    root = _build_span(trace_id, whole) | {
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in facts.items()]
    }
    parts = [Timing("route", delivery["received_at"], delivery["routed_at"])]
    parts += [Timing(*timing) for timing in delivery["timings"]]
    return [root, *(_build_span(trace_id, part) | {"parentSpanId": root["spanId"]} for part in parts)]


def _build_span(trace_id: str, timing: Timing) -> dict[str, Any]:
    return {
        "traceId": trace_id,
        "spanId": hashlib.blake2b(f"{trace_id} {timing.name}".encode(), digest_size=8).hexdigest(),
        "name": timing.name,
        "kind": _INTERNAL,
        "startTimeUnixNano": str(int(timing.start * 1_000_000) * 1_000),
        "endTimeUnixNano": str(int(timing.end * 1_000_000) * 1_000),
        "status": {"code": _ERROR, "message": timing.error} if timing.error else {},
    }


class TraceSender:
    """Sends the traces of deliveries that have come to their end.

    Args:
        endpoint: of the collector, ``http://127.0.0.1:4318``.
        database_url: where the records are.
        since: seconds since 1970; what ended before is not told.
    """

    def __init__(self, endpoint: str, database_url: str, since: float | None = None) -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._database_url = database_url
        self._since = time.time() - LOOK_BACK_SECONDS if since is None else since
        self._is_lost = False

    def run(self, stop: threading.Event) -> None:
        """Sends every few seconds until stopped; no error ends it."""
        while not stop.wait(PAUSE_SECONDS):
            try:
                self.send()
                self._tell_change(None)
            except (OSError, ValueError, httpx.HTTPError, psycopg.Error) as error:
                self._tell_change(f"{type(error).__name__}: {error}")

    def send(self) -> int:
        """Sends what has ended since the last time; returns how many traces. Raises httpx.HTTPError, psycopg.Error."""
        deliveries = self._read()
        if deliveries:
            spans = [span for delivery in deliveries for span in build_spans(delivery)]
            httpx.post(self._url, json=_wrap(spans), timeout=ANSWER_SECONDS, trust_env=False).raise_for_status()
            self._since = deliveries[-1]["ended_at"]
        return len(deliveries)

    def _read(self) -> Sequence[dict[str, Any]]:
        query = read_queries("metrics.sql")["read_ended_deliveries"]
        with psycopg.connect(
            self._database_url,
            connect_timeout=int(ANSWER_SECONDS),
            autocommit=True,
            application_name="webhook-orchestrator-traces",
            options=f"-c statement_timeout={int(ANSWER_SECONDS * 1000)}",
            row_factory=dict_row,
        ) as connection:
            return connection.execute(query, {"since": self._since}).fetchall()

    def _tell_change(self, fault: str | None) -> None:
        if self._is_lost != (fault is not None):
            self._is_lost = fault is not None
            message = "traces.lost" if self._is_lost else "traces.found"
            write_outcome(message, {"reason": fault}, function="metrics", environment="local", level="WARNING")


def _wrap(spans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    service = {"key": "service.name", "value": {"stringValue": "webhook-orchestrator"}}
    scope = {"scope": {"name": "shared.local.traces"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": [service]}, "scopeSpans": [scope]}]}
