"""Written reasons: what a rule of cdk-nag forbids and this bundle does all the same.

https://github.com/cdklabs/cdk-nag/blob/main/RULES.md
"""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Acknowledges ``rule``'s finding on ``construct`` and what it contains."""
    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))
