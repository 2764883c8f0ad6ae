"""Every metric is one that the code counts or AWS documents; every alarm leads to what is to be done."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from infra import metrics as infra_metrics
from infra.queries import QUERIES
from shared import observability
from shared.domain.statuses import Status
from shared.domain.task import Outcome
from tests.support.templates import ROOT, Deployment, Resource

# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html and its kin, named in infra/metrics.py.
DOCUMENTED: dict[str, dict[str, set[str]]] = {
    "AWS/ApiGateway": {
        "metrics": {"4xx", "5xx", "Count", "IntegrationLatency", "Latency", "DataProcessed"},
        "dimensions": {"ApiId", "Stage"},
    },
    "AWS/Lambda": {
        "metrics": {"Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"},
        "dimensions": {"FunctionName"},
    },
    "AWS/SQS": {
        "metrics": {
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
        },
        "dimensions": {"QueueName"},
    },
    "AWS/RDS": {
        "metrics": {"CPUUtilization", "DatabaseConnections", "FreeStorageSpace", "FreeableMemory"},
        "dimensions": {"DBInstanceIdentifier"},
    },
    "AWS/ElastiCache": {
        "metrics": {"DatabaseMemoryUsagePercentage", "EngineCPUUtilization", "CurrConnections", "Evictions"},
        "dimensions": {"CacheClusterId"},
    },
}
# What a name is made of where it is not written out.
EXPANSIONS = {
    "settlement.outcome": set(get_args(Outcome)),
    "settlement.status.value": {status.value for status in Status},
    "settlement.course.status.value": {status.value for status in Status},
    "upstream": set(infra_metrics.UPSTREAMS),
}
# What is called by one function, and is named otherwise.
LENT = {"shared/adapters/limits.py": "execute", "shared/usecases/refresh.py": "route"}
WRITING = {"count", "gauge"}
# Which functions call a use case, and so count what it counts.
CALLERS = {"bury_delivery": {"route", "bury"}}
ALWAYS = {
    "service-down",
    "error-rate",
    "deliveries-backlog",
    "tasks-backlog",
    "deliveries-too-old",
    "tasks-too-old",
    "deliveries-dead-letter",
    "tasks-dead-letter",
    "reconcile-not-run",
    "database-storage",
    "database-connections",
    "github-budget",
    "circuit-open",
}


def list_counted() -> set[tuple[str, str]]:
    """Returns function and name of each metric that a call of ``count`` or ``gauge`` writes."""
    found = set()
    sources = {path: path.stem for path in (ROOT / "shared/usecases").glob("*.py")}
    sources |= {path: path.parent.name for path in (ROOT / "functions").glob("*/*.py")}
    sources |= {ROOT / path: home for path, home in LENT.items()}
    for path, home in sources.items():
        for definition in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(definition, ast.FunctionDef):
                continue
            for call in ast.walk(definition):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in WRITING:
                    callers = CALLERS.get(definition.name, {home})
                    found |= {(caller, name) for name in read_names(call.args[0]) for caller in callers}
    return found


def read_names(argument: ast.expr) -> set[str]:
    if isinstance(argument, ast.Constant):
        return {argument.value} if isinstance(argument.value, str) else set()
    assert isinstance(argument, ast.JoinedStr), ast.dump(argument)
    names = {""}
    for part in argument.values:
        if isinstance(part, ast.FormattedValue):
            names = {name + each for name in names for each in EXPANSIONS[ast.unparse(part.value)]}
        else:
            assert isinstance(part, ast.Constant)
            names = {name + str(part.value) for name in names}
    return names


def list_ingest_metrics() -> set[tuple[str, str]]:
    """Returns name and dimension of each metric in ingest's outcome lines."""
    tree = ast.parse((ROOT / "functions/ingest/handler.py").read_text("utf-8"))
    found = set()
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "_report":
            *_, metrics, dimensions = call.args
            assert isinstance(metrics, ast.Dict)
            for key in metrics.keys:
                assert isinstance(key, ast.Constant)
                found |= {(str(key.value), each) for each in ast.literal_eval(dimensions)}
    return found


def list_watched(alarm: Resource) -> list[tuple[str, str, dict[str, Any]]]:
    """Returns namespace, name and dimensions of each metric of an alarm."""
    given = alarm.properties
    stats = [each["MetricStat"]["Metric"] for each in given.get("Metrics", []) if "MetricStat" in each] or [given]
    return [
        (each["Namespace"], each["MetricName"], {one["Name"]: one["Value"] for one in each["Dimensions"]})
        for each in stats
    ]


