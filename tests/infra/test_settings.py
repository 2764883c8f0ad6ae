"""The bridge: what the templates give the functions is what the functions ask for."""

import json
from dataclasses import fields
from typing import Any

import pytest

from shared import config
from shared.adapters import managed_settings
from shared.local import queues, workers
from tests.support.templates import Deployment, Resource

MODELS: dict[str, type[config.ObservabilityConfig]] = {
    "ingest": config.IngestConfig,
    "route": config.RouteConfig,
    "execute": config.ExecuteConfig,
    "reconcile": config.ReconcileConfig,
    "bury": config.BuryConfig,
    "api": config.ApiConfig,
    "migrate": config.MigrateConfig,
}
SECRET_IDS = {managed_settings.SETTINGS_ID, managed_settings.DATABASE_ID, managed_settings.REDIS_ID}
# What RDS writes into the secret when it is attached to the instance.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secrettargetattachment.html
ATTACHED = {"host": "database.example.com", "port": 5432, "engine": "postgres"}
PUBLISHED = ("dev", "prod")


def find_function(deployment: Deployment, name: str) -> Resource:
    (found,) = (
        each
        for each in deployment.list_resources("AWS::Lambda::Function")
        if each.properties["Handler"] == f"functions.{name}.handler.handle"
    )
    return found


def render(value: object, deployment: Deployment) -> str:
    """Returns what CloudFormation would make of ``value``, each resource as its logical id."""
    if isinstance(value, str):
        return value
    assert isinstance(value, dict)
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator.join(render(part, deployment) for part in parts))
    stack, logical_id = deployment.follow(value, "app")
    resource = deployment.templates[stack]["Resources"][logical_id]
    if resource["Type"] == "AWS::SQS::Queue":
        return f"https://sqs.example.com/{logical_id}"
    if resource["Type"] == "AWS::ElastiCache::ReplicationGroup":
        return "6379" if "PrimaryEndPointPort" in json.dumps(value) else "cache.example.com"
    return f"{stack}/{logical_id}"


def read_environment(deployment: Deployment, name: str) -> dict[str, str]:
    variables = find_function(deployment, name).properties["Environment"]["Variables"]
    return {key: render(value, deployment) for key, value in variables.items()}


class StandInSecrets:
    """Secrets Manager, holding what the templates' secrets hold once they are made."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def call(self, _target: str, parameters: dict[str, str], version: str) -> dict[str, Any]:
        assert version == "1.1"
        stack, _, logical_id = parameters["SecretId"].partition("/")
        generator = self._deployment.templates[stack]["Resources"][logical_id]["Properties"]["GenerateSecretString"]
        if "SecretStringTemplate" not in generator:
            return {"SecretString": "Generated1"}
        members = json.loads(generator["SecretStringTemplate"]) | {generator["GenerateStringKey"]: "Generated1"}
        return {"SecretString": json.dumps(members | (ATTACHED if "dbname" in members else {}))}

    def close(self) -> None:
        pass


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("stage", PUBLISHED)
def test_every_function_can_read_its_settings(
    stage: str, name: str, deployments: dict[str, Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = deployments[stage]
    monkeypatch.setattr(managed_settings, "AwsService", lambda *_: StandInSecrets(deployment))

    given = managed_settings.read_managed(read_environment(deployment, name))
    settings = config.read_config(MODELS[name], given)

    assert settings.environment == stage
    if "DATABASE_URL" in given:
        assert given["DATABASE_URL"] == (
            "postgresql://orchestrator:Generated1@database.example.com:5432/orchestrator?sslmode=require"
        )
    if "REDIS_URL" in given:
        assert given["REDIS_URL"] == "rediss://:Generated1@cache.example.com:6379/0"


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("stage", PUBLISHED)
def test_no_function_is_given_a_setting_that_it_does_not_know(
    stage: str, name: str, deployments: dict[str, Deployment]
) -> None:
    given = set(read_environment(deployments[stage], name))

    assert given <= {each.metadata["name"] for each in fields(MODELS[name])} | SECRET_IDS


def test_the_operator_fills_in_settings_that_execute_knows(deployments: dict[str, Deployment]) -> None:
    (secret,) = (
        each
        for each in deployments["prod"].list_resources("AWS::SecretsManager::Secret")
        if each.id.startswith("CredentialsSecret")
    )
    members = set(json.loads(secret.properties["GenerateSecretString"]["SecretStringTemplate"]))

    assert members
    assert members <= {each.metadata["name"] for each in fields(config.ExecuteConfig)}


@pytest.mark.parametrize("name", list(MODELS))
def test_every_function_may_read_the_secrets_that_it_is_given_and_no_other(
    name: str, deployments: dict[str, Deployment]
) -> None:
    deployment = deployments["prod"]
    function = find_function(deployment, name)
    _, role = deployment.follow(function.properties["Role"], "app")
    given = {value for key, value in read_environment(deployment, name).items() if key.endswith("_SECRET_ID")}

    allowed = set()
    for policy in deployment.list_resources("AWS::IAM::Policy", "app"):
        if policy.properties["Roles"] == [{"Ref": role}]:
            for statement in policy.properties["PolicyDocument"]["Statement"]:
                if statement["Action"] == "secretsmanager:GetSecretValue":
                    resources = statement["Resource"]
                    allowed |= {
                        "/".join(deployment.follow(each, "app"))
                        for each in (resources if isinstance(resources, list) else [resources])
                    }
    assert given == allowed


def test_the_queues_are_those_of_the_local_stack(deployment: Deployment) -> None:
    found = {each.id: each.properties for each in deployment.list_resources("AWS::SQS::Queue")}
    visibility = {"Deliveries": queues.DELIVERIES_VISIBILITY_SECONDS, "Tasks": queues.TASKS_VISIBILITY_SECONDS}

    assert len(found) == 4
    for name, properties in found.items():
        kind = "Deliveries" if name.startswith("Deliveries") else "Tasks"
        assert properties["VisibilityTimeout"] == visibility[kind]
        assert properties["MessageRetentionPeriod"] == queues.RETENTION_SECONDS
        assert properties["MaximumMessageSize"] == queues.MAX_MESSAGE_BYTES
        if "RedrivePolicy" in properties:
            assert properties["RedrivePolicy"]["maxReceiveCount"] == queues.MAX_RECEIVE_COUNT
        if kind == "Deliveries":
            assert properties["FifoQueue"] is True
            assert queues.HIGH_THROUGHPUT_FIFO.items() <= properties.items()
        else:
            assert "FifoQueue" not in properties


def test_timeouts_are_those_of_the_local_stack(deployment: Deployment) -> None:
    timeouts = {name: find_function(deployment, name).properties["Timeout"] for name in MODELS}

    assert timeouts["route"] == workers.ROUTE_TIMEOUT_SECONDS
    assert timeouts["execute"] == workers.EXECUTE_TIMEOUT_SECONDS
    assert timeouts["bury"] == workers.BURY_TIMEOUT_SECONDS
    assert timeouts["reconcile"] == workers.RECONCILE_TIMEOUT_SECONDS


def test_a_task_is_leased_for_longer_than_execute_may_take(deployment: Deployment) -> None:
    lease = next(each.default for each in fields(config.ExecuteConfig) if each.name == "lease_seconds")

    assert lease > find_function(deployment, "execute").properties["Timeout"]
