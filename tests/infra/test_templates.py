"""What hurts when it is forgotten, asserted over every resource of every template."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from infra.queues import RETENTION
from infra.stages import STAGES
from tests.support.templates import Deployment, make_app, read_deployments

# Statements that name no single resource, each with its reason.
WILDCARDS = {
    ("xray:PutTelemetryRecords", "xray:PutTraceSegments"): "X-Ray's actions know no resources",
    ("s3:GetObject",): "a body's key is made of its delivery's id",
    ("s3:PutObject",): "a body's key is made of its delivery's id",
    ("lambda:InvokeFunction",): "the versions of one function",
}


def list_statements(deployment: Deployment) -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in deployment.list_resources():
        for document in find_values(resource.properties, "PolicyDocument"):
            for statement in document["Statement"]:
                yield f"{resource.stack}/{resource.id}", statement


def find_values(value: object, key: str) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name == key:
                yield each
            yield from find_values(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from find_values(each, key)


def listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def ends(resource: object) -> str:
    if isinstance(resource, dict) and "Fn::Join" in resource:
        return ends(resource["Fn::Join"][1][-1])
    return resource if isinstance(resource, str) else ""


def test_no_policy_has_a_wildcard_without_a_written_reason(deployment: Deployment) -> None:
    unexplained = [
        (where, statement)
        for where, statement in list_statements(deployment)
        if statement["Effect"] == "Allow"
        and any(ends(each).endswith("*") for each in listed(statement.get("Resource", [])))
        and tuple(listed(statement["Action"])) not in WILDCARDS
    ]

    assert unexplained == []


def test_no_policy_allows_actions_by_wildcard(deployment: Deployment) -> None:
    allowed = [
        action
        for _, statement in list_statements(deployment)
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
    ]

    assert allowed
    assert [action for action in allowed if "*" in action] == []


def test_no_policy_lets_everybody_in(deployment: Deployment) -> None:
    open_to_all = [
        where
        for where, statement in list_statements(deployment)
        if statement["Effect"] == "Allow" and statement.get("Principal") in ("*", {"AWS": "*"})
    ]

    assert open_to_all == []


def test_each_function_has_a_role_of_its_own(deployment: Deployment) -> None:
    roles = [json.dumps(each.properties["Role"]) for each in deployment.list_resources("AWS::Lambda::Function")]

    assert roles
    assert len(set(roles)) == len(roles)


def test_the_api_may_send_tasks_and_read_its_secrets_and_no_more(deployment: Deployment) -> None:
    allowed = {
        action: [each.get("Fn::GetAtt", [""])[0] for each in listed(statement["Resource"]) if isinstance(each, dict)]
        for policy in deployment.list_resources("AWS::IAM::Policy")
        if policy.id.startswith("FunctionsApi")
        for statement in policy.properties["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
    }
    queues = {each.id for each in deployment.list_resources("AWS::SQS::Queue")}

    assert {action for action in allowed if not action.startswith(("logs:", "xray:"))} == {
        "secretsmanager:GetSecretValue",
        "sqs:GetQueueAttributes",
        "sqs:SendMessage",
    }
    for action in ("sqs:GetQueueAttributes", "sqs:SendMessage"):
        [queue] = allowed[action]
        assert queue in queues
        assert re.fullmatch("Tasks[0-9A-F]{8}", queue), queue


def test_managed_policies_are_those_for_networks_and_cdk_s_own_function(deployment: Deployment) -> None:
    names = {
        ends(arn).rpartition("/")[2]: role.id
        for role in deployment.list_resources("AWS::IAM::Role")
        for arn in role.properties.get("ManagedPolicyArns", [])
    }

    assert set(names) == {"AWSLambdaVPCAccessExecutionRole", "AWSLambdaBasicExecutionRole"}
    assert names["AWSLambdaBasicExecutionRole"].startswith("MigrationProvider")


def test_no_data_store_is_public(deployment: Deployment) -> None:
    databases = deployment.list_resources("AWS::RDS::DBInstance")
    buckets = deployment.list_resources("AWS::S3::Bucket")

    assert [each.properties["PubliclyAccessible"] for each in databases] == [False]
    for bucket in buckets:
        assert set(bucket.properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert "AccessControl" not in bucket.properties


def test_nothing_may_be_entered_from_an_address(deployment: Deployment) -> None:
    rules = deployment.list_resources("AWS::EC2::SecurityGroupIngress")
    inline = [
        rule
        for group in deployment.list_resources("AWS::EC2::SecurityGroup")
        for rule in group.properties.get("SecurityGroupIngress", [])
    ]

    given = [each.properties for each in rules] + inline
    assert given
    assert [rule for rule in given if "SourceSecurityGroupId" not in rule] == []


def test_functions_leave_only_for_the_database_the_cache_and_https(deployment: Deployment) -> None:
    groups = {"Recording": {443, 5432}, "Acting": {443, 5432, 6379}}
    for name, ports in groups.items():
        rules = [
            each.properties
            for each in deployment.list_resources("AWS::EC2::SecurityGroupEgress")
            if each.properties["GroupId"]["Fn::GetAtt"][0].startswith(name)
        ]

        assert {rule["FromPort"] for rule in rules} == ports
        assert {rule["FromPort"] for rule in rules if "CidrIp" in rule} == {443}


def test_data_is_encrypted_at_rest_and_on_the_way(deployment: Deployment) -> None:
    (database,) = deployment.list_resources("AWS::RDS::DBInstance")
    (cache,) = deployment.list_resources("AWS::ElastiCache::ReplicationGroup")
    (parameters,) = deployment.list_resources("AWS::RDS::DBParameterGroup")
    buckets = deployment.list_resources("AWS::S3::Bucket")

    assert database.properties["StorageEncrypted"] is True
    assert parameters.properties["Parameters"]["rds.force_ssl"] == "1"
    assert cache.properties["TransitEncryptionEnabled"] is True
    assert cache.properties["AtRestEncryptionEnabled"] is True
    assert all("BucketEncryption" in each.properties for each in buckets)
    for proxy in deployment.list_resources("AWS::RDS::DBProxy"):
        assert proxy.properties["RequireTLS"] is True


def test_buckets_queues_and_topics_refuse_what_is_not_tls(deployment: Deployment) -> None:
    guarded = set()
    for kind, owners in (
        ("SQS::QueuePolicy", "Queues"),
        ("S3::BucketPolicy", "Bucket"),
        ("SNS::TopicPolicy", "Topics"),
    ):
        for policy in deployment.list_resources(f"AWS::{kind}"):
            for statement in policy.properties["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Deny" and statement.get("Condition") == {
                    "Bool": {"aws:SecureTransport": "false"}
                }:
                    guarded |= {each["Ref"] for each in listed(policy.properties[owners])}

    owned = {
        each.id
        for kind in ("AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::SNS::Topic")
        for each in deployment.list_resources(kind)
    }
    assert owned
    assert owned <= guarded


def test_no_secret_is_in_clear(deployment: Deployment) -> None:
    (database,) = deployment.list_resources("AWS::RDS::DBInstance")
    (cache,) = deployment.list_resources("AWS::ElastiCache::ReplicationGroup")
    variables = [
        name
        for function in deployment.list_resources("AWS::Lambda::Function")
        for name in function.properties["Environment"]["Variables"]
    ]

    for value in (database.properties["MasterUserPassword"], cache.properties["AuthToken"]):
        assert "{{resolve:secretsmanager:" in json.dumps(value)
    for secret in deployment.list_resources("AWS::SecretsManager::Secret"):
        assert "SecretString" not in secret.properties
        given = json.loads(secret.properties["GenerateSecretString"].get("SecretStringTemplate", "{}"))
        assert {key for key, value in given.items() if value} <= {"username", "dbname"}
    assert [
        name for name in variables if re.search("SECRET|TOKEN|PASSWORD|KEY", name) and not name.endswith("_ID")
    ] == []


def test_every_queue_has_its_dead_letter_queue_or_is_one(deployment: Deployment) -> None:
    queues = {each.id: each for each in deployment.list_resources("AWS::SQS::Queue")}
    redrives = {name: each.properties.get("RedrivePolicy") for name, each in queues.items()}
    dead = {
        name: redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for name, redrive in redrives.items()
        if redrive is not None
    }

    assert dead
    assert set(queues) == set(dead) | set(dead.values())
    for name, letter in dead.items():
        assert queues[name].properties.get("FifoQueue") == queues[letter].properties.get("FifoQueue")


def test_every_queue_is_encrypted_and_takes_the_largest_message(deployment: Deployment) -> None:
    for queue in deployment.list_resources("AWS::SQS::Queue"):
        assert queue.properties["SqsManagedSseEnabled"] is True
        assert queue.properties["MaximumMessageSize"] == 1_048_576
        assert queue.properties["MessageRetentionPeriod"] == RETENTION.to_seconds()


def test_every_event_source_leaves_time_and_reports_single_failures(deployment: Deployment) -> None:
    resources = {(each.stack, each.id): each for each in deployment.list_resources()}
    sources = deployment.list_resources("AWS::Lambda::EventSourceMapping")

    assert sources
    for source in sources:
        queue = resources[deployment.follow(source.properties["EventSourceArn"], source.stack)]
        function = resources[deployment.follow(source.properties["FunctionName"], source.stack)]
        assert queue.properties["VisibilityTimeout"] >= 6 * function.properties["Timeout"]
        assert source.properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert source.properties["ScalingConfig"]["MaximumConcurrency"] >= 2


def test_reserved_concurrency_serves_every_event_source(deployment: Deployment) -> None:
    reserved = {
        each.id: each.properties.get("ReservedConcurrentExecutions")
        for each in deployment.list_resources("AWS::Lambda::Function")
        if not each.id.startswith("MigrationProvider")
    }
    wanted: dict[str, int] = {}
    for source in deployment.list_resources("AWS::Lambda::EventSourceMapping"):
        _, function = deployment.follow(source.properties["FunctionName"], source.stack)
        wanted[function] = wanted.get(function, 0) + source.properties["ScalingConfig"]["MaximumConcurrency"]

    assert all(reserved.values())
    assert {name: count for name, count in wanted.items() if reserved[name] != count} == {}


def test_every_log_group_has_a_retention_and_every_function_a_log_group(deployment: Deployment) -> None:
    groups = deployment.list_resources("AWS::Logs::LogGroup")

    assert groups
    assert [each.id for each in groups if not each.properties.get("RetentionInDays")] == []
    kept = {(each.stack, each.id) for each in groups}
    for function in deployment.list_resources("AWS::Lambda::Function"):
        logging = function.properties["LoggingConfig"]
        assert logging["LogFormat"] == "JSON"
        assert deployment.follow(logging["LogGroup"], function.stack) in kept


def test_no_resource_makes_log_groups_behind_the_templates_back(deployment: Deployment) -> None:
    (database,) = deployment.list_resources("AWS::RDS::DBInstance")

    assert "EnableCloudwatchLogsExports" not in database.properties
    assert "MonitoringInterval" not in database.properties
    assert deployment.list_resources("Custom::LogRetention") == []


def test_who_reads_bodies_is_told_when_there_is_none(deployment: Deployment) -> None:
    readers, listers = (
        {owner for owner, statement in list_statements(deployment) if action in listed(statement["Action"])}
        for action in ("s3:GetObject", "s3:ListBucket")
    )

    assert readers
    assert readers <= listers, "S3 answers 403 instead of 404, as if a right were missing"


def test_functions_are_traced_and_run_on_arm(deployment: Deployment) -> None:
    functions = [
        each
        for each in deployment.list_resources("AWS::Lambda::Function")
        if not each.id.startswith("MigrationProvider")
    ]

    assert len(functions) == 7
    for function in functions:
        assert function.properties["TracingConfig"] == {"Mode": "Active"}
        assert function.properties["Architectures"] == ["arm64"]
        assert function.properties["Runtime"] == "python3.13"


def test_ingest_is_outside_the_network_and_no_other(deployment: Deployment) -> None:
    outside = [
        each.properties["Handler"]
        for each in deployment.list_resources("AWS::Lambda::Function")
        if "VpcConfig" not in each.properties
    ]

    assert sorted(outside) == ["framework.onEvent", "functions.ingest.handler.handle"]


def test_the_schema_comes_before_the_code_that_needs_it(deployment: Deployment) -> None:
    (migration,) = deployment.list_resources("Custom::Migration")
    needing = [
        each
        for each in deployment.list_resources("AWS::Lambda::Function")
        if "DATABASE_SECRET_ID" in each.properties["Environment"]["Variables"]
        and each.properties["Handler"] != "functions.migrate.handler.handle"
    ]

    assert migration.properties["Code"] == "code"
    assert len(needing) == 5
    assert all(migration.id in each.document["DependsOn"] for each in needing)


def test_the_api_is_throttled_and_logged(deployment: Deployment) -> None:
    (stage,) = deployment.list_resources("AWS::ApiGatewayV2::Stage")
    settings = stage.properties["DefaultRouteSettings"]

    assert settings["ThrottlingRateLimit"] == deployment.stage.requests_per_second
    assert settings["ThrottlingBurstLimit"] > 0
    written = json.loads(stage.properties["AccessLogSettings"]["Format"])
    assert {"$context.requestId", "$context.status", "$context.routeKey"} <= set(written.values())


def test_webhooks_go_to_ingest_and_everything_else_to_the_api(deployment: Deployment) -> None:
    resources = {each.id: each for each in deployment.list_resources(stack="app")}
    handlers = {}
    for route in deployment.list_resources("AWS::ApiGatewayV2::Route"):
        integration = resources[route.properties["Target"]["Fn::Join"][1][1]["Ref"]]
        _, function = deployment.follow(integration.properties["IntegrationUri"], "app")
        handlers[route.properties["RouteKey"]] = resources[function].properties["Handler"]
        assert integration.properties["PayloadFormatVersion"] == "2.0"

    assert handlers == {
        "POST /api/v1/webhooks/{source}": "functions.ingest.handler.handle",
        "$default": "functions.api.handler.handle",
    }


def test_a_durable_stage_survives_a_zone_and_a_mistake(deployments: dict[str, Deployment]) -> None:
    for name in ("prod", "full"):
        (database,) = deployments[name].list_resources("AWS::RDS::DBInstance")
        (cache,) = deployments[name].list_resources("AWS::ElastiCache::ReplicationGroup")

        assert database.properties["MultiAZ"] is True
        assert database.properties["DeletionProtection"] is True
        assert database.properties["BackupRetentionPeriod"] >= 14
        assert database.properties["EnablePerformanceInsights"] is True
        assert database.document["DeletionPolicy"] == "Snapshot"
        assert cache.properties["AutomaticFailoverEnabled"] is True
        kept = [
            each
            for each in deployments[name].list_resources()
            if each.type in {"AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SecretsManager::Secret"}
            and "DatabaseSecret" not in each.id
        ]
        assert {each.document["DeletionPolicy"] for each in kept} == {"Retain"}


def test_development_has_one_way_out_and_it_is_an_instance(deployments: dict[str, Deployment]) -> None:
    dev, prod = deployments["dev"], deployments["prod"]

    assert dev.list_resources("AWS::EC2::NatGateway") == []
    (instance,) = dev.list_resources("AWS::EC2::Instance")
    assert instance.properties["InstanceType"] == "t4g.nano"
    assert len(prod.list_resources("AWS::EC2::NatGateway")) == 2
    assert prod.list_resources("AWS::EC2::Instance") == []


def test_options_bring_their_resources(deployments: dict[str, Deployment]) -> None:
    full, prod = deployments["full"], deployments["prod"]
    optional = (
        "AWS::RDS::DBProxy",
        "AWS::WAFv2::WebACL",
        "AWS::CloudFront::Distribution",
        "AWS::ApiGatewayV2::DomainName",
        "AWS::Route53::RecordSet",
        "AWS::SNS::Subscription",
    )

    assert [kind for kind in optional if not full.list_resources(kind)] == []
    assert [kind for kind in optional if prod.list_resources(kind)] == []
    (database,) = full.list_resources("AWS::RDS::DBInstance")
    assert database.properties["AutomaticBackupReplicationRegion"] == "eu-central-1"
    (api,) = full.list_resources("AWS::ApiGatewayV2::Api")
    assert api.properties["DisableExecuteApiEndpoint"] is True


def test_nothing_is_looked_up_and_no_account_is_named(synthesis: tuple[App, Path], deployment: Deployment) -> None:
    manifest = json.loads((synthesis[1] / "cdk.out" / "manifest.json").read_text("utf-8"))

    assert not manifest.get("missing")
    written = json.dumps({name: each for name, each in deployment.templates.items() if name != "edge"})
    assert "dummy" not in written
    assert [each for each in re.findall(r"\b\d{12}\b", written) if each != "111122223333"] == []


@pytest.mark.parametrize("name", list(STAGES))
def test_the_same_input_makes_the_same_templates(name: str, tmp_path: Path, deployments: dict[str, Deployment]) -> None:
    stage = STAGES[name]
    make_app(tmp_path, [stage]).synth()

    assert read_deployments(tmp_path, [stage])[name].templates == deployments[name].templates
