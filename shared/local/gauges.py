"""What the exporter asks the servers themselves, at each scrape: queues, Postgres, Redis, GitHub, the front.

A source that does not answer within its timeout is down, and the others are told all the same.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import psycopg
import redis
from prometheus_client import Metric
from prometheus_client.registry import Collector
from psycopg.rows import dict_row

from shared.adapters.aws import AwsService
from shared.adapters.redis import RedisCache
from shared.adapters.redis_limits import read_circuit, read_least_quota
from shared.config import AwsConfig, setting
from shared.domain.statuses import Status
from shared.observability import write_outcome
from shared.sql import read_queries

PREFIX = "webhook_orchestrator"
# Prometheus gives a scrape 10 seconds by default; the sources are asked at the same time.
SOURCE_SECONDS = 2.0
# GitHub answers this for free, but asks not to be asked without need.
# https://docs.github.com/en/rest/rate-limit/rate-limit
GITHUB_SECONDS = 60.0
UPSTREAMS = ("github", "codegen")
_QUEUE_STATES = {
    "visible": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}

# Every gauge, with what it says.
GAUGES = {
    "up": "whether a source answered: front, queues, database, cache, github, storage",
    "queue_messages": "messages in a queue, by state",
    "tasks": "tasks in the database, by status",
    "runs": "runs in the database, by status",
    "oldest_due_task_seconds": "how long the oldest due task has been waiting for a worker",
    "agent_runs_waiting": "agent runs that have not ended",
    "agent_runs_last_day": "agent runs started in the last 24 hours",
    "dead_deliveries_recorded": "deliveries recorded as dead",
    "dead_tasks_recorded": "tasks recorded as dead",
    "dead_letters_recorded": "messages of dead-letter queues that were neither a delivery nor a task",
    "database_connections": "client connections of the database server",
    "database_max_connections": "how many it allows",
    "database_bytes": "size of the database",
    "cache_bytes": "memory that Redis uses",
    "upstream_halted_seconds": "for how long no request may be sent to an upstream that asked us to wait",
    "upstream_circuit_open": "whether an upstream is not asked because it has failed too often in a row",
    "github_budget_remaining": "requests left of GitHub's primary rate limit",
    "github_budget_limit": "GitHub's primary rate limit",
    "github_budget_left": "share of the limit that is left to the installation or token that has least",
    "storage_free_bytes": "free space where data and logs are kept",
    "storage_bytes": "all space there",
}

Values = Iterator[tuple[str, dict[str, str], float]]


@dataclass(frozen=True, kw_only=True)
class GaugesConfig(AwsConfig):
    """Where the sources are; one that is not set is not asked."""

    database_url: str | None = setting("DATABASE_URL", default=None, secret=True)
    redis_url: str | None = setting("REDIS_URL", default=None, secret=True)
    deliveries_queue_url: str | None = setting("DELIVERIES_QUEUE_URL", default=None)
    tasks_queue_url: str | None = setting("TASKS_QUEUE_URL", default=None)
    deliveries_dlq_url: str | None = setting("DELIVERIES_DLQ_URL", default=None)
    tasks_dlq_url: str | None = setting("TASKS_DLQ_URL", default=None)
    github_url: str = setting("GITHUB_API_URL", default="https://api.github.com")
    github_token: str | None = setting("GITHUB_TOKEN", default=None, secret=True)

    @property
    def queue_urls(self) -> dict[str, str]:
        """Returns the queues that are set, by the name of their metrics."""
        urls = {
            "deliveries": self.deliveries_queue_url,
            "tasks": self.tasks_queue_url,
            "deliveries-dlq": self.deliveries_dlq_url,
            "tasks-dlq": self.tasks_dlq_url,
        }
        return {name: url for name, url in urls.items() if url is not None}


def read_front(url: str) -> Values:
    """Asks the front for its health; it has no gauge but that it is up."""
    httpx.get(f"{url}/health", timeout=SOURCE_SECONDS, trust_env=False).raise_for_status()
    return iter(())


def read_queues(config: GaugesConfig) -> Values:
    """Yields how many messages each queue holds. Raises Transient, Permanent."""
    service = AwsService("sqs", config.region, config.endpoint, SOURCE_SECONDS)
    try:
        for queue, url in config.queue_urls.items():
            names = list(_QUEUE_STATES.values())
            answer = service.call("AmazonSQS.GetQueueAttributes", {"QueueUrl": url, "AttributeNames": names})
            for state, name in _QUEUE_STATES.items():
                yield "queue_messages", {"queue": queue, "state": state}, float(answer["Attributes"][name])
    finally:
        service.close()


def read_database(url: str) -> Values:
    """Yields tasks, runs and agent runs as they are recorded, and the server's own figures. Raises psycopg.Error."""
    queries = read_queries("metrics.sql")
    milliseconds = int(SOURCE_SECONDS * 1000)
    with psycopg.connect(
        url,
        connect_timeout=int(SOURCE_SECONDS),
        autocommit=True,
        application_name="webhook-orchestrator-metrics",
        options=f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
        row_factory=dict_row,
    ) as connection:
        found = {(row["kind"], row["status"]): row["count"] for row in connection.execute(queries["count_statuses"])}
        levels = connection.execute(queries["read_levels"]).fetchone() or {}
    for kind in ("tasks", "runs"):
        for status in Status:
            yield kind, {"status": status.value}, found.get((kind, status.value), 0)
    for name, value in levels.items():
        yield name, {}, value


