"""The line of ingest: one JSON object, metrics in it, no credential on it."""

import json
from typing import Any

import pytest

from shared.observability import redact, write_outcome

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2lnbmF0dXJl-_x"


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_" + "a1B2" * 9,
        "ghs_" + "a" * 36,
        f"ghs_12345_{JWT}{'x' * 400}",
        "github_pat_" + "11ABCDEFG0_" + "x" * 59,
        "sk-" + "0123456789abcdef",
        "sha256=" + "0f" * 32,
    ],
)
@pytest.mark.parametrize("around", ["{}", "token {} refused", '{{"token": "{}"}}', "?token={}&x=1"])
def test_credentials_are_blotted_out(secret: str, around: str) -> None:
    assert redact(around.format(secret)) == around.format("***")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"authorization: Bearer {JWT}", "authorization: Bearer ***"),
        ("authorization: bearer abc/def+g==", "authorization: bearer ***"),
        ("postgresql://me:pass%40word@db:5432/app", "postgresql://***@db:5432/app"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- after", "*** after"),
        ("-----BEGIN PRIVATE KEY-----\\nabc", "***"),
    ],
)
def test_secrets_in_their_surroundings(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "acme/widgets#7",
        "https://github.com/acme/widgets/pull/7",
        "ghost_writer",
        "task-force",
        "6dcb09b5b57875f334f61aebed695e2e4193db5e",
        "mail ada@example.org",
    ],
)
def test_the_rest_is_left_alone(text: str) -> None:
    assert redact(text) == text


def read_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    [line] = capsys.readouterr().out.splitlines()
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def test_a_line_is_log_and_metrics_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    write_outcome(
        "delivery.accepted",
        {"source": "github", "delivery_id": "d1", "odd": object},
        function="ingest",
        environment="test",
        metrics={"accepted": 1, "ingest_seconds": 0.5},
        dimensions=("source",),
    )
    line = read_line(capsys)
    assert (line["message"], line["level"], line["service"], line["delivery_id"]) == (
        "delivery.accepted",
        "INFO",
        "ingest",
        "d1",
    )
    assert (line["accepted"], line["ingest_seconds"]) == (1, 0.5)
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["environment", "service", "source"]]
    assert directive["Metrics"] == [
        {"Name": "accepted", "Unit": "Count"},
        {"Name": "ingest_seconds", "Unit": "Seconds"},
    ]
    for [dimension] in zip(directive["Dimensions"][0], strict=True):
        assert dimension in line


def test_a_line_without_metrics_is_no_metric(capsys: pytest.CaptureFixture[str]) -> None:
    write_outcome(
        "delivery.refused", {"reason": "bad\r\n\x1b[31m ghs_" + "a" * 36}, function="ingest", environment="test"
    )
    line = read_line(capsys)
    assert "_aws" not in line
    assert line["reason"] == "bad\r\n\x1b[31m ***"
