"""Lambda's Runtime API, for the client that AWS itself runs (``awslambdaric``).

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self

TIMEOUT_SECONDS = 30
_PREFIX = "/2018-06-01/runtime/"


class Outcome(NamedTuple):
    """What the function answered, or how it failed: JSON as the client sent it."""

    is_error: bool
    body: bytes


class InvocationFailed(RuntimeError):
    """The function raised, did not start or did not answer; the message is what the client sent about it."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def do_GET(self) -> None:
        """``next``: blocks until there is an event."""
        self.server.outcomes.put(None)  # idle: ready for an event
        event = self.server.events.get()
        if event is None:  # closing: the client's connection ends without an answer
            self.close_connection = True
            return
        request_id, now = str(uuid.uuid4()), time.time()
        self._answer(
            200,
            event,
            {
                "Lambda-Runtime-Aws-Request-Id": request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((now + TIMEOUT_SECONDS) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:benchmark",
                "Lambda-Runtime-Trace-Id": f"Root=1-{int(now):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
            },
        )

    def do_POST(self) -> None:
        """``response``, ``error`` and ``init/error``; the client sends large bodies in chunks."""
        body = self._read_chunks() if "chunked" in self.headers.get("Transfer-Encoding", "") else self._read_body()
        self._answer(202, b'{"status":"OK"}', {})
        self.server.outcomes.put(Outcome(self.path.endswith("/error"), body))

    def _read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _read_chunks(self) -> bytes:
        chunks = []
        while length := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the class it overrides
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: queue.Queue[bytes | None] = queue.Queue()
        # None when the client asks for the next event.
        self.outcomes: queue.Queue[Outcome | None] = queue.Queue()


class LambdaFunction:
    """A function in a process of its own, under the real runtime client; a context manager that ends it.

    Args:
        handler: ``package.module.function``.
        environment: all that the process sees, besides what Lambda sets.
        interpreter: which Python, with its options.

    Raises:
        InvocationFailed: on entry, when the function does not start.
    """

    def __init__(
        self, handler: str, environment: Mapping[str, str], interpreter: Sequence[str] = (sys.executable,)
    ) -> None:
        self._handler = handler
        self._environment = environment
        self._interpreter = interpreter

    def __enter__(self) -> Self:
        """Starts the function and waits until it asks for its first event."""
        self._server = _Server()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self._process = subprocess.Popen(
            [*self._interpreter, "-m", "awslambdaric", self._handler],
            env={
                **self._environment,
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
                "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self.pid = self._process.pid
        try:
            self._expect_idle()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def invoke(self, event: bytes) -> bytes:
        """Returns the answer to ``event``, once the function is idle again. Raises InvocationFailed."""
        self._server.events.put(event)
        outcome = self._take()
        self._expect_idle()
        if outcome is None or outcome.is_error:
            raise InvocationFailed(outcome.body.decode() if outcome is not None else "there was no answer")
        return outcome.body

    def _expect_idle(self) -> None:
        outcome = self._take()
        if outcome is not None:
            raise InvocationFailed(outcome.body.decode())

    def _take(self) -> Outcome | None:
        try:
            return self._server.outcomes.get(timeout=TIMEOUT_SECONDS)
        except queue.Empty:
            raise InvocationFailed(f"{self._handler} did not answer in {TIMEOUT_SECONDS} s") from None

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._server.events.put(None)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
