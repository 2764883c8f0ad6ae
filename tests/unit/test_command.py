"""Slash commands: the first line of a comment or review."""

from typing import Any

import pytest

from shared.domain.command import read_command
from tests.support.factories import build_delivery, build_payload


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ("/fix", ("fix", "", "")),
        ("/Fix the tests ", ("fix", "the tests", "")),
        ("/deploy staging\r\n\r\nIt is urgent.\r\n", ("deploy", "staging", "It is urgent.")),
        ("/re-run_2\tall", ("re-run_2", "all", "")),
        ("please /fix", None),
        (" /fix", None),
        ("> /fix", None),
        ("\n/fix", None),
        ("/etc/passwd is gone", None),
        ("/", None),
        ("/ fix", None),
        ("//fix", None),
        ("/1st", None),
        ("/fix, please", None),
        (f"/{'x' * 65}", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_a_command_is_the_first_line(body: object, command: tuple[str, str, str] | None) -> None:
    expected = None if command is None else dict(zip(("name", "arguments", "text"), command, strict=True))
    assert read_command({"comment": {"body": body}}) == expected
    assert read_command({"review": {"body": body}}) == expected


@pytest.mark.parametrize("payload", [{}, {"comment": "text"}, {"comment": None, "review": []}])
def test_what_has_no_comment_has_no_command(payload: dict[str, Any]) -> None:
    assert read_command(payload) is None


def test_the_document_has_the_command_only_when_there_is_one() -> None:
    with_command = build_delivery(build_payload(comment={"body": "/fix it"}), event="issue_comment")
    assert with_command.document["command"] == {"name": "fix", "arguments": "it", "text": ""}
    assert "command" not in build_delivery(build_payload(comment={"body": "fix it"})).document
