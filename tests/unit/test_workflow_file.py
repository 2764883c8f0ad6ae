"""A repository's workflow file: when it is looked at, and what the repository is told."""

from typing import Any

import pytest

from shared.adapters.templates import JinjaTemplates
from shared.domain.action_arguments import read_arguments
from shared.domain.delivery import Delivery
from shared.domain.workflow_file import (
    FILE_PATH,
    MAX_DESCRIPTION_CHARACTERS,
    MAX_REPORTED,
    Fault,
    build_report,
    is_repository,
    may_touch_file,
)
from tests.support.factories import SHA, build_delivery, build_payload

OTHER = {"added": ["README.md"], "modified": [], "removed": ["orchestrator.yml"]}


def build_push(**members: object) -> Delivery:
    payload = build_payload(ref="refs/heads/main", after=SHA, deleted=False, forced=False, commits=[OTHER])
    del payload["pull_request"], payload["action"], payload["number"]
    return build_delivery({**payload, **members}, event="push")


def read_report(*faults: Fault, has_checks: bool = False) -> tuple[str, dict[str, Any]]:
    """Returns the action and the arguments that are left when they were rendered as templates."""
    report = build_report(faults, repository="acme/widgets", commit=SHA, url="https://host/file", has_checks=has_checks)
    [step] = report.steps
    return step.uses, JinjaTemplates().render(step.arguments, {})


@pytest.mark.parametrize(
    ("members", "is_touched"),
    [
        ({}, False),
        ({"commits": [OTHER, {"added": [FILE_PATH]}]}, True),
        ({"commits": [OTHER, {"modified": [FILE_PATH]}]}, True),
        ({"commits": [{"removed": [FILE_PATH]}, OTHER]}, True),
        ({"commits": []}, True),
        ({"commits": None}, True),
        ({"commits": [OTHER] * 2048}, True),
        ({"commits": ["a", {"added": "b"}, {"added": [1, None]}]}, False),
        ({"forced": True}, True),
        ({"forced": True, "deleted": True}, False),
        ({"ref": "refs/heads/feature", "commits": [{"added": [FILE_PATH]}]}, False),
        ({"ref": "refs/tags/main", "commits": [{"added": [FILE_PATH]}]}, False),
        ({"ref": "refs/heads/main", "repository": {"full_name": "acme/widgets"}, "commits": []}, False),
    ],
)
def test_a_push_to_the_default_branch_may_touch_the_file(members: dict[str, Any], *, is_touched: bool) -> None:
    assert may_touch_file(build_push(**members)) is is_touched


def test_no_other_event_touches_the_file() -> None:
    assert not may_touch_file(build_delivery(build_payload(ref="refs/heads/main", commits=[{"added": [FILE_PATH]}])))


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("acme/widgets", True),
        ("a-b.c/d_e.f", True),
        (None, False),
        ("", False),
        ("*", False),
        ("acme", False),
        ("a/b/c", False),
        ("a/b?ref=x", False),
        ("a/b\n", False),
        ("\u00e4/b", False),
    ],
)
def test_what_can_be_a_repository(name: str | None, *, is_one: bool) -> None:
    assert is_repository(name) is is_one


def test_a_status_names_file_line_and_mend_and_leads_there() -> None:
    assert read_report(Fault(12, "unknown key 'step':\n did you mean 'steps'?")) == (
        "github.status",
        {
            "state": "error",
            "context": "webhook-orchestrator/workflow-file",
            "description": f"{FILE_PATH}:12: unknown key 'step': did you mean 'steps'?",
            "target_url": "https://host/file#L12",
            "repository": "acme/widgets",
            "sha": SHA,
        },
    )


def test_a_status_is_cut_to_what_github_takes_and_tells_how_many_there_are() -> None:
    _, arguments = read_report(Fault(1, "x" * 200 + "; did you mean steps?"), Fault(2, "y"))
    assert len(arguments["description"]) == MAX_DESCRIPTION_CHARACTERS
    assert arguments["description"].startswith(f"{FILE_PATH}:1: xxx")
    assert "xx\u2026xx" in arguments["description"]
    assert arguments["description"].endswith("xx; did you mean steps? (and 1 more)")
    assert arguments["target_url"] == "https://host/file#L1"


def test_a_check_run_lists_every_fault() -> None:
    faults = [Fault(number, f"fault {number}") for number in range(1, MAX_REPORTED + 3)]
    uses, arguments = read_report(*faults, has_checks=True)
    assert (uses, arguments["conclusion"], arguments["details_url"]) == (
        "github.check_run",
        "failure",
        "https://host/file#L1",
    )
    assert arguments["title"] == "52 faults: the version before stays in force"
    assert f"- `{FILE_PATH}`, line 50: fault 50\n- and 2 more" in arguments["summary"]
    assert read_report(Fault(1, "a"), has_checks=True)[1]["title"].startswith("1 fault:")


@pytest.mark.parametrize("faults", [(), (Fault(3, "no"),)])
@pytest.mark.parametrize("has_checks", [False, True])
def test_a_report_is_what_its_action_takes(faults: tuple[Fault, ...], *, has_checks: bool) -> None:
    uses, arguments = read_report(*faults, has_checks=has_checks)
    subject = {"key": "acme/gadgets#7", "repository": "acme/gadgets", "number": 7, "sha": "f" * 40}
    taken = read_arguments(uses, arguments, {"subject": subject})
    assert taken == arguments
    assert (taken["repository"], taken["sha"]) == ("acme/widgets", SHA)


@pytest.mark.parametrize(("has_checks", "word"), [(False, "state"), (True, "conclusion")])
def test_what_is_mended_is_a_success(*, has_checks: bool, word: str) -> None:
    assert read_report(has_checks=has_checks)[1][word] == "success"


@pytest.mark.parametrize(
    "text",
    [
        "{{ 7 * 7 }}",
        "{% raw %}",
        "{% endraw %}{{ x }}",
        "{# gone #}",
        "{{ '{{' }}",
        "}} {",
        "{",
        "\\{{ x",
        "\u00e4 \U0001f600",
    ],
)
@pytest.mark.parametrize("has_checks", [False, True])
def test_what_a_fault_quotes_is_no_template(text: str, *, has_checks: bool) -> None:
    _, arguments = read_report(Fault(1, f"<{text}>"), has_checks=has_checks)
    assert f"<{text}>" in arguments["summary" if has_checks else "description"]
