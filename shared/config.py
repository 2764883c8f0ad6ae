"""Settings: a typed model for each function, read once from the environment, every fault reported together.

Standard library only, because ingest reads its settings at every cold start.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar
from urllib.parse import urlsplit

Config = TypeVar("Config")


class ConfigError(ValueError):
    """Settings are missing or wrong; the message names each and its mend, never a value that may be secret."""


def _text(value: str) -> str:
    return value


def _flag(value: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    try:
        return known[value.strip().lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def _whole(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError("must be a whole number") from None


def _count(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ValueError("must be a whole number of at least 1")
    return int(value)


def _seconds(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError("must be a number of seconds") from None


def _database_url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    # Users bring the address their other tools use: SQLAlchemy's driver suffix means nothing to libpq.
    if not separator or scheme.partition("+")[0] not in {"postgresql", "postgres"}:
        raise ValueError("must start with postgresql://")
    return f"postgresql://{rest}"


def _redis_url(value: str) -> str:
    if urlsplit(value).scheme not in {"redis", "rediss"}:
        raise ValueError("must start with redis:// or rediss://")
    return value


def _hosts(value: str) -> tuple[str, ...]:
    hosts = tuple(host.strip().lower() for host in value.split(",") if host.strip())
    if any("/" in host or "*" in host for host in hosts):
        raise ValueError("must be names of hosts with commas between, each with a :port or without")
    return hosts


def _logins(value: str) -> frozenset[str]:
    return frozenset(login.strip().lower() for login in value.split(",") if login.strip())


def _http_url(value: str) -> str:
    if urlsplit(value).scheme not in {"http", "https"}:
        raise ValueError("must start with http:// or https://")
    return value.rstrip("/")


def _log_level(value: str) -> str:
    level = value.strip().upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ValueError("must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return level


def _private_key(value: str) -> str:
    # A PEM in a one-line .env file has its line ends escaped.
    key = value.replace("\\n", "\n").strip() + "\n"
    if "PRIVATE KEY-----" not in key:
        raise ValueError("must be a PEM private key")
    return key


def setting(
    name: str,
    parse: Callable[[str], Any] = _text,
    *,
    default: Any = MISSING,  # noqa: ANN401 - whatever the field is
    secret: bool = False,
) -> Any:  # noqa: ANN401 - a dataclass field, typed by its annotation
    """Declares a field read from the environment variable ``name``; without ``default`` it must be set."""
    return field(metadata={"name": name, "parse": parse}, repr=not secret, default=default)


def read_config(model: type[Config], environ: Mapping[str, str] = os.environ) -> Config:
    """Returns ``model`` filled from the environment. An empty variable counts as not set.

    Raises:
        ConfigError: naming every setting that is missing or wrong.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    declared: tuple[Field[Any], ...] = fields(model)  # type: ignore[arg-type]
    for each in declared:
        name, given = each.metadata["name"], environ.get(each.metadata["name"], "")
        if given:
            try:
                values[each.name] = each.metadata["parse"](given)
            except ValueError as fault:
                faults.append(f"{name} {fault}")
        elif each.default is MISSING:
            faults.append(f"{name} is not set")
    if faults:
        raise ConfigError(f"settings to mend: {'; '.join(faults)} (.env.example describes each)")
    return model(**values)


@dataclass(frozen=True, kw_only=True, eq=False)
class AwsConfig:
    """Where AWS is: the region, and an endpoint that stands in for AWS on a laptop."""

    region: str = setting("AWS_REGION", default="us-east-1")
    endpoint: str | None = setting("AWS_ENDPOINT_URL", _http_url, default=None)


