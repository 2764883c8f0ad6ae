import base64
import gzip
import hashlib
import hmac
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import psycopg
import pytest

from shared.domain.payload import TYPE_FORM, TYPE_JSON
from shared.domain.signature import sign
from shared.local.__main__ import BUCKET
from shared.local.free_ports import HOST, choose_port
from shared.local.webhook import build_headers
from tests.acceptance.local_stack import API_TOKEN, PATH, ROOT, SECRET, LocalStack, wait_until

# Part of every hostile body and header: it must turn up in no answer and in no log.
CANARY = "canary-content-c41a"
GOOD = b'{"action":"created","repository":{"full_name":"octo-org/hello"}}'
BODY = json.dumps({"note": CANARY, "number": 1}).encode()
# GitHub gives a receiver 10 seconds; we promise a refusal within 8, so that it is GitHub's to send again.
ANSWER_SECONDS = 8.0

SIGNATURE, EVENT, DELIVERY = "x-hub-signature-256", "x-github-event", "x-github-delivery"


@dataclass(frozen=True)
class Answer:
    status: int
    text: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text)
        return document


def post(stack: LocalStack, headers: list[tuple[str, str | bytes]], body: bytes | None, path: str = PATH) -> Answer:
    """Sends exactly these headers, bytes of any value, as often as they stand there."""
    connection = http.client.HTTPConnection(HOST, stack.port, timeout=30)
    try:
        connection.putrequest("POST", path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode())
    finally:
        connection.close()


def build(
    body: bytes = BODY,
    *,
    event: str = "star",
    content_type: str = TYPE_JSON,
    changes: dict[str, str | bytes | None] | None = None,
) -> list[tuple[str, str | bytes]]:
    """Returns GitHub's headers with some of them changed, or taken away where None."""
    headers: dict[str, str | bytes | None] = {**build_headers(event, body, SECRET, content_type=content_type)}
    headers |= changes or {}
    return [(name, value) for name, value in headers.items() if value is not None]


def check_front_is_well(stack: LocalStack) -> None:
    """A good delivery is accepted and routed."""
    document = stack.follow(stack.send("star", GOOD))
    assert (document["status"], document["subject"]) == ("succeeded", "octo-org/hello")


def check_tells_nothing(answer: Answer) -> None:
    for secret in (CANARY, SECRET, API_TOKEN, "Traceback", 'File "'):
        assert secret not in answer.text


def incompressible(size: int) -> bytes:
    text = base64.b64encode(os.urandom(size)).decode()[: size - 40]
    return json.dumps({"note": CANARY, "random": text}).encode()


def sha1(body: bytes) -> str:
    return f"sha1={hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()}"


GENUINE = sign(BODY, SECRET.encode())
FORM = f"payload={quote_plus(BODY.decode())}".encode()
BOMB = gzip.compress(b'{"a":"' + b" " * 20_000_000 + b'"}')

