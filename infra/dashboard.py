"""The dashboard: the night operator's questions, top down.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Dashboards.html
"""

from collections.abc import Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.metrics import UPSTREAMS, Metrics
from infra.queries import QUERIES
from infra.queues import Queues
from infra.shapes import SHAPES
from infra.stages import Stage

FULL, HALF, THIRD = 24, 12, 8
HEIGHT = 6

ATTEMPTS = (
    *("attempts_succeeded", "attempts_retried", "attempts_deferred"),
    *("attempts_declined", "attempts_failed", "attempts_dead"),
)
TASK_ENDS = ("tasks_succeeded", "tasks_failed", "tasks_cancelled", "tasks_superseded", "tasks_dead")
RUN_ENDS = ("runs_succeeded", "runs_failed", "runs_cancelled", "runs_superseded", "runs_dead")


def create_dashboard(
    scope: Construct,
    stage: Stage,
    metrics: Metrics,
    queues: Queues,
    *,
    alarms: Sequence[cloudwatch.IAlarm],
    groups: Sequence[logs.ILogGroup],
) -> cloudwatch.Dashboard:
    """Creates the stage's dashboard."""
    board = cloudwatch.Dashboard(
        scope,
        "Dashboard",
        dashboard_name=f"orchestrator-{stage.name}",
        period_override=cloudwatch.PeriodOverride.INHERIT,
    )
    board.add_widgets(cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=FULL, height=4))
    for question, widgets in (
        ("Is it up?", _is_it_up(metrics)),
        ("Is it keeping up?", _is_it_keeping_up(metrics, queues)),
        ("What fails?", _what_fails(metrics, groups)),
        ("What do agents cost?", _what_do_agents_cost(metrics, groups)),
        ("What does it run on?", _what_does_it_run_on(metrics)),
    ):
        board.add_widgets(cloudwatch.TextWidget(markdown=f"## {question}", width=FULL, height=1))
        board.add_widgets(*widgets)
    return board


def _graph(
    title: str, *left: cloudwatch.IMetric, width: int = THIRD, right: Sequence[cloudwatch.IMetric] = ()
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        left=list(left),
        right=list(right),
        width=width,
        height=HEIGHT,
        left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
    )


def _question(name: str, groups: Sequence[logs.ILogGroup]) -> cloudwatch.LogQueryWidget:
    return cloudwatch.LogQueryWidget(
        title=name.capitalize(),
        log_group_names=[group.log_group_name for group in groups],
        query_string=QUERIES[name],
        view=cloudwatch.LogQueryVisualizationType.TABLE,
        width=HALF,
        height=HEIGHT,
    )


def _is_it_up(metrics: Metrics) -> list[cloudwatch.IWidget]:
    return [
        _graph("Requests a minute", metrics.api("Count"), metrics.api("4xx"), metrics.api("5xx")),
        _graph("Latency, ms", metrics.api("Latency", "p50"), metrics.api("Latency", "p99")),
        _graph("Answered with 5xx, %", metrics.failed_percent()),
        _graph("Deliveries accepted, by source", metrics.split("ingest", "accepted", "source")),
        _graph("Deliveries refused, by reason", metrics.split("ingest", "refused", "reason")),
        _graph("Ingest, seconds (p99)", metrics.split("ingest", "ingest_seconds", "source", "p99")),
    ]


