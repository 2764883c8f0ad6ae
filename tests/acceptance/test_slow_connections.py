import contextlib
import select
import socket
from collections.abc import Iterator

import pytest

from shared.local.free_ports import HOST
from tests.acceptance.local_stack import PATH, LocalStack

CONNECTIONS = 300
GOOD = b'{"action":"created","repository":{"full_name":"octo-org/hello"}}'
HEAD = f"POST {PATH} HTTP/1.1\r\nhost: {HOST}\r\n".encode()
PARTIAL_HEADERS = HEAD + b"content-type: appl"
PARTIAL_BODY = HEAD + b'content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"a":'


@pytest.fixture(scope="module")
def slow(stack: LocalStack) -> Iterator[list[socket.socket]]:
    """Connections that have begun a request and do not go on, half within the headers, half within the body."""
    with contextlib.ExitStack() as opened:
        connections = []
        for number in range(CONNECTIONS):
            connection = opened.enter_context(socket.create_connection((HOST, stack.port), timeout=60))
            connection.sendall(PARTIAL_BODY if number % 2 else PARTIAL_HEADERS)
            connections.append(connection)
        yield connections


def test_slow_connections_keep_no_delivery_out(stack: LocalStack, slow: list[socket.socket]) -> None:
    documents = [stack.follow(stack.send("star", GOOD)) for _ in range(5)]

    ended, _, _ = select.select(slow, [], [], 0)
    assert ended == []
    assert [document["status"] for document in documents] == ["succeeded"] * 5


def test_slow_connections_are_ended_by_the_front(slow: list[socket.socket]) -> None:
    for connection in slow:
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(4_096):
                received += data
        assert received.startswith(b"HTTP/1.1 408 ")
