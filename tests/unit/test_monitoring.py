"""docs/monitoring: rules, dashboard and compose file name only what there is.

That the alerts fire is tested by promtool (tests/data/alerts.test.yml), which .ci/run fetches where it can.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from ruamel.yaml import YAML

from shared.local.gauges import GAUGES, PREFIX
from tests.support.emitted_metrics import find_emitted_gauges, find_emitted_metrics

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "docs" / "monitoring"
# Prometheus's own.
OWN_SERIES = {"up", "ALERTS"}
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - YAML of any form
    return YAML(typ="safe", pure=True).load(path)


RULES = [rule for group in read_yaml(MONITORING / "alerts.yml")["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]


def exposed_names() -> set[str]:
    """The series that the exporter serves, and those that the rules record."""
    names = {f"{PREFIX}_{name}" for name in GAUGES} | {f"{PREFIX}_invocations_failed_total"}
    for emitted in find_emitted_metrics():
        if emitted.endswith("_seconds"):
            names |= {f"{PREFIX}_{emitted}{suffix}" for suffix in ("_bucket", "_sum", "_count")}
        else:
            names.add(f"{PREFIX}_{emitted}_total")
    names |= {f"{PREFIX}_{name}" for name in find_emitted_gauges()}
    return names | {rule["record"] for rule in RULES if "record" in rule} | OWN_SERIES


def find_series(query: str) -> Iterator[str]:
    """Yields the names of the series that a query reads. Raises ValueError for a query that is none."""
    found: list[str] = []

    def visit(expression: promql_parser.Expr) -> None:
        if isinstance(expression, promql_parser.VectorSelector):
            assert expression.name is not None
            found.append(expression.name)

    promql_parser.walk(promql_parser.parse(query.replace("$__rate_interval", "1m")), visit)
    yield from found


def test_the_functions_emit_metrics() -> None:
    emitted = find_emitted_metrics()
    assert emitted >= {"accepted", "refused", "ingest_seconds", "routed", "reconciled", "attempts_dead", "tasks_dead"}
    assert all(NAME.fullmatch(name) for name in emitted)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.get("alert") or rule["record"]))
def test_a_rule_reads_what_the_exporter_serves(rule: dict[str, Any]) -> None:
    series = list(find_series(rule["expr"]))
    assert series
    assert set(series) <= exposed_names()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_what_is_the_matter_and_what_to_do(alert: dict[str, Any]) -> None:
    assert set(alert) <= {"alert", "expr", "for", "labels", "annotations"}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert set(alert["annotations"]) == {"summary", "runbook"}
    assert re.fullmatch(r"docs/operations\.md#[a-z-]+", alert["annotations"]["runbook"])
    if "for" in alert:
        assert promql_parser.parse_duration(alert["for"]).total_seconds() >= 60


def test_every_alert_has_its_section_in_the_runbook() -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", runbook, re.MULTILINE)
    sections = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    sections |= set(re.findall(r'<a (?:id|name)="([^"]+)"', runbook))
    assert {alert["annotations"]["runbook"].partition("#")[2] for alert in ALERTS} <= sections


def test_every_alert_is_tested_to_fire() -> None:
    tests = read_yaml(ROOT / "tests" / "data" / "alerts.test.yml")["tests"]
    [ill] = [test for test in tests if test["name"] == "nothing is well"]
    fired = {sample["labels"] for check in ill["promql_expr_test"] for sample in check["exp_samples"]}
    assert fired == {f'{{alertname="{alert["alert"]}"}}' for alert in ALERTS}


@pytest.mark.parametrize("query", QUERIES)
def test_the_dashboard_asks_for_what_the_exporter_serves(query: str) -> None:
    series = list(find_series(query))
    assert series
    assert set(series) <= exposed_names()


def test_the_dashboard_answers_the_operator_s_questions_top_down() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == [
        "Is it up?",
        "Is it keeping up?",
        "What fails?",
        "What do agents cost?",
        "What does it run on?",
    ]


def test_the_dashboard_s_panels_have_places_of_their_own() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (place["x"] + column, place["y"] + line)
        for place in places
        for column in range(place["w"])
        for line in range(place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


def test_the_dashboard_shows_every_gauge() -> None:
    shown = {name for query in QUERIES for name in find_series(query)}
    # How much is free says enough of how much there is; the runs' figures are counted where they end.
    assert {f"{PREFIX}_{name}" for name in GAUGES} - shown == {f"{PREFIX}_storage_bytes", f"{PREFIX}_runs"}


def test_the_dashboard_s_sources_are_provisioned() -> None:
    sources = {source["uid"] for source in read_yaml(MONITORING / "grafana-datasource.yml")["datasources"]}
    used = {panel["datasource"]["uid"] for panel in PANELS}
    assert used <= sources


def test_prometheus_reads_the_rules_and_the_targets() -> None:
    config = read_yaml(MONITORING / "prometheus.yml")
    [job] = config["scrape_configs"]
    files = [*config["rule_files"], *job["file_sd_configs"][0]["files"]]
    assert all((MONITORING / name).is_file() for name in files)
    # The alert on the exporter itself names the job.
    assert job["job_name"] == "webhook-orchestrator"
    assert read_yaml(MONITORING / "targets.yml") == [{"targets": ["127.0.0.1:9464"]}]