def _is_it_keeping_up(metrics: Metrics, queues: Queues) -> list[cloudwatch.IWidget]:
    pairs = ((queues.deliveries, "deliveries"), (queues.tasks, "tasks"))
    dead = ((queues.deliveries_dlq, "dead deliveries"), (queues.tasks_dlq, "dead tasks"))
    return [
        _graph(
            "Messages waiting",
            *(metrics.queue(queue, "ApproximateNumberOfMessagesVisible", name) for queue, name in pairs),
        ),
        _graph(
            "Oldest message, seconds",
            *(metrics.queue(queue, "ApproximateAgeOfOldestMessage", name) for queue, name in pairs),
        ),
        _graph(
            "Messages in work and delayed",
            *(metrics.queue(queue, "ApproximateNumberOfMessagesNotVisible", name) for queue, name in pairs),
            metrics.queue(queues.tasks, "ApproximateNumberOfMessagesDelayed", "tasks, delayed"),
        ),
        _graph(
            "Routed and recognised",
            metrics.counted("route", "routed"),
            metrics.counted("route", "duplicates"),
            metrics.counted("route", "runs_started"),
            metrics.counted("route", "workflow_files_refused"),
            metrics.counted("route", "workflow_files_unread"),
        ),
        _graph(
            "Reconcile",
            metrics.counted("reconcile", "reconciled"),
            metrics.counted("reconcile", "tasks_reenqueued"),
            metrics.counted("execute", "tasks_passed_over"),
        ),
        _graph(
            "Dead-letter queues",
            *(metrics.queue(queue, "ApproximateNumberOfMessagesVisible", name) for queue, name in dead),
        ),
    ]


def _what_fails(metrics: Metrics, groups: Sequence[logs.ILogGroup]) -> list[cloudwatch.IWidget]:
    return [
        _graph("Attempts, by outcome", *(metrics.counted("execute", name) for name in ATTEMPTS)),
        _graph("Tasks, by end", *(metrics.counted("execute", name) for name in TASK_ENDS)),
        _graph(
            "Recorded as dead",
            metrics.counted("route", "dead_deliveries", label="deliveries, by route"),
            metrics.counted("bury", "dead_deliveries", label="deliveries, by bury"),
            metrics.counted("bury", "dead_tasks"),
            metrics.counted("bury", "dead_letters"),
        ),
        _graph("Failed invocations", *(metrics.function(name, "Errors") for name in SHAPES)),
        _graph("Throttled invocations", *(metrics.function(name, "Throttles") for name in SHAPES)),
        _graph(
            "Halted: the database or an upstream is away",
            metrics.counted("route", "route_halts"),
            metrics.counted("execute", "execute_halts"),
        ),
        _graph("Told to wait, by upstream", *(metrics.counted("execute", f"{name}_limited") for name in UPSTREAMS)),
        _graph(
            "Circuit open, by upstream",
            *(metrics.counted("execute", f"{name}_circuit_open", "Maximum") for name in UPSTREAMS),
        ),
        _graph(
            "GitHub budget left, of 1",
            metrics.counted("execute", "github_budget_remaining_ratio", "Minimum"),
        ),
        _question("attempts, by step", groups),
        _question("gave up, and why", groups),
    ]


def _what_do_agents_cost(metrics: Metrics, groups: Sequence[logs.ILogGroup]) -> list[cloudwatch.IWidget]:
    return [
        _graph("Runs, by end", *(metrics.counted("execute", name) for name in RUN_ENDS), width=HALF),
        _question("agent runs, by workflow", groups),
    ]


def _what_does_it_run_on(metrics: Metrics) -> list[cloudwatch.IWidget]:
    return [
        _graph("Concurrency", *(metrics.function(name, "ConcurrentExecutions", "Maximum") for name in SHAPES)),
        _graph("Duration, ms (p99)", *(metrics.function(name, "Duration", "p99") for name in SHAPES)),
        _graph(
            "Attempt, seconds",
            metrics.counted("execute", "attempt_seconds", "Average", label="average"),
            metrics.counted("execute", "attempt_seconds", "p95", label="p95"),
        ),
        _graph(
            "Database: connections, CPU %",
            metrics.database("DatabaseConnections", "Maximum"),
            right=[metrics.database("CPUUtilization")],
        ),
        _graph(
            "Database: free storage and memory, bytes",
            metrics.database("FreeStorageSpace", "Minimum"),
            right=[metrics.database("FreeableMemory", "Minimum")],
        ),
        _graph(
            "Valkey: memory %, CPU %, connections",
            metrics.cache("DatabaseMemoryUsagePercentage", "Maximum"),
            metrics.cache("EngineCPUUtilization"),
            right=[metrics.cache("CurrConnections")],
        ),
    ]