REFUSED: dict[str, tuple[list[tuple[str, str | bytes]], bytes | None, int, str]] = {
    "no signature": (build(changes={SIGNATURE: None}), BODY, 401, "missing_signature"),
    "malformed signature": (build(changes={SIGNATURE: CANARY}), BODY, 401, "bad_signature"),
    "empty signature": (build(changes={SIGNATURE: ""}), BODY, 401, "bad_signature"),
    "signature of another secret": (build(changes={SIGNATURE: sign(BODY, b"x")}), BODY, 401, "bad_signature"),
    "upper-case signature": (build(changes={SIGNATURE: GENUINE.upper()}), BODY, 401, "bad_signature"),
    "upper-case digits": (build(changes={SIGNATURE: f"sha256={GENUINE[7:].upper()}"}), BODY, 401, "bad_signature"),
    "truncated signature": (build(changes={SIGNATURE: GENUINE[:-1]}), BODY, 401, "bad_signature"),
    "bare digits": (build(changes={SIGNATURE: GENUINE[7:]}), BODY, 401, "bad_signature"),
    "non-ASCII signature": (build(changes={SIGNATURE: b"sha256=\xff\xe9" + b"0" * 62}), BODY, 401, "bad_signature"),
    "two signatures": ([*build(), (SIGNATURE, GENUINE)], BODY, 401, "bad_signature"),
    "SHA-1 only": (build(changes={SIGNATURE: None, "x-hub-signature": sha1(BODY)}), BODY, 401, "missing_signature"),
    "SHA-1 in its place": (build(changes={SIGNATURE: sha1(BODY)}), BODY, 401, "bad_signature"),
    "body written anew": (build(), json.dumps(json.loads(BODY), indent=1).encode(), 401, "bad_signature"),
    "form signed over its JSON": (
        build(content_type=TYPE_FORM, changes={SIGNATURE: GENUINE}),
        FORM,
        401,
        "bad_signature",
    ),
    "form without payload": (build(b"note=1", content_type=TYPE_FORM), b"note=1", 400, "no_payload_field"),
    "no event": (build(changes={EVENT: None}), BODY, 400, "missing_header"),
    "event of another form": (build(changes={EVENT: f"{CANARY} x"}), BODY, 400, "malformed_header"),
    "no delivery id": (build(changes={DELIVERY: None}), BODY, 400, "missing_header"),
    "delivery id no GUID": (build(changes={DELIVERY: CANARY}), BODY, 400, "malformed_header"),
    "delivery id non-ASCII": (build(changes={DELIVERY: b"\xff" * 36}), BODY, 400, "malformed_header"),
    "no headers": ([], BODY, 400, "missing_header"),
    "no body": (build(b""), None, 400, "empty_body"),
    "empty body": (build(b""), b"", 400, "empty_body"),
    "no JSON": (build(BODY[:-1]), BODY[:-1], 400, "invalid_json"),
    "array": (build(b"[1]"), b"[1]", 400, "not_an_object"),
    "NaN": (build(b'{"a":NaN}'), b'{"a":NaN}', 400, "invalid_json"),
    "bad UTF-8": (build(b'{"a":"\xff"}'), b'{"a":"\xff"}', 400, "invalid_utf8"),
    "byte order mark": (build(b"\xef\xbb\xbf" + BODY), b"\xef\xbb\xbf" + BODY, 400, "invalid_json"),
    "100,000 levels": (
        build(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        400,
        "too_nested",
    ),
    "5,000 digits": (build(b'{"a":' + b"9" * 5_000 + b"}"), b'{"a":' + b"9" * 5_000 + b"}", 400, "invalid_json"),
    "gzip": (build(gzip.compress(BODY), changes={"content-encoding": "gzip"}), gzip.compress(BODY), 415, "encoding"),
    "gzip bomb": (build(BOMB, changes={"content-encoding": "gzip"}), BOMB, 415, "encoding"),
    "plain text": (build(content_type="text/plain"), BODY, 415, "unsupported_type"),
    "no content type": (build(changes={"content-type": None}), BODY, 415, "unsupported_type"),
    "over 6 MB": (build(b"{}"), b" " * 6_300_000, 413, "too_large"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_hostile_delivery_is_refused_by_name(stack: LocalStack, case: str) -> None:
    headers, body, status, error = REFUSED[case]

    answer = post(stack, headers, body)

    assert answer.status == status, answer.text
    assert answer.document.keys() == {"error", "message"}
    assert error in answer.document["error"]
    assert answer.document["message"]
    check_tells_nothing(answer)
    check_front_is_well(stack)


def test_what_api_gateway_would_not_take_is_refused(stack: LocalStack) -> None:
    answer = post(stack, build(b"{}"), b" " * 10_500_000)

    assert (answer.status, answer.document) == (413, {"message": "Request Entity Too Large"})
    check_front_is_well(stack)


def test_an_unknown_source_is_refused(stack: LocalStack) -> None:
    answer = post(stack, build(), BODY, path="/api/v1/webhooks/nobody")

    assert (answer.status, answer.document["error"]) == (404, "unknown_source")
    check_tells_nothing(answer)
    check_front_is_well(stack)


STORED: dict[str, tuple[str, bytes, str]] = {
    "NUL": ("star", b'{"action":"a\\u0000b","note":"\\u0000"}', TYPE_JSON),
    "lone surrogate": ("star", b'{"action":"\\ud800","sender":{"login":"\\udfff"}}', TYPE_JSON),
    "raw U+FFFF": ("star", '{"action":"\uffff\ufffe"}'.encode(), TYPE_JSON),
    "white space and order kept": ("star", b'{ "b" : 1.0,\n"a":1e2, "a": 2}', TYPE_JSON),
    "empty object": ("star", b"{}", TYPE_JSON),
    "form": ("star", FORM, TYPE_FORM),
    "content type with charset": ("star", BODY, "application/json; charset=utf-8"),
    "unknown event": ("event_of_tomorrow", BODY, TYPE_JSON),
    "unknown action": ("pull_request", b'{"action":"somersaulted","number":1}', TYPE_JSON),
    "everything of another type": (
        "pull_request",
        b'{"action":["opened"],"repository":7,"sender":[],"pull_request":"x","number":{}}',
        TYPE_JSON,
    ),
    "300 KB": ("star", incompressible(300_000), TYPE_JSON),
}


@pytest.mark.parametrize("case", STORED)
def test_what_is_odd_but_genuine_is_kept_byte_for_byte(stack: LocalStack, case: str) -> None:
    event, body, content_type = STORED[case]

    answer = post(stack, build(body, event=event, content_type=content_type), body)

    assert answer.status == 202, answer.text
    document = stack.follow(answer.document["delivery_id"])
    assert (document["event"], document["status"]) == (event, "succeeded")
    assert read_row(stack, document)[0] == body
    check_front_is_well(stack)


@pytest.mark.parametrize("size", [1_048_576, 1_500_000, 5_900_000])
def test_what_no_message_can_hold_waits_in_s3(stack: LocalStack, size: int) -> None:
    body = incompressible(size)

    answer = post(stack, build(body), body)

    assert answer.status == 202, answer.text
    document = stack.follow(answer.document["delivery_id"])
    assert document["status"] == "succeeded"
    stored, key = read_row(stack, document)
    assert stored is None
    s3 = stack.connect_aws("s3")
    assert zlib.decompress(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) == body
    s3.close()
    check_front_is_well(stack)


def read_row(stack: LocalStack, document: dict[str, Any]) -> tuple[bytes | None, str | None]:
    """Returns the body as the database has it, and the key of the object that has it instead."""
    with psycopg.connect(stack.address("postgres")) as connection:
        row = connection.execute(
            "select body, body_key from deliveries where delivery_id = %s", [document["delivery_id"]]
        ).fetchone()
    assert row is not None
    return None if row[0] is None else zlib.decompress(row[0]), row[1]


def test_a_ping_is_answered_200_and_recorded(stack: LocalStack) -> None:
    answer = stack.post("ping", b'{"zen":"Keep it logically awesome.","hook_id":1}')

    assert (answer.status_code, answer.json()["status"]) == (200, "pong")
    document = stack.follow(answer.json()["delivery_id"])
    assert (document["status"], document["runs"]) == ("succeeded", [])


def test_a_queue_that_hangs_is_503_in_time_and_loses_nothing(stack: LocalStack) -> None:
    before = [stack.send("star", GOOD) for _ in range(10)]
    delivery_id = str(uuid.uuid4())
    stack.signal("aws", signal.SIGSTOP)
    try:
        answer = stack.post("star", GOOD, delivery_id, timeout_seconds=ANSWER_SECONDS)
    finally:
        stack.signal("aws", signal.SIGCONT)

    assert (answer.status_code, answer.json()["error"]) == (503, "queue_unavailable")
    # As GitHub does when it is asked to: the same delivery again.
    wait_until(lambda: stack.post("star", GOOD, delivery_id).status_code == 202, "the queue takes it")
    for each in (*before, delivery_id):
        assert stack.follow(each)["status"] == "succeeded"


def test_a_queue_that_is_gone_is_503(stack: LocalStack, tmp_path: Path) -> None:
    port = choose_port("PORT")
    nowhere = f"http://{HOST}:{choose_port('AWS_PORT', avoid=[port])}"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "AWS_ENDPOINT_URL": nowhere,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "DELIVERIES_QUEUE_URL": f"{nowhere}/000000000000/deliveries.fifo",
        "TASKS_QUEUE_URL": f"{nowhere}/000000000000/tasks",
        "BODIES_BUCKET": BUCKET,
        "GITHUB_WEBHOOK_SECRET": SECRET,
        "API_TOKEN": API_TOKEN,
        "DATABASE_URL": stack.address("postgres"),
        "REDIS_URL": stack.address("valkey"),
    }
    with (tmp_path / "log").open("wb") as log:
        front = subprocess.Popen(
            [sys.executable, "-m", "shared.local.front", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: "listening" in (tmp_path / "log").read_text(), "the front listens")
        for body in (GOOD, incompressible(1_500_000)):
            answer = httpx.post(
                f"http://{HOST}:{port}{PATH}",
                content=body,
                headers=build_headers("star", body, SECRET),
                timeout=ANSWER_SECONDS,
                trust_env=False,
            )
            assert (answer.status_code, answer.json()["error"]) == (503, "queue_unavailable")
            assert nowhere not in answer.text
    finally:
        front.terminate()
        front.wait()


def test_no_log_tells_a_body_or_a_traceback(stack: LocalStack) -> None:
    # Something of each kind, should this test run alone.
    post(stack, build(changes={SIGNATURE: CANARY, DELIVERY: CANARY}), BODY)
    stack.follow(post(stack, build(), BODY).document["delivery_id"])

    logs = stack.read_logs()

    assert CANARY not in logs
    assert re.findall(r"^.*Traceback.*$", logs, re.MULTILINE) == []
