"""Stands before a sandbox server's routes: records each request, and misbehaves where a fault says so."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.local.sandbox.answers import JsonAnswer
from shared.local.sandbox.faults import Fault, FaultList
from shared.local.sandbox.limits import LimitKeeper
from shared.local.sandbox.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS received (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    query TEXT NOT NULL, headers TEXT NOT NULL, body TEXT, status INTEGER, applied INTEGER NOT NULL DEFAULT 0
);
"""

# The scope's state entry under which the server puts the connection, so that a fault can cut it.
TRANSPORT = "transport"

_READS = {"GET", "HEAD", "OPTIONS"}
_WITHOUT_BODY = {204, 304}
_FIRST_ERROR = 400


class Recorder:
    """An ASGI application around another: the requests it passes on, and the faults it puts in their way.

    Paths that begin with ``/_`` are the sandbox's own controls: neither recorded nor struck by faults.

    Args:
        app: the server's routes.
        store: where received requests are written.
        faults: the faults in force.
        limits: counts requests, and refuses those beyond the limits in force.
        write_error: the body the real service sends with a fault's status.
        list_headers: the headers the real service sends with the answer to a path.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: Store,
        faults: FaultList,
        limits: LimitKeeper,
        write_error: Callable[[Fault], object],
        list_headers: Callable[[str], dict[str, str]],
    ) -> None:
        self._app = app
        self._store = store
        self._faults = faults
        self._limits = limits
        self._write_error = write_error
        self._list_headers = list_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http" or scope["path"].startswith("/_"):
            await self._app(scope, receive, send)
            return
        body = await _read_body(receive)
        if body is None:
            return
        try:
            await self._answer(scope, receive, send, body)
        finally:
            self._limits.end()

    async def _answer(self, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        path = scope["raw_path"].decode("ascii")
        request_id = self._add_request(scope, path, body)
        refusal = self._limits.begin(scope["method"])
        if refusal is not None:
            self._update_request(request_id, refusal.status_code, applied=False)
            await self._send(refusal, {}, scope, receive, send)
            return
        fault = self._faults.take_fault(scope["method"], path)

        answer: Response | None = None
        applied = False
        if fault is None or fault.applied or (fault.status is None and fault.cut != "before"):
            answer = await _ask_app(self._app, scope, receive, body)
            applied = scope["method"] not in _READS and answer.status_code < _FIRST_ERROR
        if fault is not None:
            answer = self._misbehave(fault, answer)
            if fault.delay_seconds:
                self._update_request(request_id, None, applied=applied)
                if not await _hold_back(fault.delay_seconds, receive):
                    return
        self._update_request(request_id, answer.status_code if answer else None, applied=applied)
        if answer is None:
            await _cut_connection(scope, receive)
            return
        await self._send(answer, fault.list_headers() if fault else {}, scope, receive, send)

    async def _send(
        self, answer: Response, own_headers: dict[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        for name, value in (self._list_headers(scope["raw_path"].decode("ascii")) | own_headers).items():
            answer.headers[name] = value
        await answer(scope, receive, send)

    def _misbehave(self, fault: Fault, answer: Response | None) -> Response | None:
        if fault.cut:
            return None
        status = fault.status or (answer.status_code if answer else 200)
        if status in _WITHOUT_BODY:
            return Response(status_code=status)
        if isinstance(fault.body, str):
            return Response(fault.body, status, media_type="text/html")
        if fault.body is not None:
            return JsonAnswer(fault.body, status)
        if answer is None or fault.status is not None:
            return JsonAnswer(self._write_error(fault), status)
        return answer

    def _add_request(self, scope: Scope, path: str, body: bytes) -> int:
        at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        sent = Headers(scope=scope)
        headers = {name: ", ".join(sent.getlist(name)) for name in sent}
        if "authorization" in headers:
            scheme, space, _ = headers["authorization"].partition(" ")
            headers["authorization"] = f"{scheme} ***" if space else "***"
        query = scope["query_string"].decode("latin-1")
        values = (at, scope["method"], path, query, json.dumps(headers), _keep_json(body))
        sql = "INSERT INTO received (at, method, path, query, headers, body) VALUES (?, ?, ?, ?, ?, ?)"
        return self._store.insert_row(sql, values)

    def _update_request(self, request_id: int, status: int | None, *, applied: bool) -> None:
        sql = "UPDATE received SET status = ?, applied = ? WHERE id = ?"
        self._store.change_rows(sql, (status, int(applied), request_id))


def list_received(store: Store, path_prefix: str, method: str | None) -> list[dict[str, object]]:
    """Returns the recorded requests in order of arrival, optionally only some of them."""
    rows = store.list_rows(
        "SELECT * FROM received WHERE substr(path, 1, ?) = ? AND method = coalesce(?, method) ORDER BY id",
        (len(path_prefix), path_prefix, method and method.upper()),
    )
    return [
        {
            "at": row["at"],
            "method": row["method"],
            "path": row["path"],
            "query": row["query"],
            "headers": json.loads(row["headers"]),
            "body": None if row["body"] is None else json.loads(row["body"]),
            "status": row["status"],
            "applied": bool(row["applied"]),
        }
        for row in rows
    ]


async def _read_body(receive: Receive) -> bytes | None:
    """Returns the whole body, or None where the client left before it had sent it."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def _ask_app(app: ASGIApp, scope: Scope, receive: Receive, body: bytes) -> Response:
    """Has the routes answer, and returns their answer instead of sending it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    answer = Response()
    parts: list[bytes] = []

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status_code = message["status"]
            answer.raw_headers = list(message["headers"])
        else:
            parts.append(message.get("body", b""))

    await app(scope, replay, keep)
    answer.body = b"".join(parts)
    return answer


async def _hold_back(seconds: float, receive: Receive) -> bool:
    """Waits, but no longer than the client does; tells whether the client is still there."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await _await_end(receive)
            return False
    return True


async def _cut_connection(scope: Scope, receive: Receive) -> None:
    transport: asyncio.Transport = scope["state"][TRANSPORT]
    transport.abort()
    # The server must have seen the end of the connection, or it would answer 500 for us.
    await _await_end(receive)


async def _await_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _keep_json(body: bytes) -> str | None:
    """Returns a body as it was sent if it is JSON that can be shown again, otherwise None."""
    try:
        json.dumps(json.loads(body), allow_nan=False)
        return body.decode()
    except (ValueError, RecursionError):
        return None