@dataclass(frozen=True, kw_only=True, eq=False)
class ObservabilityConfig:
    """What is logged and counted."""

    environment: str = setting("ENVIRONMENT", default="local")
    log_level: str = setting("LOG_LEVEL", _log_level, default="INFO")
    enable_metrics: bool = setting("ENABLE_METRICS", _flag, default=True)
    enable_tracing: bool = setting("ENABLE_TRACING", _flag, default=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class IngestConfig(AwsConfig, ObservabilityConfig):
    """Settings of ingest. A source is configured by its secret or by the id of its secret."""

    queue_url: str = setting("DELIVERIES_QUEUE_URL", _http_url)
    bucket: str = setting("BODIES_BUCKET")
    webhook_secret: str | None = setting("GITHUB_WEBHOOK_SECRET", default=None, secret=True)
    webhook_secret_id: str | None = setting("GITHUB_WEBHOOK_SECRET_ID", default=None)


@dataclass(frozen=True, kw_only=True, eq=False)
class StoreConfig(AwsConfig, ObservabilityConfig):
    """Settings of every function that reads or writes the records."""

    database_url: str = setting("DATABASE_URL", _database_url, secret=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class GitHubConfig:
    """Who we are to GitHub, and the Redis in which workers share its tokens and its wish to wait."""

    redis_url: str = setting("REDIS_URL", _redis_url, secret=True)
    github_url: str = setting("GITHUB_API_URL", _http_url, default="https://api.github.com")
    github_token: str | None = setting("GITHUB_TOKEN", default=None, secret=True)
    github_app_id: str | None = setting("GITHUB_APP_ID", default=None)
    github_private_key: str | None = setting("GITHUB_PRIVATE_KEY", _private_key, default=None, secret=True)
    workers: int = setting("WORKERS", _count, default=1)

    @property
    def is_app(self) -> bool:
        """An App is preferred to a token: its rights are those of its installation, not those of a person."""
        return self.github_app_id is not None and self.github_private_key is not None


@dataclass(frozen=True, kw_only=True, eq=False)
class RouteConfig(StoreConfig, GitHubConfig):
    """Settings of route. Without a token or an App, repositories' workflow files are not looked at."""

    queue_url: str = setting("DELIVERIES_QUEUE_URL", _http_url)
    tasks_queue_url: str = setting("TASKS_QUEUE_URL", _http_url)
    bucket: str = setting("BODIES_BUCKET")
    own_logins: frozenset[str] = setting("OWN_LOGINS", _logins, default=frozenset())
    agent_logins: frozenset[str] = setting("AGENT_LOGINS", _logins, default=frozenset({"codegen-sh[bot]"}))


@dataclass(frozen=True, kw_only=True, eq=False)
class ReconcileConfig(StoreConfig):
    """Settings of reconcile."""

    tasks_queue_url: str = setting("TASKS_QUEUE_URL", _http_url)
    stranded_after_seconds: float = setting("STRANDED_AFTER_SECONDS", _seconds, default=300.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class ExecuteConfig(StoreConfig, GitHubConfig):
    """Settings of execute."""

    tasks_queue_url: str = setting("TASKS_QUEUE_URL", _http_url)
    bucket: str = setting("BODIES_BUCKET")
    codegen_url: str = setting("CODEGEN_API_URL", _http_url, default="https://api.codegen.com")
    codegen_token: str | None = setting("CODEGEN_TOKEN", default=None, secret=True)
    codegen_org_id: int | None = setting("CODEGEN_ORG_ID", _whole, default=None)
    http_allowed_hosts: tuple[str, ...] = setting("HTTP_ALLOWED_HOSTS", _hosts, default=())
    lease_seconds: float = setting("LEASE_SECONDS", _seconds, default=90.0)
    agent_poll_seconds: float = setting("AGENT_POLL_SECONDS", _seconds, default=30.0)
    max_attempts: int = setting("MAX_ATTEMPTS", _whole, default=8)
    retry_base_seconds: float = setting("RETRY_BASE_SECONDS", _seconds, default=5.0)
    are_agents_on: bool = setting("AGENTS_ENABLED", _flag, default=True)
    max_agent_runs_per_subject: int = setting("MAX_AGENT_RUNS_PER_SUBJECT", _whole, default=20)
    max_agent_runs_per_repository: int = setting("MAX_AGENT_RUNS_PER_REPOSITORY", _whole, default=200)
    max_agent_runs_per_day: int = setting("MAX_AGENT_RUNS_PER_DAY", _whole, default=1000)


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredConfig(AwsConfig):
    """Settings of commands that read stored deliveries; the bucket has the bodies that were too large to queue."""

    database_url: str = setting("DATABASE_URL", _database_url, secret=True)
    bucket: str | None = setting("BODIES_BUCKET", default=None)


@dataclass(frozen=True, kw_only=True, eq=False)
class BuryConfig(StoreConfig):
    """Settings of bury."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MigrateConfig(StoreConfig):
    """Settings of migrate."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ApiConfig(StoreConfig):
    """Settings of the API."""

    redis_url: str = setting("REDIS_URL", _redis_url, secret=True)
    tasks_queue_url: str = setting("TASKS_QUEUE_URL", _http_url)
    api_token: str = setting("API_TOKEN", secret=True)
