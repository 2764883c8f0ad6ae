"""Settings that rest in Secrets Manager on AWS: read once at a cold start, and laid over the environment.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/create_secret.html
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from shared.adapters.aws import AwsService
from shared.config import AwsConfig, ConfigError, read_config
from shared.domain.errors import Permanent, Transient

# Names (or ARNs) of secrets. The first is a JSON object whose members are settings (GITHUB_PRIVATE_KEY,
# CODEGEN_TOKEN, API_TOKEN ...), the second what RDS keeps for a database, the third ElastiCache's auth token.
SETTINGS_ID = "SETTINGS_SECRET_ID"
DATABASE_ID = "DATABASE_SECRET_ID"
REDIS_ID = "REDIS_SECRET_ID"


def read_managed(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment with what its secrets hold. Without such secrets it is returned as it is.

    Raises:
        ConfigError: when a secret cannot be read or is not what it should be; never with its value.
    """
    settings = dict(environ)
    if not any(environ.get(name) for name in (SETTINGS_ID, DATABASE_ID, REDIS_ID)):
        return settings
    aws = read_config(AwsConfig, environ)
    service = AwsService("secretsmanager", aws.region, aws.endpoint)
    try:
        if settings_id := environ.get(SETTINGS_ID):
            given = _read_object(service, settings_id)
            settings |= {name: str(value) for name, value in given.items() if value not in {None, ""}}
        if database_id := environ.get(DATABASE_ID):
            settings["DATABASE_URL"] = _database_url(_read_object(service, database_id))
        if redis_id := environ.get(REDIS_ID):
            settings["REDIS_URL"] = _with_password(environ.get("REDIS_URL", ""), _read(service, redis_id))
    finally:
        service.close()
    return settings


def _read(service: AwsService, secret_id: str) -> str:
    try:
        answer = service.call("secretsmanager.GetSecretValue", {"SecretId": secret_id}, version="1.1")
    except (Transient, Permanent) as error:
        raise ConfigError(f"the secret {secret_id} cannot be read: {error}") from error
    return str(answer["SecretString"])


def _read_object(service: AwsService, secret_id: str) -> dict[str, Any]:
    try:
        value = json.loads(_read(service, secret_id))
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ConfigError(f"the secret {secret_id} must be a JSON object")
    return value


def _database_url(secret: Mapping[str, Any]) -> str:
    try:
        user, password = quote(str(secret["username"]), safe=""), quote(str(secret["password"]), safe="")
        # `sslmode` is a member of ours: RDS refuses what is not encrypted, a laptop's Postgres knows no TLS.
        return (
            f"postgresql://{user}:{password}@{secret['host']}:{secret.get('port', 5432)}"
            f"/{secret.get('dbname', 'orchestrator')}?sslmode={secret.get('sslmode', 'require')}"
        )
    except KeyError as error:
        raise ConfigError(f"the database's secret lacks {error}") from None


def _with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f":{quote(password, safe='')}@{parts.netloc}"))
