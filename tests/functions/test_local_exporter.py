"""/metrics on one machine: what the logs say and what the servers say, as Prometheus reads it."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from shared.adapters.powertools import PowertoolsTelemetry
from shared.config import ObservabilityConfig
from shared.domain.statuses import Status
from shared.local.exporter import Exporter, serve_metrics
from shared.local.free_ports import HOST, PortInUse, choose_port
from shared.local.gauges import GAUGES, PREFIX, Gauges, GaugesConfig, GitHubBudget, list_sources
from shared.local.log_metrics import LogFollower, LogMetrics
from shared.local.stack import EVERYWHERE, Stack
from shared.local.supervisor import Supervisor
from shared.observability import write_outcome
from tests.support.clock import ManualClock
from tests.support.local_up import SECONDS, LocalUp, Samples, read_samples, sample, wait_until


def expose(collector: Any) -> Samples:  # noqa: ANN401 - any of the collectors
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return read_samples(generate_latest(registry).decode())


def build_line(
    metrics: dict[str, object], unit: str = "Count", dimensions: tuple[str, ...] = ("service",), **members: object
) -> str:
    directive = {
        "Namespace": "WebhookOrchestrator",
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name in metrics],
    }
    return json.dumps({"service": "test", **members, **metrics, "_aws": {"CloudWatchMetrics": [directive]}})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "workers.log"


@pytest.fixture
def metrics(log: Path) -> Iterator[LogMetrics]:
    metrics = LogMetrics([log])
    yield metrics
    metrics.close()


def append(log: Path, text: str) -> None:
    with log.open("a") as stream:
        stream.write(text)


def test_a_follower_gives_each_line_once_and_a_half_line_when_it_is_whole(log: Path) -> None:
    follower = LogFollower(log)
    assert list(follower.read_lines()) == []
    append(log, "one\ntwo\nthr")
    assert list(follower.read_lines()) == [b"one", b"two"]
    append(log, "ee\n")
    assert list(follower.read_lines()) == [b"three"]
    assert list(follower.read_lines()) == []
    follower.close()


def test_a_follower_reads_the_end_of_a_log_that_was_replaced_and_then_its_successor(log: Path) -> None:
    follower = LogFollower(log)
    append(log, "one\n")
    assert list(follower.read_lines()) == [b"one"]
    append(log, "two\nhalf a li")
    log.replace(log.with_suffix(".previous.log"))
    assert list(follower.read_lines()) == [b"two"]
    append(log, "three\n")
    assert list(follower.read_lines()) == [b"three"]
    follower.close()


def test_a_follower_starts_again_at_the_beginning_of_a_log_that_was_cut(log: Path) -> None:
    follower = LogFollower(log)
    append(log, "a long line of before\nhalf")
    assert list(follower.read_lines()) == [b"a long line of before"]
    log.write_text("new\n")
    assert list(follower.read_lines()) == [b"new"]
    follower.close()


def test_counts_add_up_over_lines_and_lists(log: Path, metrics: LogMetrics) -> None:
    append(log, build_line({"routed": [1.0, 1.0], "refused": 1}) + "\n")
    assert expose(metrics)[sample("routed_total", service="test")] == 2
    append(log, build_line({"routed": 3}) + "\n" + build_line({"routed": 1}, service="other") + "\n")
    samples = expose(metrics)
    assert samples[sample("routed_total", service="test")] == 5
    assert samples[sample("routed_total", service="other")] == 1
    assert samples[sample("refused_total", service="test")] == 1


def test_dimensions_become_labels_whatever_their_values(log: Path, metrics: LogMetrics) -> None:
    line = build_line({"refused": 1}, dimensions=("service", "reason"), reason='a "quoted"\nreason \\')
    append(log, f"{line}\n")
    assert expose(metrics) == {sample("refused_total", service="test", reason='a "quoted"\nreason \\'): 1}


def test_several_sets_of_dimensions_are_one_metric_with_all_labels(log: Path, metrics: LogMetrics) -> None:
    entry = json.loads(build_line({"routed": 1}, environment="dev"))
    entry["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = [["service"], ["service", "environment"], []]
    append(log, json.dumps(entry) + "\n")
    assert expose(metrics) == {sample("routed_total", service="test", environment="dev"): 1}


def test_durations_become_a_histogram(log: Path, metrics: LogMetrics) -> None:
    append(log, build_line({"attempt_seconds": [0.001, 0.3, 90]}, unit="Seconds") + "\n")
    samples = expose(metrics)
    counts = [samples[sample("attempt_seconds_bucket", service="test", le=le)] for le in ("0.001", "0.25", "0.5")]
    assert counts == [1, 1, 2]
    assert samples[sample("attempt_seconds_bucket", service="test", le="60.0")] == 2
    assert samples[sample("attempt_seconds_bucket", service="test", le="+Inf")] == 3
    assert samples[sample("attempt_seconds_count", service="test")] == 3
    assert samples[sample("attempt_seconds_sum", service="test")] == pytest.approx(90.301)


def test_what_is_neither_counted_nor_a_duration_is_a_gauge_with_its_last_value(log: Path, metrics: LogMetrics) -> None:
    append(log, build_line({"budget": [7, 5]}, unit="None") + "\n" + build_line({"budget": 4}, unit="None") + "\n")
    assert expose(metrics) == {sample("budget", service="test"): 4}


def test_what_two_threads_wrote_into_one_line_is_read_as_two(log: Path, metrics: LogMetrics) -> None:
    append(log, build_line({"routed": 1}) + build_line({"routed": 1}) + "\n\n")
    assert expose(metrics) == {sample("routed_total", service="test"): 2}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "front: listening on http://127.0.0.1:8000",
        '{"_aws": ',
        '["_aws"]',
        '"_aws"',
        '{"_aws": 1}',
        '{"_aws": {"CloudWatchMetrics": [{"Namespace": "N"}]}}',
        '{"_aws": {"CloudWatchMetrics": null}}',
        build_line({"routed": None}),
        build_line({"routed": "1"}),
        build_line({"routed": True}),
        build_line({"routed": float("nan")}),
        build_line({"routed": float("inf")}),
        build_line({"routed": []}),
        '{"_aws":' * 100_000,
        '{"message":"delivery.accepted","accepted":1}',
    ],
)
def test_a_line_that_is_no_metric_counts_nothing(log: Path, metrics: LogMetrics, line: str) -> None:
    append(log, f"{line}\n{build_line({'accepted': 1})}\n")
    assert expose(metrics) == {sample("accepted_total", service="test"): 1}


def test_what_the_functions_write_is_read(
    log: Path, metrics: LogMetrics, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_outcome(
        "delivery.refused",
        {"reason": "bad_signature", "status": 401},
        function="ingest",
        environment="local",
        metrics={"refused": 1, "ingest_seconds": 0.002},
        dimensions=("reason",),
    )
    write_outcome("invocation.failed", {"error": "x"}, function="route", environment="local", level="ERROR")
    telemetry = PowertoolsTelemetry("route", ObservabilityConfig())
    telemetry.count("routed")
    telemetry.count("routed")
    telemetry.count("attempt_seconds", 0.5)
    for value in (0.25, 0.125, 0.125):
        telemetry.gauge("github_budget_remaining_ratio", value)
    telemetry.flush()
    log.write_text(capsys.readouterr().out)

    samples = expose(metrics)

    ingest = {"environment": "local", "service": "ingest", "reason": "bad_signature"}
    route = {"environment": "local", "service": "route"}
    assert samples[sample("refused_total", **ingest)] == 1
    assert samples[sample("ingest_seconds_count", **ingest)] == 1
    assert samples[sample("invocations_failed_total", **route)] == 1
    assert samples[sample("routed_total", **route)] == 2
    assert samples[sample("attempt_seconds_sum", **route)] == 0.5
    assert samples[sample("github_budget_remaining_ratio", **route)] == 0.125


def test_a_source_that_fails_is_down_and_the_others_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    faults: list[Exception] = [TimeoutError("too slow")]

    def read() -> Iterator[tuple[str, dict[str, str], float]]:
        if faults:
            raise faults.pop()
        yield "cache_bytes", {}, 5

    gauges = Gauges({"cache": read, "storage": lambda: iter([("storage_bytes", {}, 7)])})

    first, second, third = expose(gauges), expose(gauges), expose(gauges)
    gauges.close()

    assert first == {sample("up", source="cache"): 0, sample("up", source="storage"): 1, sample("storage_bytes"): 7}
    assert second[sample("up", source="cache")] == 1
    assert second[sample("cache_bytes")] == 5
    assert third == second
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["message"], line["source"]) for line in told] == [("source.lost", "cache"), ("source.found", "cache")]
    assert told[0]["reason"] == "TimeoutError: too slow"


def test_servers_that_are_not_there_are_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"127.0.0.1:{choose_port('PORT')}"
    config = GaugesConfig(
        endpoint=f"http://{address}",
        database_url=f"postgresql://{address}/none",
        redis_url=f"redis://{address}/0",
        tasks_queue_url=f"http://{address}/000000000000/tasks",
        github_url=f"http://{address}",
        github_token="none",
    )
    gauges = Gauges(list_sources(config, front_url=f"http://{address}", storage=tmp_path / "none"))

    samples = expose(gauges)
    gauges.close()

    sources = ("front", "queues", "database", "cache", "github", "storage")
    assert samples == {sample("up", source=source): 0 for source in sources}
    assert capsys.readouterr().out.count("source.lost") == len(sources)


def test_what_is_not_configured_is_not_asked() -> None:
    assert list_sources(GaugesConfig(), front_url=None, storage=None) == {}


class _GitHub(http.server.BaseHTTPRequestHandler):
    tokens: list[str]

    def do_GET(self) -> None:
        self.tokens.append(self.headers["authorization"])
        body = json.dumps({"resources": {"core": {"remaining": 5000 - len(self.tokens), "limit": 5000}}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_github_is_asked_for_its_budget_once_a_minute() -> None:
    tokens: list[str] = []
    handler = type("GitHub", (_GitHub,), {"tokens": tokens})
    clock = ManualClock()
    with http.server.HTTPServer((HOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        budget = GitHubBudget(f"http://{HOST}:{server.server_port}", "a-token", clock)
        first, second = list(budget.read()), list(budget.read())
        clock.advance(60)
        third = list(budget.read())
        server.shutdown()
        thread.join()

    assert first == second == [("github_budget_remaining", {}, 4999), ("github_budget_limit", {}, 5000)]
    assert third[0][2] == 4998
    assert tokens == ["Bearer a-token"] * 2


def test_metrics_are_served_and_a_port_that_is_taken_is_named(log: Path) -> None:
    append(log, build_line({"routed": 1}) + "\n")
    exporter = Exporter(LogMetrics([log]), Gauges({}))
    with serve_metrics(exporter, HOST, 0) as port:
        answer = httpx.get(f"http://{HOST}:{port}/metrics")
        with pytest.raises(PortInUse, match="METRICS_PORT"), serve_metrics(exporter, HOST, port):
            pass
    exporter.close()
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert read_samples(answer.text) == {sample("routed_total", service="test"): 1}


@pytest.mark.parametrize(
    ("setting", "value"),
    [("METRICS_PORT", "70000"), ("METRICS_PORT", "no"), ("BIND_HOST", "192.0.2.1"), ("BIND_HOST", "localhost")],
)
def test_a_setting_that_is_wrong_is_named(tmp_path: Path, setting: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{setting} must be"):
        Stack(Supervisor(tmp_path), {setting: value})


@pytest.mark.parametrize(("preferences", "host"), [({}, HOST), ({"BIND_HOST": EVERYWHERE}, EVERYWHERE)])
def test_front_and_metrics_listen_where_the_setting_says(
    tmp_path: Path, preferences: dict[str, str], host: str
) -> None:
    stack = Stack(Supervisor(tmp_path), preferences)
    for program in (stack._plan_front(), stack._plan_metrics()):
        assert program.argv[program.argv.index("--host") + 1] == host


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalUp]:
    running = LocalUp(tmp_path_factory.mktemp("stack") / "state")
    with running.start():
        yield running


def test_the_running_stack_says_every_gauge_and_counts_what_happens(stack: LocalUp) -> None:
    stack.send("pull_request")
    function = {"environment": "local"}
    done = sample("runs_succeeded_total", service="execute", **function)
    wait_until(lambda: stack.scrape().get(done, 0) >= 1)
    samples = stack.scrape()

    assert {name for name, _ in samples} >= {f"{PREFIX}_{name}" for name in GAUGES}
    assert {value for (name, _), value in samples.items() if name == f"{PREFIX}_up"} == {1}
    assert samples[sample("accepted_total", service="ingest", source="github", **function)] == 1
    assert samples[sample("ingest_seconds_count", service="ingest", source="github", **function)] == 1
    assert samples[sample("routed_total", service="route", **function)] == 1
    assert samples[sample("runs", status="succeeded")] == 1
    assert {dict(labels)["status"] for name, labels in samples if name == f"{PREFIX}_tasks"} == set(Status)
    queues = {dict(labels)["queue"] for name, labels in samples if name == f"{PREFIX}_queue_messages"}
    assert queues == {"deliveries", "deliveries-dlq", "tasks", "tasks-dlq"}
    assert samples[sample("agent_runs_last_day")] == 1
    assert stack.endpoints["metrics"]["address"] == f"http://{HOST}:{stack.metrics_port}/metrics"
    assert f"http://{HOST}:{stack.metrics_port}/metrics" in stack.out.read_text()


def test_a_metric_has_one_help_text_and_one_type(stack: LocalUp) -> None:
    text = httpx.get(f"http://{HOST}:{stack.metrics_port}/metrics", timeout=SECONDS).text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert names
    assert len(names) == len(set(names))
    assert all(isinstance(family, Metric) for family in text_string_to_metric_families(text))
