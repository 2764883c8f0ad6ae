"""The way in: an HTTP API with throttling and an access log, by option under a domain of one's own.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api.html
"""

import json

from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.retention import log_group
from infra.stages import Domain, Stage

WEBHOOKS_PATH = "/api/v1/webhooks/{source}"

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
_ACCESS_LOG = {
    "time": "$context.requestTime",
    "request_id": "$context.requestId",
    "ip": "$context.identity.sourceIp",
    "user_agent": "$context.identity.userAgent",
    "route": "$context.routeKey",
    "path": "$context.path",
    "status": "$context.status",
    "size_bytes": "$context.responseLength",
    "latency_ms": "$context.responseLatency",
    "function_ms": "$context.integrationLatency",
    "error": "$context.error.message",
    "function_error": "$context.integrationErrorMessage",
}


class Api(Construct):
    """The HTTP API.

    Attributes:
        api: of API Gateway.
        stage_name: the one that is deployed.
        url: where it answers, without a slash at the end.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        ingest: lambda_.IFunction,
        everything_else: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        self.api = gateway.HttpApi(
            self,
            "Http",
            api_name=f"webhook-orchestrator-{stage.name}",
            description="Webhooks, REST API, health",
            create_default_stage=False,
            default_integration=integrations.HttpLambdaIntegration("Api", everything_else),
            # Behind a domain the address that API Gateway makes would be a way around it.
            disable_execute_api_endpoint=stage.domain is not None,
        )
        self.api.add_routes(
            path=WEBHOOKS_PATH,
            methods=[gateway.HttpMethod.POST],
            integration=integrations.HttpLambdaIntegration("Ingest", ingest),
        )
        group = log_group(self, "AccessLogs", stage)
        domain = self._domain(stage.domain) if stage.domain else None
        deployed = gateway.HttpStage(
            self,
            "Stage",
            http_api=self.api,
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=gateway.ThrottleSettings(
                rate_limit=stage.requests_per_second, burst_limit=2 * stage.requests_per_second
            ),
            domain_mapping=gateway.DomainMappingOptions(domain_name=domain) if domain else None,
        )
        resource = deployed.node.default_child
        if isinstance(resource, gateway.CfnStage):
            resource.access_log_settings = gateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=group.log_group_arn, format=json.dumps(_ACCESS_LOG)
            )
        self.stage_name = deployed.stage_name
        self.url = f"https://{stage.domain.name}" if stage.domain else self.api.api_endpoint
        acknowledge(
            self.api,
            "AwsSolutions-APIG4",
            "Webhooks carry an HMAC over their raw body, which an authorizer does not get; the API checks its bearer "
            "token itself, and /health and the documentation are public",
        )

    def _domain(self, domain: Domain) -> gateway.DomainName:
        zone = (
            route53.HostedZone.from_hosted_zone_attributes(
                self, "Zone", hosted_zone_id=domain.zone_id, zone_name=domain.zone_name
            )
            if domain.zone_id and domain.zone_name
            else None
        )
        certificate: acm.ICertificate
        if domain.certificate_arn:
            certificate = acm.Certificate.from_certificate_arn(self, "Certificate", domain.certificate_arn)
        else:
            certificate = acm.Certificate(
                self,
                "Certificate",
                domain_name=domain.name,
                validation=acm.CertificateValidation.from_dns(zone),
            )
        name = gateway.DomainName(
            self,
            "Domain",
            domain_name=domain.name,
            certificate=certificate,
            security_policy=gateway.SecurityPolicy.TLS_1_2,
        )
        if zone is not None:
            target = targets.ApiGatewayv2DomainProperties(name.regional_domain_name, name.regional_hosted_zone_id)
            for record in (route53.ARecord, route53.AaaaRecord):
                record(
                    self,
                    record.__name__,
                    zone=zone,
                    record_name=domain.name,
                    target=route53.RecordTarget.from_alias(target),
                )
        return name
