"""Signatures byte for byte as botocore makes them, and what AWS's answers mean."""

import http.client
import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth  # type: ignore[import-untyped]  # it ships no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials as BotoCredentials  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.aws import AwsService, Credentials, read_credentials, sign_request
from shared.adapters.sqs import group_id
from shared.domain.errors import Permanent, Transient

AT = datetime(2026, 3, 1, 2, 3, 4, tzinfo=UTC)
REGION = "eu-central-1"
TOKENS = [None, "session/token+with=signs"]


@pytest.fixture(autouse=True)
def _botocores_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_: AT.replace(tzinfo=None))


def sign_with_botocore(
    signer: type[Any], method: str, url: str, headers: dict[str, str], body: bytes, *, token: str | None
) -> dict[str, str]:
    """Returns the headers that botocore adds, with lower-case names."""
    service = "s3" if signer is S3SigV4Auth else "sqs"
    request = AWSRequest(method, url, dict(headers), body)
    # Clients have S3 sign the body's hash only over plain HTTP, unless they ask for it.
    request.context["payload_signing_enabled"] = True
    signer(BotoCredentials("AKID", "secret/key+", token), service, REGION).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("body", [b"", b"{}", bytes(range(256))])
def test_json_calls_are_signed_as_by_botocore(token: str | None, body: bytes) -> None:
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SendMessage"}
    wanted = sign_with_botocore(SigV4Auth, "POST", f"https://sqs.{REGION}.amazonaws.com/", headers, body, token=token)
    signed = sign_request(
        "POST",
        "/",
        {**headers, "host": f"sqs.{REGION}.amazonaws.com"},
        body,
        service="sqs",
        region=REGION,
        credentials=Credentials("AKID", "secret/key+", token),
        at=AT.timetuple(),
    )
    assert signed.pop("host") == f"sqs.{REGION}.amazonaws.com"
    assert signed == wanted


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(("method", "body"), [("PUT", b"body"), ("GET", b"")])
@pytest.mark.parametrize("key", ["github/0b4f", "a b/c+d=e&f", "~ä/\U0001f600", "a//b/../c"])
def test_objects_are_signed_as_by_botocore(token: str | None, method: str, body: bytes, key: str) -> None:
    path = quote(f"/bucket/{key}", safe="/-_.~")
    host = "127.0.0.1:4566"
    headers = {"content-type": "application/octet-stream"} if body else {}
    wanted = sign_with_botocore(S3SigV4Auth, method, f"http://{host}{path}", headers, body, token=token)
    signed = sign_request(
        method,
        path,
        {**headers, "host": host},
        body,
        service="s3",
        region=REGION,
        credentials=Credentials("AKID", "secret/key+", token),
        at=AT.timetuple(),
    )
    del signed["host"]
    assert signed == wanted


def test_credentials_are_read_at_each_call() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    assert read_credentials(environ) == ("id", "key", None)
    environ["AWS_SESSION_TOKEN"] = "token"
    assert read_credentials(environ) == ("id", "key", "token")


class FakeConnection:
    """A connection whose answers are scripted: an error to raise, or status and body."""

    def __init__(self, script: list[Exception | tuple[int, bytes]]) -> None:
        self._script = script
        self.is_closed = False

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        assert (method, path, body, headers["host"]) == ("POST", "/", b'{"a":1}', "aws.example")
        assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=")

    def getresponse(self) -> Any:  # noqa: ANN401 - as much of a response as is read
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        response = io.BytesIO(step[1])
        response.status = step[0]  # type: ignore[attr-defined]
        return response

    def close(self) -> None:
        self.is_closed = True


Connect = Callable[..., AwsService]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Returns a service whose connections follow the scripts, one after the other."""

    def build(*scripts: list[Any]) -> AwsService:
        connections = iter([FakeConnection(script) for script in scripts])
        monkeypatch.setattr(http.client, "HTTPSConnection", lambda *_, **__: next(connections))
        return AwsService("sqs", REGION, "https://aws.example")

    return build


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}', Permanent),
        (403, b'{"__type":"AccessDenied"}', Permanent),
        (404, b"<Error><Code>NoSuchKey</Code></Error>", Permanent),
        (301, b"", Permanent),
        (400, b'{"__type":"com.amazonaws.sqs#RequestThrottled"}', Transient),
        (400, b'{"__type":"ThrottlingException"}', Transient),
        (403, b'{"__type":"ExpiredTokenException"}', Transient),
        (503, b"<Error><Code>SlowDown</Code></Error>", Transient),
        (500, b"\xff not JSON", Transient),
        (502, b"", Transient),
    ],
)
def test_what_an_answer_means(connect: Connect, status: int, body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"sqs answered {status}"):
        connect([(status, body)]).call("X", {"a": 1})


@pytest.mark.parametrize("fault", [OSError("no route"), TimeoutError("slow"), http.client.BadStatusLine("x")])
def test_a_service_that_cannot_be_reached(connect: Connect, fault: Exception) -> None:
    with pytest.raises(Transient, match="sqs cannot be reached"):
        connect([fault]).call("X", {"a": 1})


def test_an_idle_connection_that_was_closed_is_replaced(connect: Connect) -> None:
    service = connect([(200, b'{"n":1}'), http.client.RemoteDisconnected("closed")], [(200, b'{"n":2}'), (200, b"")])
    assert [service.call("X", {"a": 1}) for _ in range(3)] == [{"n": 1}, {"n": 2}, {}]


def test_a_new_connection_that_is_closed_is_not_tried_again(connect: Connect) -> None:
    with pytest.raises(Transient):
        connect([ConnectionResetError("closed")], [(200, b"{}")]).call("X", {"a": 1})


def test_closing_closes_idle_connections(connect: Connect) -> None:
    service = connect([(200, b"{}")], [(200, b"{}")])
    service.call("X", {"a": 1})
    service.close()
    assert service.call("X", {"a": 1}) == {}
    service.close()


@pytest.mark.parametrize("subject", ["acme/widgets#7", "acme/widgets:refs/heads/a_b-c", "a" * 128, "!~"])
def test_a_subject_that_sqs_takes_is_its_own_group(subject: str) -> None:
    assert group_id(subject) == subject


@given(st.text(st.characters(codec=None)))
def test_any_subject_has_a_group_that_sqs_takes(subject: str) -> None:
    group = group_id(subject)
    assert 1 <= len(group) <= 128
    assert group.isascii()
    assert group.isprintable()
    assert " " not in group


def test_different_subjects_have_different_groups() -> None:
    subjects = ["a" * 129, "a" * 130, "\u00e4", "\u00e5", " ", "", "a b"]
    assert len({group_id(subject) for subject in subjects}) == len(subjects)
