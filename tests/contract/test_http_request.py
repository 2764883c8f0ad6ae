"""http.request, at a real HTTPS server: names, certificates, answers, and outcomes that are unknown."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from shared.adapters.http_request import MAX_ANSWER_BYTES, HttpRequest, open_web_client, resolve_name
from shared.domain.effect import Effect
from shared.domain.errors import Limited, OutcomeUnknown, Permanent, Transient
from shared.local.free_ports import HOST, choose_port
from tests.support.certificates import Certificates, issue_certificates

ID = "0b4f6d5e-0000-4000-8000-00000000000a"


class Receiver(ThreadingHTTPServer):
    """Answers as its path says: ``/status/503``, ``/cut``, ``/redirect``, ``/long``, ``/stop``; keeps what came."""

    daemon_threads = True

    def __init__(self, certificates: Certificates) -> None:
        super().__init__((HOST, 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.received: list[dict[str, Any]] = []

    @contextmanager
    def serving(self) -> Iterator[Self]:
        """Serves until its block ends."""
        with self:
            thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield self
            self.shutdown()
            thread.join()

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: clients here break off on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append({"method": self.command, "path": self.path, "headers": headers, "body": body})
        if self.path == "/cut":
            self.close_connection = True
            return
        status = int(self.path.removeprefix("/status/")) if self.path.startswith("/status/") else 200
        content = json.dumps({"seen": self.path}).encode()
        if self.path == "/long":
            content = b"x" * (MAX_ANSWER_BYTES + 1)
        elif self.path == "/text":
            content = b"done \xff"
        self.send_response(302 if self.path == "/redirect" else status)
        if self.path == "/redirect":
            self.send_header("location", "http://169.254.169.254/latest/meta-data/")
        if status in {429, 503}:
            self.send_header("retry-after", "42")
        self.send_header("content-length", str(len(content) + (10 if self.path == "/stop" else 0)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - http.server's own names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Says nothing."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return issue_certificates(Path(tmp_path_factory.mktemp("certificates")))


@pytest.fixture
def receiver(certificates: Certificates) -> Iterator[Receiver]:
    with Receiver(certificates).serving() as server:
        yield server


@pytest.fixture
def client(certificates: Certificates) -> Iterator[httpx.Client]:
    with open_web_client(ssl.create_default_context(cafile=certificates.authority)) as client:
        yield client


def build(client: httpx.Client, host: str, resolved: list[str] | None = None) -> HttpRequest:
    """Returns the action with ``host`` allowed, and this machine's address taken for one on the internet."""
    asked = [] if resolved is None else resolved

    def resolve(name: str, port: int) -> list[str]:
        asked.append(f"{name}:{port}")
        return [HOST]

    return HttpRequest(client, {host}, resolve, lambda address: address == HOST)


def plan(action: HttpRequest, url: str, **arguments: object) -> Effect:
    return Effect(ID, "http.request", action.plan({"url": url, **arguments}, {"subject": {"key": "acme"}}))


def test_a_request_goes_to_the_address_that_was_checked_under_its_own_name(
    receiver: Receiver, client: httpx.Client
) -> None:
    host = f"localhost:{receiver.server_port}"
    resolved: list[str] = []
    action = build(client, host, resolved)
    written = action.write(plan(action, f"https://{host}/a?b=c", body={"text": "Hi"}, headers={"X-Team": "core"}))
    assert written.outputs == {"status_code": 200, "body": {"seen": "/a?b=c"}}
    assert resolved == [host]
    [received] = receiver.received
    assert (received["method"], received["path"], received["body"]) == ("POST", "/a?b=c", b'{"text": "Hi"}')
    wanted = {
        "host": host,
        "idempotency-key": ID,
        "x-team": "core",
        "content-type": "application/json",
        "user-agent": "webhook-orchestrator",
    }
    assert wanted.items() <= received["headers"].items()


