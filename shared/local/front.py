"""The HTTP front of a laptop: what API Gateway and Lambda do with a request, with the very handlers.

``python -m shared.local.front --port 8000``
"""

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click
import uvicorn

from shared.config import ConfigError
from shared.local.deadline_protocol import Limits, allow_connections, bind_limits
from shared.local.free_ports import HOST, PortInUse
from shared.local.gateway_event import (
    MAX_BODY_BYTES,
    MAX_EVENT_BYTES,
    MAX_HEADER_BYTES,
    Answer,
    build_event,
    encode_body,
    find_source,
    measure_body,
    read_result,
)
from shared.local.lambda_context import LambdaContext
from shared.observability import write_outcome

# API Gateway waits this long for a function, and so do we.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
INVOCATION_SECONDS = 30.0
# Threads of each function: slow console queries cannot keep webhooks out.
INGEST_THREADS = 8
API_THREADS = 4
SHUTDOWN_SECONDS = 4
BACKLOG = 2_048
# How long, and how far, an unwanted body is still read.
LINGER_SECONDS = 2.0
LINGER_BYTES = 4 * MAX_BODY_BYTES

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _TooLarge(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Disconnected(Exception):
    pass


def _json_answer(status: int, **members: str) -> Answer:
    return Answer(status, [(b"content-type", b"application/json")], json.dumps(members).encode())


_SERVER_ERROR = _json_answer(500, message="Internal Server Error")
_UNAVAILABLE = _json_answer(503, message="Service Unavailable")
_LARGE_HEADERS = _json_answer(431, message="Request Header Fields Too Large")
_LARGE_BODY = _json_answer(413, message="Request Entity Too Large")
_LARGE_EVENT = _json_answer(
    413, error="too_large", message=f"the body takes over {MAX_EVENT_BYTES} bytes of the function's event"
)


class Front:
    """The ASGI application. Use ``create_app``."""

    def __init__(self, ingest_handler: Handler, api_handler: Handler, invocation_seconds: float) -> None:
        self._ingest = ("ingest", ingest_handler, ThreadPoolExecutor(INGEST_THREADS, "ingest"))
        self._api = ("api", api_handler, ThreadPoolExecutor(API_THREADS, "api"))
        self._invocation_seconds = invocation_seconds

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            body = await _read_body(scope, receive)
        except _TooLarge as refusal:
            await _refuse(refusal.answer, receive, send)
        except _Disconnected:
            pass
        else:
            source = find_source(scope["method"], scope["raw_path"])
            event = build_event(scope, source, body)
            await _send(await self._invoke(event, is_webhook=source is not None), send)

    async def _invoke(self, event: dict[str, Any], *, is_webhook: bool) -> Answer:
        function, handler, pool = self._ingest if is_webhook else self._api
        context = LambdaContext(function, self._invocation_seconds)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._invocation_seconds):
                return await loop.run_in_executor(pool, _call_handler, function, handler, event, context)
        except TimeoutError:
            _report("invocation.timed_out", function, {"request_id": context.aws_request_id})
            return _UNAVAILABLE
        except asyncio.CancelledError:  # the front ends, and the handler has had the time it gets for that
            return _UNAVAILABLE

    def close(self) -> None:
        """Ends the threads that are idle; those at work end with the process."""
        for _, _, pool in (self._ingest, self._api):
            pool.shutdown(wait=False, cancel_futures=True)


def create_app(
    ingest_handler: Handler, api_handler: Handler, *, invocation_seconds: float = INVOCATION_SECONDS
) -> Front:
    """Returns the ASGI application: webhooks go to ``ingest_handler``, everything else to ``api_handler``.

    Args:
        ingest_handler: takes an event of payload format 2.0 and a context, returns a result of that format.
        api_handler: likewise.
        invocation_seconds: how long a handler may take before the client is answered 503.
    """
    return Front(ingest_handler, api_handler, invocation_seconds)


def _call_handler(function: str, handler: Handler, event: dict[str, Any], context: LambdaContext) -> Answer:
    try:
        return read_result(handler(event, context))
    except Exception as error:  # noqa: BLE001 - whatever a handler raises, the platform answers 500
        fields = {
            "request_id": context.aws_request_id,
            "error": f"{type(error).__name__}: {error}",
            "traceback": traceback.format_exc(),
        }
        _report("invocation.failed", function, fields)
        return _SERVER_ERROR