def list_metrics(deployment: Deployment) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields namespace, name and dimensions of every metric of every alarm and graph."""
    for alarm in deployment.list_resources("AWS::CloudWatch::Alarm"):
        yield from list_watched(alarm)
    for widget in read_widgets(deployment):
        for row in widget["properties"].get("metrics", []):
            parts = [each for each in row if not isinstance(each, dict)]
            if parts:
                yield parts[0], parts[1], dict(zip(parts[2::2], parts[3::2], strict=True))


def read_widgets(deployment: Deployment) -> list[dict[str, Any]]:
    (board,) = deployment.list_resources("AWS::CloudWatch::Dashboard")
    parts = board.properties["DashboardBody"]["Fn::Join"][1]
    body = json.loads("".join(each if isinstance(each, str) else "reference" for each in parts))
    widgets: list[dict[str, Any]] = body["widgets"]
    return widgets


def list_alarms(deployment: Deployment) -> dict[str, Resource]:
    prefix = f"orchestrator-{deployment.stage.name}-"
    alarms = deployment.list_resources("AWS::CloudWatch::Alarm")
    return {each.properties["AlarmName"].removeprefix(prefix): each for each in alarms}


def read_anchors(path: Path) -> set[str]:
    """Returns the anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_namespace_is_the_code_s() -> None:
    assert infra_metrics.NAMESPACE == observability.NAMESPACE


def test_every_metric_is_counted_or_documented(deployment: Deployment) -> None:
    counted = list_counted()
    unknown = []
    found = list(list_metrics(deployment))
    for namespace, name, dimensions in found:
        if namespace == observability.NAMESPACE:
            is_known = set(dimensions) == {"environment", "service"} and dimensions["environment"] == (
                deployment.stage.name
            )
            is_known = is_known and (str(dimensions["service"]), name) in counted
        else:
            is_known = name in DOCUMENTED[namespace]["metrics"]
            is_known = is_known and set(dimensions) == DOCUMENTED[namespace]["dimensions"]
        if not is_known:
            unknown.append((namespace, name, dimensions))

    assert len(found) > 60
    assert unknown == []


def test_every_searched_metric_is_ingest_s(deployment: Deployment) -> None:
    expressions = [
        each["expression"]
        for widget in read_widgets(deployment)
        for row in widget["properties"].get("metrics", [])
        for each in row
        if isinstance(each, dict) and "SEARCH" in each.get("expression", "")
    ]

    asked = set()
    for expression in expressions:
        match = re.fullmatch(
            r"SEARCH\('\{(\w+),environment,service,(\w+)\} environment=\"(\w+)\" service=\"ingest\" "
            r"MetricName=\"(\w+)\"', '[\w]+'\)",
            expression,
        )
        assert match is not None, expression
        assert (match[1], match[3]) == (observability.NAMESPACE, deployment.stage.name)
        asked.add((match[4], match[2]))
    assert asked == list_ingest_metrics()


def test_what_the_code_counts_is_on_the_dashboard(deployments: dict[str, Deployment]) -> None:
    shown = {
        (str(dimensions["service"]), name)
        for namespace, name, dimensions in list_metrics(deployments["prod"])
        if namespace == observability.NAMESPACE
    }
    # No task or run ends as one of these.
    moving = {
        ("execute", f"{kind}_{status}") for kind in ("tasks", "runs") for status in ("queued", "running", "waiting")
    }

    # Codegen does not say what is left.
    untold = {("execute", "codegen_budget_remaining_ratio")}

    assert list_counted() - moving - untold - shown == set()


def test_every_function_has_its_alarm(deployment: Deployment) -> None:
    watched = {
        deployment.follow(dimensions["FunctionName"], alarm.stack)
        for alarm in deployment.list_resources("AWS::CloudWatch::Alarm")
        for _, name, dimensions in list_watched(alarm)
        if name == "Errors"
    }

    # CDK's own function runs at a deployment only, which fails when it does.
    functions = {
        (each.stack, each.id)
        for each in deployment.list_resources("AWS::Lambda::Function")
        if each.properties["Handler"] != "framework.onEvent"
    }
    assert functions
    assert functions == watched


def test_every_queue_has_its_alarm(deployment: Deployment) -> None:
    watched = {
        deployment.follow(dimensions["QueueName"], alarm.stack)
        for alarm in deployment.list_resources("AWS::CloudWatch::Alarm")
        for namespace, _, dimensions in list_watched(alarm)
        if namespace == "AWS/SQS"
    }

    assert watched == {(each.stack, each.id) for each in deployment.list_resources("AWS::SQS::Queue")}