@pytest.mark.parametrize(
    ("arguments", "body", "content_type"),
    [
        ({"method": "PUT", "body": "plain"}, b"plain", "text/plain; charset=utf-8"),
        (
            {"method": "PATCH", "body": "[1]", "headers": {"Content-Type": "application/json"}},
            b"[1]",
            "application/json",
        ),
        ({"method": "DELETE"}, b"", None),
        ({"method": "GET"}, b"", None),
    ],
)
def test_what_is_sent(
    receiver: Receiver, client: httpx.Client, arguments: dict[str, Any], body: bytes, content_type: str | None
) -> None:
    host = f"localhost:{receiver.server_port}"
    action = build(client, host)
    action.write(plan(action, f"https://{host}/", **arguments))
    [received] = receiver.received
    assert (received["method"], received["body"]) == (arguments["method"], body)
    assert received["headers"].get("content-type") == content_type


def test_a_certificate_must_bear_the_name(receiver: Receiver, client: httpx.Client) -> None:
    host = f"other.example:{receiver.server_port}"
    action = build(client, host)
    with pytest.raises(Transient, match="CERTIFICATE_VERIFY_FAILED") as failed:
        action.write(plan(action, f"https://{host}/"))
    assert not isinstance(failed.value, OutcomeUnknown)
    assert receiver.received == []


@pytest.mark.parametrize(
    ("path", "error", "after_seconds"),
    [
        ("/cut", OutcomeUnknown, None),
        ("/status/500", OutcomeUnknown, None),
        ("/status/503", OutcomeUnknown, 42.0),
        ("/status/429", Transient, 42.0),
        ("/status/404", Permanent, None),
        ("/redirect", Permanent, None),
    ],
)
def test_what_answers_mean(
    receiver: Receiver, client: httpx.Client, path: str, error: type[Exception], after_seconds: float | None
) -> None:
    host = f"localhost:{receiver.server_port}"
    action = build(client, host)
    with pytest.raises(error) as failed:
        action.write(plan(action, f"https://{host}{path}"))
    assert type(failed.value) is error
    # One host's limit is no other's.
    assert not isinstance(failed.value, Limited)
    assert getattr(failed.value, "after_seconds", None) == after_seconds
    assert len(receiver.received) == 1


@pytest.mark.parametrize(("path", "body"), [("/long", None), ("/text", "done \ufffd"), ("/stop", None)])
def test_answers_that_are_not_json(receiver: Receiver, client: httpx.Client, path: str, body: str | None) -> None:
    host = f"localhost:{receiver.server_port}"
    action = build(client, host)
    written = action.write(plan(action, f"https://{host}{path}"))
    assert written.outputs == {"status_code": 200, "body": body}


def test_an_unknown_outcome_is_for_a_person_unless_it_may_be_repeated(receiver: Receiver, client: httpx.Client) -> None:
    host = f"localhost:{receiver.server_port}"
    action = build(client, host)
    once = plan(action, f"https://{host}/cut")
    with pytest.raises(OutcomeUnknown):
        action.write(once)
    with pytest.raises(Permanent, match=r"^unknown_outcome: POST https://localhost:\d+/cut may have been carried out"):
        action.look_up(once)
    again = plan(action, f"https://{host}/a", idempotent=True)
    assert action.look_up(again) is None
    action.write(again)
    keys = {each["headers"]["idempotency-key"] for each in receiver.received}
    assert keys == {ID}


def test_a_host_that_is_not_there_was_not_asked(client: httpx.Client) -> None:
    host = f"localhost:{choose_port('nobody')}"
    action = build(client, host)
    with pytest.raises(Transient, match="localhost cannot be reached") as failed:
        action.write(plan(action, f"https://{host}/"))
    assert not isinstance(failed.value, OutcomeUnknown)


def test_names_are_resolved() -> None:
    assert resolve_name(HOST, 443) == [HOST]
    with pytest.raises(Transient, match="cannot be resolved"):
        # Longer than a label may be: no server need be asked.
        resolve_name(f"{'a' * 64}.invalid", 443)
