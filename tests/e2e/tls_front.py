"""TLS in front of a server that speaks none: what the packaged Postgres and Valkey lack, and RDS and ElastiCache do.

So the functions connect as they do on AWS: ``sslmode=require`` and ``rediss://`` with the certificate checked.
"""

import contextlib
import select
import socket
import socketserver
import ssl
import threading
from types import TracebackType
from typing import Any, Self

from tests.support.certificates import Certificates

HOST = "127.0.0.1"
# A client of Postgres asks for TLS in the clear first.
# https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
CHUNK = 65_536


class TlsFront:
    """A port of this machine whose TLS connections are carried to ``target`` while the block lasts.

    Args:
        target: the server's port.
        certificates: to show.
        is_postgres: whether clients ask for TLS before they begin with it; who does not is sent away.
    """

    def __init__(self, target: int, certificates: Certificates, *, is_postgres: bool = False) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                # A client that goes away in the middle of something is its own business.
                with contextlib.suppress(OSError):
                    if is_postgres:
                        if _read_exactly(self.request, len(SSL_REQUEST)) != SSL_REQUEST:
                            return
                        self.request.sendall(b"S")
                    with (
                        context.wrap_socket(self.request, server_side=True) as outer,
                        socket.create_connection((HOST, target)) as inner,
                    ):
                        carry(outer, inner)

        self._server = _Server((HOST, 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    # Else closing waits for connections that its clients keep open.
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own types
        """Says nothing: the other side sees its connection end."""


def carry(outer: ssl.SSLSocket, inner: socket.socket) -> None:
    """Carries bytes both ways until one side has closed."""
    while True:
        # What is decrypted already, select does not see.
        ready = [outer] if outer.pending() else select.select([outer, inner], [], [])[0]
        for side in ready:
            data = side.recv(CHUNK)
            if not data:
                return
            (inner if side is outer else outer).sendall(data)


def _read_exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := connection.recv(size - len(data))):
        data += more
    return data
