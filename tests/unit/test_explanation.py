"""What became of deliveries, as it is told to whoever asks."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.explanation import MAX_REASON_CHARACTERS, explain

ID = "5dd25a76-0000-4000-8000-000000000000"
HEAD = [
    "What became of the latest events of acme/widgets#7:",
    "",
    "| event | workflow | verdict | run |",
    "|---|---|---|---|",
]
MATCHED = {"workflow": "greet", "matched": True, "because": "all of on.pull_request matched"}
DRAFT = {"workflow": "greet", "matched": False, "because": "pull_request.draft is true, wants false"}
OTHER_EVENT = {"workflow": "other", "matched": False, "because": 'event is "pull_request", wants "push"'}


def build(*verdicts: dict[str, Any], **members: object) -> dict[str, Any]:
    return {
        "delivery_id": ID,
        "event": "pull_request",
        "action": "opened",
        "status": "succeeded",
        "reason": None,
        "verdicts": list(verdicts),
        "runs": [],
        **members,
    }


def build_run(status: str = "succeeded", reason: str | None = None, *outputs: dict[str, Any] | None) -> dict[str, Any]:
    return {"workflow": "greet", "status": status, "reason": reason, "tasks": [{"outputs": each} for each in outputs]}


def rows(*deliveries: dict[str, Any]) -> list[str]:
    lines = explain("acme/widgets#7", deliveries).split("\n")
    assert lines[: len(HEAD)] == HEAD
    return lines[len(HEAD) :]


def test_nothing_is_known() -> None:
    assert explain("acme/widgets#7", []) == "Nothing is known of acme/widgets#7."


@pytest.mark.parametrize(
    ("delivery", "told"),
    [
        (build(MATCHED, runs=[build_run()]), "greet | matched | succeeded |"),
        (build(MATCHED), "greet | matched | - |"),
        (
            build(MATCHED, runs=[build_run("cancelled", "cancelled by ada")]),
            "greet | matched | cancelled: cancelled by ada |",
        ),
        (
            build(
                MATCHED,
                runs=[build_run("failed", None, None, {"url": None}, {"url": "https://a/1"}, {"url": "https://b"})],
            ),
            "greet | matched | failed<br>[1](https://a/1)<br>[2](https://b) |",
        ),
        (build(DRAFT), "greet | pull\\_request.draft is true, wants false | - |"),
        (build(DRAFT, OTHER_EVENT), "greet | pull\\_request.draft is true, wants false | - |"),
        (build(OTHER_EVENT), "- | no workflow is about this event | - |"),
        (build(), "- | no workflow is about this event | - |"),
        (build(status="dead", reason="no JSON"), "- | dead: no JSON | - |"),
    ],
)
def test_a_delivery_is_a_row_for_each_workflow_it_concerns(delivery: dict[str, Any], told: str) -> None:
    assert rows(delivery) == [f"| pull\\_request.opened<br>`{ID}` | {told}"]


def test_several_deliveries_and_workflows() -> None:
    second = {**MATCHED, "workflow": "second"}
    found = rows(build(MATCHED, second, runs=[build_run()]), build(DRAFT, event="push", action=None))
    assert [line.split(" | ")[1:3] for line in found] == [
        ["greet", "matched"],
        ["second", "matched"],
        ["greet", "pull\\_request.draft is true, wants false"],
    ]
    assert found[2].startswith(f"| push<br>`{ID}` | greet | ")


HOSTILE = [
    "@octo-org/core",
    "| x | y |",
    "a\nb\r\n\tc",
    "<img src=x>",
    "![i](https://evil)",
    "`code`",
    "\\|",
    "~~*_no_*~~",
    "&#64;octo-org",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_outsiders_wrote_stays_in_its_cell(text: str) -> None:
    [row] = rows(build({**DRAFT, "because": f"title is {text}, wants x"}))
    cell = row.split(" | ", 2)[2].removesuffix(" | - |")
    assert "&#" not in cell
    assert not re.search(r"@[A-Za-z]|<|>|\n|(?<!\\)(?:\\\\)*[|`*_\[\]~]", cell), cell


@given(st.text(), st.text())
def test_any_text_leaves_the_table_whole(because: str, reason: str) -> None:
    verdict = {**MATCHED, "matched": False, "because": f"x {because}"}
    found = rows(build(verdict), build(status="dead", reason=reason))
    assert len(found) == 2
    for row in found:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 5
        # Every character may have been escaped, and each as &lt; at the longest.
        assert len(row) < 4 * MAX_REASON_CHARACTERS + 200
