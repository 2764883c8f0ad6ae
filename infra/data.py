"""Data: what must outlive the code. Database, cache, secrets."""

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from infra.cache import Cache
from infra.database import Database
from infra.network import NetworkStack
from infra.secrets import generated_secret, secret_arn
from infra.stages import Stage

# Members that an operator fills in. The text must never change: CloudFormation would generate the secret anew.
_CREDENTIALS = '{"GITHUB_TOKEN":"","GITHUB_APP_ID":"","GITHUB_PRIVATE_KEY":"","CODEGEN_TOKEN":"","CODEGEN_ORG_ID":""}'


class DataStack(Stack):
    """Database, cache and secrets.

    Attributes:
        database: Postgres.
        cache: Valkey.
        webhook_secret_arn: what webhooks are verified with; its previous version is accepted too.
        credentials_secret_arn: GitHub's and Codegen's, for route and execute.
        api_secret_arn: the API's token, for the API alone.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, network: NetworkStack) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Webhook Orchestrator: data",
            termination_protection=stage.is_durable,
        )
        self.database = Database(self, "Database", stage=stage, network=network)
        self.cache = Cache(self, "Cache", stage=stage, network=network)
        webhook = generated_secret(self, "WebhookSecret", stage, "verifies GitHub's webhooks")
        credentials = generated_secret(
            self,
            "CredentialsSecret",
            stage,
            "who acts on GitHub and Codegen",
            template=_CREDENTIALS,
            generated_member="SECRET_KEY",
        )
        api = generated_secret(
            self, "ApiSecret", stage, "the API's bearer token", template="{}", generated_member="API_TOKEN"
        )
        self.webhook_secret_arn = secret_arn(webhook)
        self.credentials_secret_arn = secret_arn(credentials)
        self.api_secret_arn = secret_arn(api)
        for name, arn in (
            ("WebhookSecretArn", self.webhook_secret_arn),
            ("CredentialsSecretArn", self.credentials_secret_arn),
            ("ApiSecretArn", self.api_secret_arn),
        ):
            CfnOutput(self, f"{name}Output", value=arn)