def test_the_alarms_that_were_asked_for_are_there(deployment: Deployment) -> None:
    alarms = list_alarms(deployment)

    assert set(alarms) >= ALWAYS
    for name, threshold, seconds in (
        ("service-down", 100, 60),
        ("error-rate", 5, 120),
        ("deliveries-backlog", 100, 300),
        ("tasks-backlog", 100, 300),
        ("deliveries-too-old", 300, 60),
        ("tasks-too-old", 300, 60),
        ("deliveries-dead-letter", 0, 60),
        ("tasks-dead-letter", 0, 60),
        ("reconcile-not-run", 1, 180),
        ("github-budget", 0.1, 300),
        ("circuit-open", 0, 60),
    ):
        given = alarms[name].properties
        periods = (
            {given["Period"]}
            if "Period" in given
            else {each["MetricStat"]["Period"] for each in given["Metrics"] if "MetricStat" in each}
        )
        assert given["Threshold"] == threshold
        assert {period * given["EvaluationPeriods"] for period in periods} == {seconds}
    assert alarms["reconcile-not-run"].properties["TreatMissingData"] == "breaching"
    connections = alarms["database-connections"].properties["Threshold"]
    assert connections < deployment.stage.database_connections


def test_every_alarm_tells_somebody_and_leads_to_the_runbook(deployment: Deployment) -> None:
    anchors = read_anchors(ROOT / "docs/operations.md")
    (topic,) = deployment.list_resources("AWS::SNS::Topic")

    for alarm in deployment.list_resources("AWS::CloudWatch::Alarm"):
        match = re.search(r"What to do: docs/operations\.md#([\w-]+)$", alarm.properties["AlarmDescription"])
        assert match is not None
        assert match[1] in anchors
        assert alarm.properties["AlarmActions"] == [{"Ref": topic.id}]
        assert alarm.properties["OKActions"] == [{"Ref": topic.id}]


def test_every_section_of_the_runbook_says_what_to_do() -> None:
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    sections = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", text, re.MULTILINE))

    assert len(sections) > 8
    for name, body in sections.items():
        if "No alarm:" not in body:
            assert "**means**" in body.lower(), name
            assert "**do**" in body.lower(), name


def test_the_runbook_s_links_lead_somewhere() -> None:
    path = ROOT / "docs/operations.md"
    links = set(re.findall(r"\]\(#([\w-]+)\)", path.read_text("utf-8")))

    assert links
    assert links <= read_anchors(path)


def test_the_topic_is_not_encrypted_with_a_key_that_alarms_may_not_use(deployment: Deployment) -> None:
    (topic,) = deployment.list_resources("AWS::SNS::Topic")

    assert "KmsMasterKeyId" not in topic.properties


def test_the_dashboard_asks_the_operator_s_questions_top_down(deployment: Deployment) -> None:
    widgets = read_widgets(deployment)
    questions = [each for each in widgets if each["type"] == "text"]

    assert widgets[0]["type"] == "alarm"
    assert len(widgets[0]["properties"]["alarms"]) == len(deployment.list_resources("AWS::CloudWatch::Alarm"))
    assert [each["properties"]["markdown"] for each in sorted(questions, key=lambda each: int(each["y"]))] == [
        "## Is it up?",
        "## Is it keeping up?",
        "## What fails?",
        "## What do agents cost?",
        "## What does it run on?",
    ]


def test_saved_queries_ask_for_lines_that_the_code_writes(deployments: dict[str, Deployment]) -> None:
    source = "\n".join(
        path.read_text("utf-8")
        for room in ("functions", "shared")
        for path in (ROOT / room).rglob("*.py")
        if "local" not in path.parts
    )
    # Written in pieces: f"task.{status}".
    made = {f"task.{status.value}" for status in Status} | {f"run.{status.value}" for status in Status}
    asked = {
        name
        for text in QUERIES.values()
        for name in re.findall(r"['\"]([a-z]+\.[a-z]+)['\"]", text)
        if name != "platform.report"
    }

    assert asked
    assert {name for name in asked - made if f'"{name}"' not in source} == set()
    saved = deployments["prod"].list_resources("AWS::Logs::QueryDefinition")
    assert {each.properties["Name"] for each in saved} == {f"orchestrator-prod/{name}" for name in QUERIES}
    assert {len(each.properties["LogGroupNames"]) for each in saved} == {7}


@pytest.mark.parametrize(("stage", "rate"), [("dev", 1.0), ("prod", 0.05)])
def test_traces_are_sampled_by_stage(stage: str, rate: float, deployments: dict[str, Deployment]) -> None:
    (rule,) = deployments[stage].list_resources("AWS::XRay::SamplingRule")

    assert rule.properties["SamplingRule"]["FixedRate"] == rate
