import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext as PowertoolsContext

from shared.local.deadline_protocol import Limits, allow_connections
from shared.local.front import Front, Handler, build_server, create_app, listen
from shared.local.gateway_event import MAX_BODY_BYTES, MAX_EVENT_BYTES, MAX_HEADER_BYTES
from shared.local.lambda_context import LambdaContext

ROOT = Path(__file__).parents[2]
WEBHOOK_PATH = "/api/v1/webhooks/github"


class Recorder:
    """A handler that answers 202 with the event, the way Lambda would see it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: dict[str, Any], _context: object) -> dict[str, Any]:
        self.events.append(json.loads(json.dumps(event)))
        return {"statusCode": 202, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}


def refuse_call(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    raise AssertionError("this handler must not be called")


@contextlib.contextmanager
def serve(app: Front, limits: Limits | None = None) -> Iterator[int]:
    """Serves ``app`` in a thread; gives its port."""
    listener = listen(0)
    port: int = listener.getsockname()[1]
    server = build_server(app, limits or Limits())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join()
        app.close()


@pytest.fixture
def ingest() -> Recorder:
    return Recorder()


@pytest.fixture
def port(ingest: Recorder) -> Iterator[int]:
    with serve(create_app(ingest, refuse_call)) as port:
        yield port


@contextlib.contextmanager
def connect(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Reads until the server closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65_536):
            received += data
    return received


def exchange(port: int, request: bytes) -> bytes:
    with connect(port) as connection:
        connection.sendall(request)
        return read_all(connection)


def post(port: int, body: bytes, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"http://127.0.0.1:{port}{WEBHOOK_PATH}", content=body, headers=sent)


def decode(event: dict[str, Any]) -> bytes:
    body: str = event["body"]
    return base64.b64decode(body) if event["isBase64Encoded"] else body.encode()


def test_a_webhook_becomes_an_event_of_payload_format_2(port: int, ingest: Recorder) -> None:
    answer = httpx.post(
        f"http://127.0.0.1:{port}{WEBHOOK_PATH}?tag=a&tag=b%20c&empty=",
        content=b'{"zen": "\xc3\xbc"}',
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "X-GitHub-Event": "ping",
            "User-Agent": "GitHub-Hookshot/1",
            "Cookie": "one=1; two=2",
        },
    )
    [event] = ingest.events
    assert answer.status_code == 202
    assert answer.json() == event
    context = event["requestContext"]
    assert event["version"] == "2.0"
    assert event["routeKey"] == context["routeKey"] == "POST /api/v1/webhooks/{source}"
    assert event["rawPath"] == WEBHOOK_PATH
    assert event["rawQueryString"] == "tag=a&tag=b%20c&empty="
    assert event["queryStringParameters"] == {"tag": "a,b c", "empty": ""}
    assert event["pathParameters"] == {"source": "github"}
    assert event["cookies"] == ["one=1", "two=2"]
    assert event["headers"]["x-github-event"] == "ping"
    assert event["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert event["headers"]["x-forwarded-proto"] == "http"
    assert "cookie" not in event["headers"]
    assert (event["body"], event["isBase64Encoded"]) == ('{"zen": "ü"}', False)
    assert context["http"] == {
        "method": "POST",
        "path": WEBHOOK_PATH,
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "GitHub-Hookshot/1",
    }
    assert (context["stage"], context["apiId"], context["accountId"]) == ("$default", "local", "000000000000")
    assert context["domainName"] == f"127.0.0.1:{port}"
    assert context["time"].endswith(" +0000")
    assert time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(context["timeEpoch"] // 1000)) == context["time"]
    assert context["requestId"]


def test_what_a_request_lacks_is_absent_from_the_event() -> None:
    api = Recorder()
    with serve(create_app(refuse_call, api)) as port:
        httpx.get(f"http://127.0.0.1:{port}/")
    [event] = api.events
    assert event["routeKey"] == "$default"
    assert event["isBase64Encoded"] is False
    assert not {"body", "cookies", "pathParameters", "queryStringParameters"} & event.keys()


@pytest.mark.parametrize(
    ("method", "path", "source"),
    [
        ("POST", "/api/v1/webhooks/github", "github"),
        ("POST", "/api/v1/webhooks/a%2Fb%20c", "a/b c"),
        ("GET", "/api/v1/webhooks/github", None),
        ("PUT", "/api/v1/webhooks/github", None),
        ("POST", "/api/v1/webhooks/", None),
        ("POST", "/api/v1/webhooks/github/", None),
        ("POST", "/api/v1/webhooks/github/x", None),
        ("POST", "/API/v1/webhooks/github", None),
        ("POST", "/", None),
    ],
)
def test_only_posts_to_the_webhook_route_reach_ingest(method: str, path: str, source: str | None) -> None:
    ingest, api = Recorder(), Recorder()
    with serve(create_app(ingest, api)) as port:
        exchange(port, f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    [event] = ingest.events if source else api.events
    assert len(ingest.events) + len(api.events) == 1
    assert event.get("pathParameters") == ({"source": source} if source else None)


def test_the_path_is_decoded_and_the_query_is_not() -> None:
    api = Recorder()
    with serve(create_app(refuse_call, api)) as port:
        exchange(port, b"GET /runs/a%20b%C3%BC?q=a%20b&x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    [event] = api.events
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == "/runs/a bü"
    assert event["rawQueryString"] == "q=a%20b&x"
    assert event["queryStringParameters"] == {"q": "a b", "x": ""}


def test_repeated_headers_are_joined_and_bytes_beyond_ascii_survive(port: int, ingest: Recorder) -> None:
    exchange(
        port,
        f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\nX-Tag: a\r\nx-tag:  b \r\ncookie: c=1\r\nCookie: d=2\r\n"
        "connection: close\r\nX-Hub-Signature-256: ".encode()
        + b"sha256=\xff\xe9\r\n\r\n",
    )
    [event] = ingest.events
    assert event["headers"]["x-tag"] == "a,b"
    assert event["cookies"] == ["c=1", "d=2"]
    assert event["headers"]["x-hub-signature-256"].encode("latin-1") == b"sha256=\xff\xe9"


@pytest.mark.parametrize(
    ("content_type", "is_base64"),
    [
        ("application/json", False),
        ("Application/JSON ; charset=utf-8", False),
        ("application/xml", False),
        ("application/javascript", False),
        ("text/csv", False),
        ("application/x-www-form-urlencoded", True),
        ("application/problem+json", True),
        ("application/octet-stream", True),
        ("", True),
    ],
)
def test_content_types_decide_what_travels_as_text(
    port: int, ingest: Recorder, *, content_type: str, is_base64: bool
) -> None:
    body = b' {"a" :\t1, "\xc3\xbc": "\\u0000"}\r\n'
    post(port, body, content_type=content_type)
    [event] = ingest.events
    assert event["isBase64Encoded"] is is_base64
    assert decode(event) == body


@pytest.mark.parametrize("body", [b"\xff\xfe\x00{}", b'{"a":"\xed\xa0\x80"}', b"\xc3(", bytes(range(256))])
def test_bytes_that_are_no_utf8_survive(port: int, ingest: Recorder, body: bytes) -> None:
    post(port, body, content_type="application/json")
    [event] = ingest.events
    assert event["isBase64Encoded"] is True
    assert decode(event) == body


def test_bytes_of_a_large_body_survive(port: int, ingest: Recorder) -> None:
    body = os.urandom(4_500_000)
    post(port, body, content_type="application/json")
    assert decode(ingest.events[0]) == body


def as_chunks(body: bytes, size: int = 65_536) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(
    ("length", "content_type", "message"),
    [
        (MAX_BODY_BYTES + 1, "application/json", {"message": "Request Entity Too Large"}),
        (MAX_EVENT_BYTES + 1, "application/json", "too_large"),
        (MAX_EVENT_BYTES // 4 * 3 + 1, "application/octet-stream", "too_large"),
    ],
)
def test_a_body_over_the_platforms_limits_is_answered_413(
    *, length: int, content_type: str, message: object, is_chunked: bool
) -> None:
    body = b"a" * length
    with serve(create_app(refuse_call, refuse_call)) as port:
        answer = httpx.post(
            f"http://127.0.0.1:{port}{WEBHOOK_PATH}",
            content=as_chunks(body) if is_chunked else body,
            headers={"content-type": content_type},
        )
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert message in (answer.json(), answer.json().get("error"))


@pytest.mark.parametrize(
    ("length", "content_type"),
    [(MAX_EVENT_BYTES, "application/json"), (MAX_EVENT_BYTES // 4 * 3, "application/octet-stream")],
)
def test_a_body_at_the_limit_is_taken(port: int, ingest: Recorder, length: int, content_type: str) -> None:
    post(port, b"a" * length, content_type=content_type)
    assert len(decode(ingest.events[0])) == length


def test_text_that_is_no_utf8_counts_as_the_base64_it_becomes() -> None:
    with serve(create_app(refuse_call, refuse_call)) as port:
        answer = post(port, b"\xff" * (MAX_EVENT_BYTES // 4 * 3 + 3), content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")


def test_a_declared_length_is_refused_before_the_body_is_read() -> None:
    with serve(create_app(refuse_call, refuse_call)) as port:
        received = exchange(
            port,
            f"POST {WEBHOOK_PATH} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
            f"content-length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode(),
        )
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in received


def test_expect_100_continue_is_answered_before_the_body(port: int, ingest: Recorder) -> None:
    with connect(port) as connection:
        connection.sendall(
            f"POST {WEBHOOK_PATH} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-type: text/plain\r\n"
            "content-length: 2\r\nconnection: close\r\n\r\n".encode()
        )
        assert connection.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert read_all(connection).startswith(b"HTTP/1.1 202 ")
    assert ingest.events[0]["body"] == "ok"


@pytest.mark.parametrize("is_complete", [False, True])
def test_headers_over_the_platforms_limit_are_answered_431(*, is_complete: bool) -> None:
    request = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nhost: x\r\nx-long: {'a' * MAX_HEADER_BYTES}".encode()
    with serve(create_app(refuse_call, refuse_call)) as port:
        received = exchange(port, request + b"\r\n\r\n" * is_complete)
    assert received.startswith(b"HTTP/1.1 431 ")


def test_head_is_answered_without_a_body() -> None:
    api = Recorder()
    with serve(create_app(refuse_call, api)) as port:
        head = httpx.head(f"http://127.0.0.1:{port}/health")
    assert api.events[0]["requestContext"]["http"]["method"] == "HEAD"
    assert (head.status_code, head.content) == (202, b"")
    assert int(head.headers["content-length"]) > 0


def test_pipelined_requests_are_answered_in_order(port: int, ingest: Recorder) -> None:
    requests = b"".join(
        f"POST {WEBHOOK_PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 1\r\n"
        f"connection: {'close' if index == 9 else 'keep-alive'}\r\n\r\n{index}".encode()
        for index in range(10)
    )
    received = exchange(port, requests)
    assert received.count(b"HTTP/1.1 202 ") == 10
    assert [event["body"] for event in ingest.events] == [str(index) for index in range(10)]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_answered_400_and_harms_nobody(port: int, ingest: Recorder, request_bytes: bytes) -> None:
    assert exchange(port, request_bytes).startswith(b"HTTP/1.1 400 ")
    assert post(port, b"{}").status_code == 202
    assert len(ingest.events) == 1


def test_an_exception_in_a_handler_is_answered_500_and_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_event: dict[str, Any], _context: object) -> dict[str, Any]:
        raise LookupError("no such thing")

    with serve(create_app(fail, refuse_call)) as port:
        answer = post(port, b"{}")
    assert (answer.status_code, answer.json()) == (500, {"message": "Internal Server Error"})
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["message"] == "invocation.failed"
    assert json.loads(line)["error"] == "LookupError: no such thing"


@pytest.mark.parametrize(
    "result",
    [
        None,
        {},
        {"statusCode": "high"},
        {"statusCode": 200, "body": 5},
        {"statusCode": 200, "body": "%%", "isBase64Encoded": True},
        {"statusCode": 200, "body": "a" * (MAX_EVENT_BYTES + 1)},
    ],
)
def test_a_result_that_is_no_answer_is_answered_500(result: dict[str, Any]) -> None:
    with serve(create_app(lambda _event, _context: result, refuse_call)) as port:
        answer = post(port, b"{}")
    assert (answer.status_code, answer.json()) == (500, {"message": "Internal Server Error"})


def test_a_result_becomes_the_answer() -> None:
    def answer(_event: dict[str, Any], _context: object) -> dict[str, Any]:
        return {
            "statusCode": 201,
            "headers": {"Content-Type": "image/png", "X-Count": 3, "Content-Length": "999"},
            "cookies": ["a=1; HttpOnly", "b=2"],
            "body": base64.b64encode(b"\x89PNG\x00").decode(),
            "isBase64Encoded": True,
        }

    with serve(create_app(refuse_call, answer)) as port:
        found = httpx.get(f"http://127.0.0.1:{port}/logo.png")
    assert (found.status_code, found.content) == (201, b"\x89PNG\x00")
    assert found.headers["content-type"] == "image/png"
    assert found.headers["x-count"] == "3"
    assert found.headers.get_list("set-cookie") == ["a=1; HttpOnly", "b=2"]
    assert "server" not in found.headers


def test_an_answer_without_content_has_no_length() -> None:
    with serve(create_app(refuse_call, lambda _event, _context: {"statusCode": 204})) as port:
        answer = httpx.delete(f"http://127.0.0.1:{port}/x")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers


def hold(release: threading.Event) -> Handler:
    """Returns a handler that answers 200 when released."""

    def wait(_event: dict[str, Any], _context: object) -> dict[str, Any]:
        release.wait()
        return {"statusCode": 200, "body": "late"}

    return wait


def test_slow_console_queries_do_not_keep_webhooks_out(ingest: Recorder) -> None:
    release = threading.Event()
    with serve(create_app(ingest, hold(release))) as port, contextlib.ExitStack() as connections:
        for _ in range(20):
            connections.enter_context(connect(port)).sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert post(port, b"{}").status_code == 202
        release.set()


def test_a_handler_that_takes_too_long_is_answered_503() -> None:
    release = threading.Event()
    with serve(create_app(refuse_call, hold(release), invocation_seconds=0.1)) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/")
        release.set()
    assert (answer.status_code, answer.json()) == (503, {"message": "Service Unavailable"})


HALF_HEADERS = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nhost: x\r\nx-slow: ".encode()
HALF_BODY = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{".encode()


@pytest.mark.parametrize("count", [300, 1_500])
@pytest.mark.parametrize("start", [b"", HALF_HEADERS, HALF_BODY])
def test_slow_connections_do_not_keep_a_good_request_out(port: int, ingest: Recorder, start: bytes, count: int) -> None:
    assert allow_connections(2 * count) == 2 * count  # both ends are in this process
    with contextlib.ExitStack() as connections:
        for _ in range(count):
            connections.enter_context(connect(port)).sendall(start)
        assert post(port, b"{}").status_code == 202
    assert len(ingest.events) == 1


def test_the_connection_that_waits_longest_makes_room(ingest: Recorder) -> None:
    with (
        serve(create_app(ingest, refuse_call), Limits(connections=5)) as port,
        contextlib.ExitStack() as connections,
    ):
        slow = [connections.enter_context(connect(port)) for _ in range(5)]
        for each in slow:
            each.sendall(HALF_HEADERS)
        assert post(port, b"{}").status_code == 202
        assert read_all(slow[0]) == b""
        slow[4].sendall(b"x\r\nconnection: close\r\n\r\n")
        assert read_all(slow[4]).startswith(b"HTTP/1.1 202 ")


QUICK = Limits(header_seconds=0.2, body_seconds=0.4, idle_seconds=1)


@pytest.mark.parametrize(
    ("start", "answer"),
    [(b"", b""), (b"\r\n", b"HTTP/1.1 408 "), (HALF_HEADERS, b"HTTP/1.1 408 "), (HALF_BODY, b"HTTP/1.1 408 ")],
)
def test_a_request_that_does_not_come_is_ended(start: bytes, answer: bytes) -> None:
    with serve(create_app(refuse_call, refuse_call), QUICK) as port:
        received = exchange(port, start)
    assert received[: len(b"HTTP/1.1 408 ")] == answer


@pytest.mark.parametrize("start", [HALF_HEADERS, HALF_BODY])
def test_dripping_bytes_do_not_extend_the_deadline(start: bytes) -> None:
    with serve(create_app(refuse_call, refuse_call), QUICK) as port, connect(port) as connection:
        connection.sendall(start)
        connection.settimeout(0.07)
        received = b""
        for _ in range(80):  # of 100 bytes: it would never be complete
            with contextlib.suppress(TimeoutError):
                received = connection.recv(65_536)
                break
            connection.sendall(b"a")
    assert received.startswith(b"HTTP/1.1 408 ")


def test_the_second_request_of_a_connection_has_a_deadline_too(ingest: Recorder) -> None:
    with serve(create_app(ingest, refuse_call), QUICK) as port, connect(port) as connection:
        connection.sendall(f"POST {WEBHOOK_PATH} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert connection.recv(65_536).startswith(b"HTTP/1.1 202 ")
        connection.sendall(HALF_HEADERS)
        assert b"HTTP/1.1 408 " in read_all(connection)


def test_an_idle_connection_is_closed(ingest: Recorder) -> None:
    with serve(create_app(ingest, refuse_call), QUICK) as port:
        received = exchange(port, f"POST {WEBHOOK_PATH} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert received.count(b"HTTP/1.1 ") == 1


def test_the_deadline_is_the_senders_not_the_handlers() -> None:
    release = threading.Event()
    limits = Limits(header_seconds=0.1, body_seconds=0.1)
    with serve(create_app(refuse_call, hold(release)), limits) as port, connect(port) as connection:
        # A second request, half sent, waits behind the first: neither is ended while the handler works.
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\nx-slow: ")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        release.set()
        connection.settimeout(20)
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"late")


def test_a_client_that_leaves_is_forgotten(port: int, ingest: Recorder) -> None:
    for start in (b"", HALF_HEADERS, HALF_BODY):
        with connect(port) as connection:
            connection.sendall(start)
    assert post(port, b"{}").status_code == 202
    assert len(ingest.events) == 1


def test_the_context_has_what_powertools_names() -> None:
    context = LambdaContext("api", timeout_seconds=30, region="eu-central-1")
    named = {name for name, value in vars(PowertoolsContext).items() if isinstance(value, property)}
    assert {name for name in named if hasattr(context, name)} == named
    assert context.invoked_function_arn == "arn:aws:lambda:eu-central-1:000000000000:function:api"
    assert 0 < context.get_remaining_time_in_millis() <= 30_000
    assert LambdaContext("api", timeout_seconds=0).get_remaining_time_in_millis() == 0


def test_a_port_in_use_ends_the_front_with_one_line() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "shared.local.front", "--port", str(port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert f"port {port}" in line
    assert "PORT" in line


# The front as it is, with handlers of the test in the place of the functions.
_FRONT = """
import sys, time, types
for name in ("ingest", "api"):
    module = types.ModuleType(f"functions.{name}.handler")
    def handle(event, context):
        print("called", flush=True)
        sys.stdin.readline()
        return {"statusCode": 202, "body": "done"}
    module.handle = handle
    sys.modules[f"functions.{name}.handler"] = module
from shared.local.front import main
main(["--port", "0"])
"""


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_finishes_the_request_in_flight(stop_signal: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _FRONT], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as front:
        assert front.stdin is not None
        assert front.stdout is not None
        port = int(front.stdout.readline().rpartition(":")[2])
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        idle = socket.create_connection(("127.0.0.1", port))
        idle.sendall(HALF_HEADERS)
        client.request("POST", WEBHOOK_PATH, body=b"{}")
        assert front.stdout.readline() == "called\n"
        front.send_signal(stop_signal)
        with pytest.raises(subprocess.TimeoutExpired):
            front.wait(0.5)
        front.stdin.write("\n")
        front.stdin.flush()
        assert client.getresponse().read() == b"done"
        assert front.wait(20) == 0
        client.close()
        idle.close()


def test_sigterm_does_not_wait_for_a_handler_that_hangs() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _FRONT],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as front:
        assert front.stdout is not None
        port = int(front.stdout.readline().rpartition(":")[2])
        with connect(port) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert front.stdout.readline() == "called\n"
            front.send_signal(signal.SIGTERM)
            assert read_all(client).startswith(b"HTTP/1.1 503 ")
            assert front.wait(20) == 0
