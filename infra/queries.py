"""Saved queries of Logs Insights: what is asked of the logs at night.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.stages import Stage

LATEST = "sort @timestamp desc | limit 200"

QUERIES: dict[str, str] = {
    "life of a delivery": (
        "fields @timestamp, service, message, status, reason, run_id, task_id, step, attempt, retry_in\n"
        '| filter delivery_id = "PUT THE X-GITHUB-DELIVERY HERE"\n'
        "| sort @timestamp asc"
    ),
    "errors": (
        f'fields @timestamp, service, message, reason, delivery_id, task_id\n| filter level = "ERROR"\n| {LATEST}'
    ),
    "refused, by reason": (
        'filter message = "delivery.refused"\n| stats count() as refused by reason, source, bin(5m)'
    ),
    "attempts, by step": (
        "filter message in ['task.succeeded', 'task.dead', 'attempt.failed', 'task.waited']\n"
        "| stats count() as lines by workflow, step, uses, message"
    ),
    "agent runs, by workflow": (
        "filter message in ['task.waited', 'task.succeeded', 'task.failed', 'task.dead'] and uses like /^codegen/\n"
        "| stats count_distinct(task_id) as agent_runs by workflow, message"
    ),
    "gave up, and why": (
        "filter message in ['task.dead', 'task.died', 'delivery.died', 'letter.buried']\n"
        f"| fields @timestamp, message, reason, delivery_id, task_id, workflow, step\n| {LATEST}"
    ),
    "slow and cold": (
        'filter type = "platform.report"\n'
        "| stats count() as invocations, count(record.metrics.initDurationMs) as cold,"
        " pct(record.metrics.durationMs, 99) as p99_ms, max(record.metrics.maxMemoryUsedMB) as memory_mb by @log"
    ),
}


def save_queries(scope: Construct, stage: Stage, groups: list[logs.ILogGroup]) -> None:
    """Saves every query over the functions' log groups."""
    for name, text in QUERIES.items():
        logs.CfnQueryDefinition(
            scope,
            "Query" + "".join(character for character in name.title() if character.isalnum()),
            name=f"orchestrator-{stage.name}/{name}",
            query_string=text,
            log_group_names=[group.log_group_name for group in groups],
        )
