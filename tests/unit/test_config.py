"""Settings: every fault at once, and no secret in what is shown."""

from typing import Any

import pytest

from shared.config import (
    ApiConfig,
    BuryConfig,
    ConfigError,
    ExecuteConfig,
    IngestConfig,
    MigrateConfig,
    ReconcileConfig,
    RouteConfig,
    read_config,
)

DATABASE = {"DATABASE_URL": "postgresql://me:hunter2@db/app"}
QUEUES = {"DELIVERIES_QUEUE_URL": "http://aws/deliveries", "TASKS_QUEUE_URL": "http://aws/tasks"}
STORES = {"BODIES_BUCKET": "bodies", "REDIS_URL": "redis://:hunter2@cache/0"}
ALL = {**DATABASE, **QUEUES, **STORES, "API_TOKEN": "hunter2"}
PEM = "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----"
MODELS = (IngestConfig, RouteConfig, ExecuteConfig, ReconcileConfig, BuryConfig, MigrateConfig, ApiConfig)


@pytest.mark.parametrize("model", MODELS)
def test_each_function_needs_no_more(model: type[Any]) -> None:
    assert read_config(model, ALL).log_level == "INFO"


@pytest.mark.parametrize("model", MODELS)
def test_secrets_are_not_shown(model: type[Any]) -> None:
    secrets = dict.fromkeys(("GITHUB_WEBHOOK_SECRET", "GITHUB_TOKEN", "CODEGEN_TOKEN", "API_TOKEN"), "hunter2")
    config = read_config(model, {**ALL, **secrets, "GITHUB_PRIVATE_KEY": PEM})
    assert "hunter2" not in repr(config)
    assert "hunter2" not in str(config)


def test_all_faults_are_reported_together() -> None:
    environ = {
        "DATABASE_URL": "mysql://me:hunter2@db",
        "REDIS_URL": "hunter2",
        "TASKS_QUEUE_URL": "hunter2",
        "GITHUB_PRIVATE_KEY": "hunter2",
        "LEASE_SECONDS": "hunter2",
        "MAX_ATTEMPTS": "1.5",
        "ENABLE_METRICS": "perhaps",
        "LOG_LEVEL": "hunter2",
        "BODIES_BUCKET": "",
    }
    with pytest.raises(ConfigError) as refused:
        read_config(ExecuteConfig, environ)
    message = str(refused.value)
    for fault in (
        "DATABASE_URL must start with postgresql://",
        "REDIS_URL must start with redis:// or rediss://",
        "TASKS_QUEUE_URL must start with http:// or https://",
        "GITHUB_PRIVATE_KEY must be a PEM private key",
        "LEASE_SECONDS must be a number of seconds",
        "MAX_ATTEMPTS must be a whole number",
        "ENABLE_METRICS must be true or false",
        "LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL",
        "BODIES_BUCKET is not set",
    ):
        assert fault in message
    assert "hunter2" not in message
    assert ".env.example" in message


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("postgresql+asyncpg://me:pw@db:5432/app", "postgresql://me:pw@db:5432/app"),
        ("postgresql+psycopg://db/app?sslmode=require", "postgresql://db/app?sslmode=require"),
        ("postgres://db/app", "postgresql://db/app"),
        ("postgresql://db/app", "postgresql://db/app"),
    ],
)
def test_addresses_of_other_tools_are_taken(given: str, url: str) -> None:
    assert read_config(MigrateConfig, {"DATABASE_URL": given}).database_url == url


def test_an_escaped_private_key_gets_its_lines_back() -> None:
    config = read_config(ExecuteConfig, {**ALL, "GITHUB_PRIVATE_KEY": PEM.replace("\n", "\\n")})
    assert config.github_private_key == PEM + "\n"


def test_values_are_read_as_what_they_are() -> None:
    environ = {
        **ALL,
        "ENABLE_METRICS": "No",
        "LOG_LEVEL": "debug",
        "MAX_ATTEMPTS": "3",
        "GITHUB_API_URL": "https://h/api/v3/",
    }
    config = read_config(ExecuteConfig, environ)
    assert (config.enable_metrics, config.log_level, config.max_attempts) == (False, "DEBUG", 3)
    assert config.github_url == "https://h/api/v3"