def _report(message: str, function: str, fields: Mapping[str, object]) -> None:
    write_outcome(message, fields, function=function, environment="local", level="ERROR")


async def _read_body(scope: Mapping[str, Any], receive: Receive) -> tuple[str, bool] | None:
    """Returns the body as the event holds it, or None when there is none. Raises _TooLarge, _Disconnected."""
    content_type, declared_bytes, header_bytes = "", 0, len(scope["raw_path"]) + len(scope["query_string"])
    for name, value in scope["headers"]:
        header_bytes += len(name) + len(value)
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"content-length":
            declared_bytes = int(value)
    if header_bytes > MAX_HEADER_BYTES:
        raise _TooLarge(_LARGE_HEADERS)
    _check_size(declared_bytes, content_type)
    chunks: list[bytes] = []
    length, is_more = 0, True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        length += len(message["body"])
        is_more = message["more_body"]
        if length > MAX_BODY_BYTES:
            raise _TooLarge(_LARGE_BODY)
        if length <= MAX_EVENT_BYTES:
            chunks.append(message["body"])
    _check_size(length, content_type)
    if not length:
        return None
    body = encode_body(b"".join(chunks), content_type)
    if len(body[0]) > MAX_EVENT_BYTES:  # text that is no UTF-8 grew in base64
        raise _TooLarge(_LARGE_EVENT)
    return body


def _check_size(length: int, content_type: str) -> None:
    if length > MAX_BODY_BYTES:
        raise _TooLarge(_LARGE_BODY)
    if measure_body(length, content_type) > MAX_EVENT_BYTES:
        raise _TooLarge(_LARGE_EVENT)


async def _send(answer: Answer, send: Send, *, is_last: bool = True) -> None:
    headers = answer.headers
    if answer.status not in {204, 304}:
        headers = [*headers, (b"content-length", str(len(answer.body)).encode())]
    if not is_last:
        headers = [*headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": not is_last})


async def _refuse(answer: Answer, receive: Receive, send: Send) -> None:
    # The answer goes out whole before the body is read. Closing at once would reset the connection under
    # a sender that still writes, and take the answer with it.
    await _send(answer, send, is_last=False)
    discarded_bytes, is_more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while is_more and discarded_bytes < LINGER_BYTES:
                message = await receive()
                discarded_bytes += len(message.get("body", b""))
                is_more = message.get("more_body", False)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def listen(port: int, host: str = HOST) -> socket.socket:
    """Returns a socket that listens on ``port`` of ``host``; 0 chooses a free one. Raises PortInUse."""
    # Named TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(port, "PORT") from error
        raise
    return listener


def build_server(app: Front, limits: Limits) -> uvicorn.Server:
    """Returns the server; its ``run`` takes the sockets to serve."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=bind_limits(limits),
            loop="asyncio",
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=limits.idle_seconds,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
    )


def load_app() -> Front:
    """Returns the application with the functions of this project, which read their settings. Raises ConfigError."""
    from functions.api import handler as api  # noqa: PLC0415 - importing a handler reads its settings
    from functions.ingest import handler as ingest  # noqa: PLC0415 - likewise

    return create_app(ingest.handle, api.handle)


@click.command()
@click.option("--port", envvar="PORT", type=click.IntRange(0, 65_535), default=8_000, show_default=True)
@click.option("--host", default=HOST, show_default=True, help="The address to listen on.")
def main(port: int, host: str) -> None:
    """Serve webhooks, the API and the console on this machine."""
    try:
        listener = listen(port, host)
        app = load_app()
    except (PortInUse, ConfigError) as fault:
        print(fault, file=sys.stderr)
        sys.exit(1)
    server = build_server(app, Limits(connections=allow_connections(Limits().connections)))
    # uvicorn sends itself the signal once more when it has ended; by then there is nothing left to end.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: None)
    print(f"front: listening on http://{host}:{listener.getsockname()[1]}", flush=True)
    server.run(sockets=[listener])
    app.close()
    sys.stdout.flush()
    # An ordinary exit would wait for a handler that hangs.
    os._exit(0)


if __name__ == "__main__":
    main()
