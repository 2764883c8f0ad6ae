"""AwsService over TLS, whose other side closes what is idle: a frozen Lambda finds that often."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from shared.adapters.aws import AwsService
from shared.domain.errors import Transient
from shared.local.free_ports import HOST
from tests.support.certificates import issue_certificates


class ClosesAfterwards(BaseHTTPRequestHandler):
    """Answers and closes the connection, without having said that it would."""

    protocol_version = "HTTP/1.1"
    is_silent = False
    closed = threading.Semaphore(0)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if not self.is_silent:
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
        self.close_connection = True

    def finish(self) -> None:
        super().finish()
        self.connection.close()
        self.closed.release()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsService]:
    certificates = issue_certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    with HTTPServer((HOST, 0), ClosesAfterwards) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        service = AwsService("sqs", "us-east-1", f"https://{HOST}:{server.server_port}")
        yield service
        service.close()
        server.shutdown()
        thread.join()


def test_a_connection_that_was_closed_while_idle_is_opened_anew(service: AwsService) -> None:
    for _ in range(3):
        assert service.call("AmazonSQS.SendMessage", {}) == {}
        ClosesAfterwards.closed.acquire()


def test_a_new_connection_that_is_closed_is_not_opened_for_ever(
    service: AwsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClosesAfterwards, "is_silent", True)

    with pytest.raises(Transient, match="cannot be reached"):
        service.call("AmazonSQS.SendMessage", {})
