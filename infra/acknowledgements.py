"""Written reasons: what a rule of cdk-nag forbids and this bundle does all the same.

https://github.com/cdklabs/cdk-nag/blob/main/RULES.md
"""

from aws_cdk import Acknowledgment, CfnElement, Stack, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Acknowledges ``rule``'s finding on ``construct`` and what it contains."""
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))


def acknowledge_wildcard(construct: IConstruct, reason: str, of: IConstruct | None = None, suffix: str = "") -> None:
    """Acknowledges a wildcard in a policy of ``construct``.

    Args:
        construct: whose policy it is.
        reason: why it cannot be narrower.
        of: the resource whose ARN is followed by a wildcard, or None for ``*`` alone.
        suffix: what follows the ARN, ``/*``.
    """
    resource = "*"
    if of is not None:
        element = of.node.default_child
        if not isinstance(element, CfnElement):
            raise TypeError(f"{of.node.path} is no resource")
        resource = f"<{Stack.of(of).get_logical_id(element)}.Arn>{suffix}"
    acknowledge(construct, f"AwsSolutions-IAM5[Resource::{resource}]", reason)


def acknowledge_managed_policy(construct: IConstruct, name: str, reason: str) -> None:
    """Acknowledges that a role of ``construct`` has AWS's managed policy ``name``."""
    acknowledge(construct, f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{name}]", reason)