def read_cache(url: str) -> Values:
    """Yields what Redis holds: its memory, and which upstreams are not asked. Raises redis.RedisError."""
    with redis.Redis.from_url(url, socket_timeout=SOURCE_SECONDS, socket_connect_timeout=SOURCE_SECONDS) as client:
        yield "cache_bytes", {}, client.info("memory")["used_memory"]
    cache = RedisCache(url)
    try:
        for upstream in UPSTREAMS:
            halted_seconds, is_open = read_circuit(cache, upstream, time.time())
            yield "upstream_halted_seconds", {"upstream": upstream}, halted_seconds
            yield "upstream_circuit_open", {"upstream": upstream}, is_open
        least = read_least_quota(cache, "github", time.time())
        if least is not None:
            yield "github_budget_left", {}, least
    finally:
        cache.close()


class GitHubBudget:
    """GitHub's primary rate limit as a token has it, asked at most once in ``GITHUB_SECONDS``."""

    def __init__(self, url: str, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._token = token
        self._clock = clock
        self._asked_at = -GITHUB_SECONDS
        self._values: list[tuple[str, dict[str, str], float]] = []

    def read(self) -> Values:
        """Yields what is left, and of how much. Raises httpx.HTTPError."""
        if self._clock() - self._asked_at >= GITHUB_SECONDS:
            headers = {"authorization": f"Bearer {self._token}", "user-agent": "webhook-orchestrator"}
            answer = httpx.get(f"{self._url}/rate_limit", headers=headers, timeout=SOURCE_SECONDS)
            core = answer.raise_for_status().json()["resources"]["core"]
            self._values = [
                ("github_budget_remaining", {}, core["remaining"]),
                ("github_budget_limit", {}, core["limit"]),
            ]
            self._asked_at = self._clock()
        yield from self._values


def read_storage(path: Path) -> Values:
    """Yields how much room there is. Raises OSError."""
    usage = shutil.disk_usage(path)
    yield "storage_free_bytes", {}, usage.free
    yield "storage_bytes", {}, usage.total


def list_sources(
    config: GaugesConfig, *, front_url: str | None, storage: Path | None
) -> dict[str, Callable[[], Values]]:
    """Returns how each source that is configured is asked, by its name."""
    sources: dict[str, Callable[[], Values]] = {}
    if front_url is not None:
        sources["front"] = partial(read_front, front_url)
    if config.queue_urls:
        sources["queues"] = partial(read_queues, config)
    if config.database_url is not None:
        sources["database"] = partial(read_database, config.database_url)
    if config.redis_url is not None:
        sources["cache"] = partial(read_cache, config.redis_url)
    # An App has a budget for each installation, and no token of its own to ask with.
    if config.github_token is not None:
        sources["github"] = GitHubBudget(config.github_url, config.github_token).read
    if storage is not None:
        sources["storage"] = partial(read_storage, storage)
    return sources


class Gauges(Collector):
    """Asks every source at each collection; ``close`` ends its threads."""

    def __init__(self, sources: Mapping[str, Callable[[], Values]]) -> None:
        self._sources = sources
        self._faults: dict[str, str | None] = {}
        self._pool = ThreadPoolExecutor(max(1, len(sources)), "source")

    def describe(self) -> list[Metric]:
        """Says nothing: the registry would else ask every source before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yields the gauges of the sources that answer, and whether each does."""
        metrics = {name: Metric(f"{PREFIX}_{name}", text, "gauge") for name, text in GAUGES.items()}
        for source, values in zip(self._sources, self._pool.map(self._ask, self._sources), strict=True):
            metrics["up"].add_sample(f"{PREFIX}_up", {"source": source}, float(values is not None))
            for name, labels, value in values or ():
                metrics[name].add_sample(f"{PREFIX}_{name}", labels, float(value))
        return (metric for metric in metrics.values() if metric.samples)

    def _ask(self, source: str) -> list[tuple[str, dict[str, str], float]] | None:
        fault = None
        try:
            return list(self._sources[source]())
        except Exception as error:  # noqa: BLE001 - whatever ails one source, the others are told
            fault = f"{type(error).__name__}: {error}"
            return None
        finally:
            self._tell_change(source, fault)

    def _tell_change(self, source: str, fault: str | None) -> None:
        if (self._faults.get(source) is None) != (fault is None):
            message = "source.found" if fault is None else "source.lost"
            fields = {"source": source, "reason": fault}
            write_outcome(message, fields, function="metrics", environment="local", level="WARNING")
        self._faults[source] = fault

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()
