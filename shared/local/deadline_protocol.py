"""uvicorn's HTTP protocol with deadlines: a slow or silent sender holds a connection only so long.

uvicorn itself waits for the rest of a request for ever, so that a few hundred slow connections add up.
"""

import asyncio
import enum
import resource
from dataclasses import dataclass

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.local.gateway_event import MAX_HEADER_BYTES

# Besides connections the process has open its libraries' files, the log, the queue's connections.
_OTHER_FILES = 128


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a sender may take, in seconds from the start of its request, and how many there may be."""

    header_seconds: float = 10.0
    body_seconds: float = 20.0
    idle_seconds: int = 30
    connections: int = 2_000


class _Phase(enum.Enum):
    IDLE = enum.auto()
    HEADERS = enum.auto()
    BODY = enum.auto()


class DeadlineProtocol(HttpToolsProtocol):
    """One connection. Use the classes that ``bind_limits`` makes."""

    limits: Limits
    # The connections that nobody answers now, the one that waits longest first.
    waiting: "dict[DeadlineProtocol, None]"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Gives the first request until its deadline."""
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._unanswered = 0
        self._watched = _Phase.IDLE
        self._begin_request()
        self._watch()
        self.waiting[self] = None
        # Full: whoever waits longest without completing a request makes room, so that a flood of slow
        # connections pushes out its own.
        if len(self.connections) > self.limits.connections and self.waiting:
            oldest = next(iter(self.waiting))
            del self.waiting[oldest]
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        super().connection_lost(exc)
        self.waiting.pop(self, None)
        self._cancel_timer()

    def data_received(self, data: bytes) -> None:
        """Reads on, within the deadline of what is awaited."""
        if self._phase is _Phase.IDLE:
            self._begin_request()
        self._received_bytes += len(data)
        super().data_received(data)
        if self._phase is _Phase.HEADERS and self._received_bytes > MAX_HEADER_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")
        self._watch()

    def on_message_begin(self) -> None:
        """A further request in the same data starts its own deadline."""
        super().on_message_begin()
        if self._phase is _Phase.IDLE:
            self._begin_request()

    def on_headers_complete(self) -> None:
        """From here on the body's deadline holds."""
        self._phase = _Phase.BODY
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is here: how long its answer takes is not the sender's fault."""
        self._phase = _Phase.IDLE
        self._unanswered += 1
        self.waiting.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The sender's turn again."""
        super().on_response_complete()
        self._unanswered = max(0, self._unanswered - 1)
        if self.transport.is_closing():
            # It closes once the client has taken the answer: it, too, has only so long.
            self._cancel_timer()
            self._timer = self.loop.call_later(self.limits.idle_seconds, self.transport.abort)
        elif not self._unanswered:
            self.waiting[self] = None

    def timeout_keep_alive_handler(self) -> None:
        """Drops the connection, also when the client does not take the last answer."""
        self.transport.abort()

    def _begin_request(self) -> None:
        self._phase = _Phase.HEADERS
        self._begun_at = self.loop.time()
        self._received_bytes = 0

    def _watch(self) -> None:
        if self._phase is self._watched:
            return
        self._watched = self._phase
        self._cancel_timer()
        if self._phase is not _Phase.IDLE:
            self._timer = self.loop.call_at(self._due_at(), self._expire)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due_at(self) -> float:
        is_body = self._phase is _Phase.BODY
        return self._begun_at + (self.limits.body_seconds if is_body else self.limits.header_seconds)

    def _expire(self) -> None:
        if self._unanswered:
            # A pipelined request: reading stands still until the one before it is answered.
            self._begun_at = self.loop.time()
        if self.loop.time() < self._due_at():
            self._timer = self.loop.call_at(self._due_at(), self._expire)
        elif self._received_bytes:
            self._refuse(b"408 Request Timeout")
        else:
            self.transport.abort()

    def _refuse(self, status: bytes) -> None:
        is_started = self._phase is _Phase.BODY and self.cycle.response_started
        if not self._unanswered and not is_started and not self.transport.is_closing():
            message = b'{"message":"' + status[4:] + b'"}'
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\nconnection: close\r\n"
                b"content-length: " + str(len(message)).encode() + b"\r\n\r\n" + message
            )
        self.transport.close()


def bind_limits(limits: Limits) -> type[DeadlineProtocol]:
    """Returns the protocol with its limits, for one server."""

    class BoundProtocol(DeadlineProtocol):
        pass

    BoundProtocol.limits = limits
    BoundProtocol.waiting = {}
    return BoundProtocol


def allow_connections(wanted: int) -> int:
    """Raises this process's limit of open files as far as it may; returns the connections it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - _OTHER_FILES))
