"""X-Ray: each request that leaves a function is told to Lambda's daemon, as a subsegment of the function's own segment.

Lambda makes the segment and decides whether it is recorded. AWS's SDK does the rest for 200 ms of CPU at each cold
start, because importing it makes a client of botocore's to ask for sampling rules that are of no use here; what is
sent is tested against what it would send.
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html#api-segmentdocuments-subsegments
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx

# https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-daemon
_HEADER = b'{"format":"json","version":1}\n'


class Trace(NamedTuple):
    """The invocation's trace, and where it is told of.

    Attributes:
        root: the trace's id.
        parent: of the function's segment.
        daemon: host and port.
    """

    root: str
    parent: str
    daemon: tuple[str, int]


def read_trace(environ: Mapping[str, str] = os.environ) -> Trace | None:
    """Returns the trace of the current invocation, or None when it is not recorded, or not on Lambda.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    """
    parts = dict(part.partition("=")[::2] for part in environ.get("_X_AMZN_TRACE_ID", "").split(";"))
    host, _, port = environ.get("AWS_XRAY_DAEMON_ADDRESS", "").rpartition(":")
    if parts.get("Sampled") != "1" or not parts.get("Root") or not parts.get("Parent") or not port.isdecimal():
        return None
    return Trace(parts["Root"], parts["Parent"], (host, int(port)))


class TracedClient(httpx.Client):
    """An HTTP client whose requests are in the trace.

    Args:
        is_traced: whether they are.
        is_path_told: whether the trace names their paths; their queries it never does.
        options: httpx's own.
    """

    def __init__(self, *, is_traced: bool, is_path_told: bool = True, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self._is_traced = is_traced
        self._is_path_told = is_path_told

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Sends the request. Raises what httpx raises."""
        trace = read_trace() if self._is_traced else None
        if trace is None:
            return super().send(request, **options)
        started_at = time.time()
        response = None
        try:
            response = super().send(request, **options)
        finally:
            _tell(trace, self._describe(request, response, started_at))
        return response

    def _describe(self, request: httpx.Request, response: httpx.Response | None, started_at: float) -> dict[str, Any]:
        # Not of the URL, which may name the address that was checked.
        host = request.headers["host"]
        path = request.url.raw_path.partition(b"?")[0].decode("ascii") if self._is_path_told else "/"
        http: dict[str, Any] = {"request": {"method": request.method, "url": f"{request.url.scheme}://{host}{path}"}}
        if response is not None:
            http["response"] = {"status": response.status_code}
        return {
            "name": host,
            "type": "subsegment",
            "namespace": "remote",
            "start_time": started_at,
            "end_time": time.time(),
            "http": http,
            **_flags(response),
        }


def _flags(response: httpx.Response | None) -> dict[str, bool]:
    if response is None or response.is_server_error:
        return {"fault": True}
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return {"error": True, "throttle": True}
    return {"error": True} if response.is_client_error else {}


def _tell(trace: Trace, subsegment: dict[str, Any]) -> None:
    document = {"id": os.urandom(8).hex(), "trace_id": trace.root, "parent_id": trace.parent, **subsegment}
    # A trace that is lost loses nothing else.
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.settimeout(0)
        daemon.sendto(_HEADER + json.dumps(document).encode(), trace.daemon)
