"""``python -m tests.support.fleet_worker``: execute's worker, with GitHub's limits made faster for a test."""

import json
import os
from dataclasses import replace
from typing import Any

from shared import bootstrap
from shared.adapters.budgets import GitHubRules
from shared.adapters.github.actions.comments import Comment
from shared.adapters.github.authorization import TokenAuthorization
from shared.adapters.github.client import GitHubClient
from shared.adapters.http import open_client
from shared.adapters.limits import Budget, Gate
from shared.adapters.redis import RedisCache
from shared.adapters.redis_limits import RedisLimiter
from shared.domain.batch import Message, process_in_order, read_messages
from shared.local.event_source import EventSource
from shared.local.workers import run_workers, watch_signals
from shared.usecases.execute import execute

REGION = "us-east-1"
POLLERS = 4
# As the sandbox is told, and a fifth of a second for the way there.
CONTENT_AMOUNT, CONTENT_SECONDS = 200, 10.0
POINTS_AMOUNT, POINTS_SECONDS = 500, 2.0
TRANSIT_SECONDS = 0.2
RULES = GitHubRules(
    content=(Budget("content", CONTENT_AMOUNT, CONTENT_SECONDS + TRANSIT_SECONDS),),
    points=Budget("points", POINTS_AMOUNT, POINTS_SECONDS + TRANSIT_SECONDS),
)


def main() -> None:
    """Works until SIGTERM."""
    built = bootstrap.execute(os.environ)
    limiter = RedisLimiter(RedisCache(os.environ["REDIS_URL"]), workers=2)
    client = open_client(os.environ["GITHUB_API_URL"], Gate(RULES, limiter, built.telemetry))
    github = GitHubClient(client, TokenAuthorization(os.environ["GITHUB_TOKEN"]))
    deps = replace(built.deps, actions={"github.comment": Comment(github)})

    def process(message: Message) -> bool:
        execute(json.loads(message.body)["task_id"], deps)
        return True

    def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
        return process_in_order(read_messages(event), process, lambda _error: None).response

    source = EventSource(
        function="execute",
        handler=handle,
        queue_url=os.environ["TASKS_QUEUE_URL"],
        batch_size=1,
        pollers=POLLERS,
        function_timeout_seconds=60.0,
    )
    run_workers([source], [], region=REGION, endpoint=os.environ["AWS_ENDPOINT_URL"], stop=watch_signals())


if __name__ == "__main__":
    main()
