"""CloudFront with a WAF in front of the API's own domain.

An HTTP API takes no WAF itself. The managed common rule set is left out: it refuses bodies over 8 KB, which is most
webhooks. https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
"""

from aws_cdk import CfnOutput, Environment, Stack
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.stages import Domain, Edge, Stage

# CloudFront looks for its WAF and its certificate there.
# https://docs.aws.amazon.com/waf/latest/developerguide/how-aws-waf-works-resources.html
REGION = "us-east-1"
# Of one address: GitHub's hooks share few, so this is well above what a busy organisation sends.
REQUESTS_PER_FIVE_MINUTES = 20_000


class EdgeStack(Stack):
    """The distribution and its web ACL."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, edge: Edge, domain: Domain) -> None:
        super().__init__(
            scope,
            construct_id,
            env=Environment(region=REGION),
            description="Webhook Orchestrator: CloudFront and WAF",
        )
        acl = waf.CfnWebACL(
            self,
            "Acl",
            scope="CLOUDFRONT",
            default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visibility(f"orchestrator-{stage.name}"),
            rules=[self._known_bad_addresses(), self._too_many_requests()],
        )
        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"Webhook Orchestrator {stage.name}",
            domain_names=[edge.name],
            certificate=acm.Certificate.from_certificate_arn(self, "Certificate", edge.certificate_arn),
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            web_acl_id=acl.attr_arn,
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.HttpOrigin(
                    domain.name,
                    protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
                    origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
                ),
                allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                # The signature is over the body; headers and query pass as they are, but for the host.
                origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
                compress=False,
            ),
        )
        acknowledge(distribution, "AwsSolutions-CFR1", "GitHub's hooks come from where GitHub is; the WAF has the say")
        acknowledge(distribution, "AwsSolutions-CFR3", "API Gateway writes an access log of what arrives")
        CfnOutput(self, "DistributionDomain", value=distribution.distribution_domain_name)

    def _known_bad_addresses(self) -> waf.CfnWebACL.RuleProperty:
        group = waf.CfnWebACL.ManagedRuleGroupStatementProperty(
            vendor_name="AWS", name="AWSManagedRulesAmazonIpReputationList"
        )
        return waf.CfnWebACL.RuleProperty(
            name="known-bad-addresses",
            priority=0,
            override_action=waf.CfnWebACL.OverrideActionProperty(none={}),
            statement=waf.CfnWebACL.StatementProperty(managed_rule_group_statement=group),
            visibility_config=_visibility("known-bad-addresses"),
        )

    def _too_many_requests(self) -> waf.CfnWebACL.RuleProperty:
        rate = waf.CfnWebACL.RateBasedStatementProperty(
            aggregate_key_type="IP", limit=REQUESTS_PER_FIVE_MINUTES, evaluation_window_sec=300
        )
        return waf.CfnWebACL.RuleProperty(
            name="too-many-requests",
            priority=1,
            action=waf.CfnWebACL.RuleActionProperty(block={}),
            statement=waf.CfnWebACL.StatementProperty(rate_based_statement=rate),
            visibility_config=_visibility("too-many-requests"),
        )


def _visibility(name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    return waf.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=True
    )
