"""What cdk-nag and cfn-lint say of every template, but for what is acknowledged with a reason."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from aws_cdk import App, Stack, Validations
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct

from tests.support.templates import ROOT

MIN_REASON_WORDS = 5


def list_acknowledged(scope: IConstruct) -> list[dict[str, Any]]:
    return [
        {"rule": rule, "reason": reason}
        for each in scope.node.find_all()
        for entry in each.node.metadata
        if entry.type == Validations.ACKNOWLEDGED_RULES_METADATA_KEY
        for rule, reason in entry.data.items()
    ]


def test_cdk_nag_has_nothing_to_say(synthesis: tuple[App, Path]) -> None:
    app, _ = synthesis

    report = AwsSolutionsChecks(app).validate_scope(app)

    said = [
        (violation.rule_name, [each.construct_path for each in violation.violating_resources])
        for violation in report.violations
    ]
    assert said == []
    assert report.success


def test_cdk_nag_would_speak_up() -> None:
    app = App()
    sqs.Queue(Stack(app, "Careless"), "Queue")

    report = AwsSolutionsChecks(app).validate_scope(app)

    assert {"AwsSolutions-SQS3", "AwsSolutions-SQS4"} <= {each.rule_name for each in report.violations}


def test_every_acknowledgement_has_its_reason(synthesis: tuple[App, Path]) -> None:
    acknowledged = list_acknowledged(synthesis[0])

    assert acknowledged
    assert [each for each in acknowledged if len(str(each["reason"]).split()) < MIN_REASON_WORDS] == []


def test_cfn_lint_has_nothing_to_say(synthesis: tuple[App, Path]) -> None:
    templates = sorted(str(path) for path in (synthesis[1] / "cdk.out").glob("*.template.json"))
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--config-file", str(ROOT / ".cfnlintrc.yaml")]

    answer = subprocess.run([*command, *templates], cwd=ROOT, capture_output=True, text=True, check=False)

    assert len(templates) == 13
    assert answer.stdout + answer.stderr == ""
    assert answer.returncode == 0
