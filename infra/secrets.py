"""Secrets: made by Secrets Manager, never in a template.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/best-practices.html
"""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.stages import Stage

CHARACTERS = 48


def generated_secret(
    scope: Construct,
    name: str,
    stage: Stage,
    description: str,
    *,
    template: str | None = None,
    generated_member: str | None = None,
) -> secretsmanager.Secret:
    """Returns a secret of letters and digits: it goes into headers, addresses and Valkey's AUTH alike.

    Args:
        scope: where it belongs.
        name: in the stack.
        stage: of the stack.
        description: for the person who looks at it.
        template: a JSON object; without it the secret is the plain string.
        generated_member: the member of ``template`` that is generated.
    """
    secret = secretsmanager.Secret(
        scope,
        name,
        description=f"Webhook Orchestrator {stage.name}: {description}",
        generate_secret_string=secretsmanager.SecretStringGenerator(
            # Of punctuation, ministack honours this one only by its characters.
            exclude_punctuation=True,
            password_length=CHARACTERS,
            secret_string_template=template,
            generate_string_key=generated_member,
        ),
        removal_policy=RemovalPolicy.RETAIN if stage.is_durable else RemovalPolicy.DESTROY,
    )
    acknowledge(
        secret,
        "AwsSolutions-SMG4",
        "The other side of it is GitHub's, Codegen's or a running server's to change: docs/operations.md tells how",
    )
    return secret


def secret_arn(secret: secretsmanager.ISecret) -> str:
    """Returns the whole ARN, which a policy can name without a wildcard.

    ``Ref`` returns it too, but not on every emulator of CloudFormation.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html
    """
    resource = secret.node.default_child
    if not isinstance(resource, secretsmanager.CfnSecret):
        raise TypeError(f"{secret.node.path} is not a secret of this stack")
    return resource.attr_id
