"""What no emulator shows, besides what the other modules assert: flow logs and the WAF."""

from tests.support.templates import Deployment


def test_what_the_network_carries_or_refuses_is_logged(deployment: Deployment) -> None:
    (network,) = deployment.list_resources("AWS::EC2::VPC")
    (flows,) = deployment.list_resources("AWS::EC2::FlowLog")
    groups = {each.id: each.properties for each in deployment.list_resources("AWS::Logs::LogGroup", "network")}

    assert flows.properties["ResourceId"] == {"Ref": network.id}
    assert flows.properties["TrafficType"] == ("ALL" if deployment.stage.is_durable else "REJECT")
    assert groups[flows.properties["LogGroupName"]["Ref"]]["RetentionInDays"] == deployment.stage.log_days


def test_the_waf_stands_before_the_edge_and_reads_no_bodies(deployments: dict[str, Deployment]) -> None:
    (acl,) = deployments["full"].list_resources("AWS::WAFv2::WebACL")
    (distribution,) = deployments["full"].list_resources("AWS::CloudFront::Distribution")
    statements = [rule["Statement"] for rule in acl.properties["Rules"]]
    managed = {each["ManagedRuleGroupStatement"]["Name"] for each in statements if "ManagedRuleGroupStatement" in each}

    assert distribution.properties["DistributionConfig"]["WebACLId"] == {"Fn::GetAtt": [acl.id, "Arn"]}
    # The common rule set would refuse bodies over 8 KB: most webhooks.
    assert managed == {"AWSManagedRulesAmazonIpReputationList"}
    assert [each["RateBasedStatement"]["AggregateKeyType"] for each in statements if "RateBasedStatement" in each] == [
        "IP"
    ]
