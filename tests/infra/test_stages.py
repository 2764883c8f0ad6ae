"""Stages: what cannot work is refused, and what development costs is stated."""

import dataclasses
import json
from typing import Any

import pytest
from aws_cdk import App

from infra.app import choose_stages
from infra.stages import DEV_IDLE_DOLLARS, IDLE_LIMIT_DOLLARS, STAGES, BackupCopy, Domain, Edge
from tests.support.templates import ROOT, Deployment

DOMAIN = Domain(name="hooks.example.com", certificate_arn="arn:aws:acm:eu-central-1:111122223333:certificate/0")
EDGE = Edge(name="edge.example.com", certificate_arn="arn:aws:acm:us-east-1:111122223333:certificate/0")


@pytest.mark.parametrize(
    ("name", "changes", "complaint"),
    [
        ("dev", {"edge": EDGE}, "own domain"),
        ("dev", {"backup_copy": BackupCopy(region="eu-central-1", kms_key_arn="arn")}, "durable"),
        ("prod", {"database_connections": 100}, "connections"),
    ],
)
def test_a_stage_that_could_not_work_is_refused(name: str, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(STAGES[name], **changes)


def test_the_workers_know_how_many_they_are_and_are_fewer_than_github_serves_at_once(deployment: Deployment) -> None:
    (execute,) = (
        each
        for each in deployment.list_resources("AWS::Lambda::Function")
        if each.properties["Handler"] == "functions.execute.handler.handle"
    )

    workers = deployment.stage.concurrency.execute
    assert execute.properties["Environment"]["Variables"]["WORKERS"] == str(workers)
    # https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
    assert workers < 100


def test_a_proxy_stands_for_connections_that_the_database_lacks() -> None:
    stage = dataclasses.replace(STAGES["prod"], database_connections=100, database_proxy=True)

    assert stage.concurrency.connections > stage.database_connections


@pytest.mark.parametrize("given", [{}, {"zone_id": "Z1"}, {"zone_name": "example.com"}])
def test_a_domain_that_nothing_vouches_for_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="zone"):
        Domain(name="hooks.example.com", **given)


def test_an_edge_in_front_of_a_domain_is_a_stage() -> None:
    assert dataclasses.replace(STAGES["dev"], domain=DOMAIN, edge=EDGE).edge is EDGE


def test_without_a_choice_every_stage_is_written() -> None:
    assert choose_stages(App()) == list(STAGES.values())


def test_the_context_chooses_a_stage_and_its_options() -> None:
    context = {"stage": "dev", "alarm_email": "ops@example.com", "reserve_concurrency": "false"}

    (stage,) = choose_stages(App(context=context))

    assert stage.name == "dev"
    assert stage.alarm_email == "ops@example.com"
    assert stage.reserve_concurrency is False


def test_an_unknown_stage_is_told_by_name() -> None:
    with pytest.raises(ValueError, match="no stage staging: choose one of dev, prod"):
        choose_stages(App(context={"stage": "staging"}))


def test_development_s_idle_month_stays_under_its_limit() -> None:
    assert sum(DEV_IDLE_DOLLARS.values()) < IDLE_LIMIT_DOLLARS


def test_the_stated_cost_is_of_what_is_deployed(deployments: dict[str, Deployment]) -> None:
    dev = deployments["dev"]
    metrics = sum(
        sum("MetricStat" in query for query in alarm.properties["Metrics"]) if "Metrics" in alarm.properties else 1
        for alarm in dev.list_resources("AWS::CloudWatch::Alarm")
    )
    (database,) = dev.list_resources("AWS::RDS::DBInstance")
    (cache,) = dev.list_resources("AWS::ElastiCache::ReplicationGroup")

    assert DEV_IDLE_DOLLARS["alarms, 0.10 a metric"] == pytest.approx(0.10 * metrics)
    assert DEV_IDLE_DOLLARS["five secrets"] == 0.40 * len(dev.list_resources("AWS::SecretsManager::Secret"))
    assert database.properties["DBInstanceClass"] == "db.t4g.micro"
    assert database.properties["AllocatedStorage"] == "20"
    assert cache.properties["CacheNodeType"] == "cache.t4g.micro"
    assert cache.properties["NumCacheClusters"] == 1
    # Each of these is paid by the hour and is not in the sum.
    for kind in ("AWS::EC2::NatGateway", "AWS::RDS::DBProxy", "AWS::WAFv2::WebACL", "AWS::KMS::Key"):
        assert dev.list_resources(kind) == []
    endpoints = {each.properties["VpcEndpointType"] for each in dev.list_resources("AWS::EC2::VPCEndpoint")}
    assert endpoints == {"Gateway"}
    assert len(dev.list_resources("AWS::CloudWatch::Dashboard")) == 1


def test_the_command_line_of_cdk_is_pinned() -> None:
    wanted = json.loads((ROOT / "package.json").read_text("utf-8"))["devDependencies"]["aws-cdk"]
    locked = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]["node_modules/aws-cdk"]

    assert wanted == locked["version"]
    assert wanted.startswith("2.")
    assert "resolved" not in locked
