"""The last test: the stacks are destroyed, and nothing of them is left."""

import contextlib
from collections.abc import Callable
from typing import Any

from tests.e2e.deployment import Deployment

LEFT: dict[str, Callable[[Any], list[Any]]] = {
    "cloudformation": lambda client: [
        stack["StackName"] for stack in client.describe_stacks()["Stacks"] if stack["StackName"] != "CDKToolkit"
    ],
    "lambda": lambda client: client.list_functions()["Functions"],
    "sqs": lambda client: client.list_queues().get("QueueUrls", []),
    "secretsmanager": lambda client: client.list_secrets()["SecretList"],
    "logs": lambda client: client.describe_log_groups()["logGroups"],
    "apigatewayv2": lambda client: client.get_apis()["Items"],
    "scheduler": lambda client: client.list_schedules()["Schedules"],
    "rds": lambda client: client.describe_db_instances()["DBInstances"],
    "elasticache": lambda client: client.describe_replication_groups()["ReplicationGroups"],
}


def test_what_is_destroyed_leaves_nothing(deployment: Deployment) -> None:
    def list_left(service: str) -> list[Any]:
        with contextlib.closing(deployment.connect_aws(service)) as client:
            return LEFT[service](client)

    assert [service for service in LEFT if not list_left(service)] == []

    deployment.destroy(deployment.cloud.directory / "tree")

    assert {service: left for service in LEFT if (left := list_left(service))} == {}
