"""Real sandbox server processes for tests, and checks of their answers against the OpenAPI documents."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from openapi_core import OpenAPI
from openapi_core.templating.responses.exceptions import ResponseNotFound
from openapi_core.testing import MockRequest, MockResponse

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
_START_SECONDS = 30


class SandboxServer:
    """``python -m shared.local.sandbox`` on a free port of 127.0.0.1, with a client that follows it."""

    def __init__(self, kind: str, state: Path, *options: str) -> None:
        self.port = _find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "shared.local.sandbox", kind, "--port", str(self.port)]
        self._command += ["--state", str(state), *options]
        headers = {"Authorization": "Bearer made-up", "User-Agent": "test"}
        self.client = httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30)
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(self._command, cwd=ROOT)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                self.client.get("/_health").raise_for_status()
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return process
        self.client.close()
        process.kill()
        process.wait()
        raise RuntimeError(f"{self._command} did not start")

    def kill_and_restart(self) -> None:
        """Kills the process as an out-of-memory killer would, and starts it again on the same state."""
        self.process.kill()
        self.process.wait()
        self.process = self._start()

    def stop(self) -> int:
        """Asks the process to end, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def add_faults(self, *faults: dict[str, Any]) -> None:
        """Has the server misbehave."""
        self.client.post("/_faults", json=faults).raise_for_status()

    def list_received(self, **filters: str) -> list[dict[str, Any]]:
        """Returns what the server received, in order of arrival."""
        received: list[dict[str, Any]] = self.client.get("/_received", params=filters).json()
        return received

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()


class Contract:
    """An OpenAPI document that answers are checked against.

    Args:
        file_name: the document, in ``tests/data``.
        host_url: the real service's address.
        error_keys: the strings that an error has whose status the document does not declare.
    """

    def __init__(self, file_name: str, host_url: str, error_keys: set[str]) -> None:
        self._openapi = OpenAPI.from_dict(json.loads((DATA / file_name).read_text(), object_hook=_allow_null))
        self._host_url = host_url
        self._error_keys = error_keys

    def check(self, response: httpx.Response, status: int) -> Any:  # noqa: ANN401 - JSON of any form
        """Returns an answer's JSON, having checked its status and that the document describes it.

        Raises:
            AssertionError: the status is another.
            openapi_core.exceptions.OpenAPIError: the document does not allow the answer.
        """
        assert response.status_code == status, response.text
        url = response.request.url
        path = _read_path(url)
        request = MockRequest(self._host_url, response.request.method, path, args=dict(url.params))
        answer = MockResponse(
            response.content,
            response.status_code,
            dict(response.headers),
            response.headers.get("content-type", ""),
        )
        try:
            self._openapi.validate_response(request, answer)
        except ResponseNotFound:
            assert status >= 400
            assert self._error_keys <= set(response.json())
        return response.json() if response.content else None

    def check_request(self, request: httpx.Request) -> None:
        """Checks that the document describes a request.

        Raises:
            openapi_core.exceptions.OpenAPIError: it does not.
        """
        path = _read_path(request.url)
        self._openapi.validate_request(
            MockRequest(
                self._host_url,
                request.method,
                path,
                args=dict(request.url.params),
                headers=dict(request.headers),
                data=request.content or None,
                content_type=request.headers.get("content-type", ""),
            )
        )


def _allow_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Takes GitHub by its meaning: a nullable enumeration has null among its values, which OpenAPI wants spelled out.

    https://github.com/OAI/OpenAPI-Specification/blob/main/proposals/2019-10-31-Clarify-Nullable.md
    """
    if schema.get("nullable") is True and None not in schema.get("enum", [None]):
        schema["enum"].append(None)
    return schema


def _read_path(url: httpx.URL) -> str:
    # What stands between two slashes is one parameter to openapi-core; a file's path has slashes of its own.
    before, contents, file = url.raw_path.decode().partition("?")[0].partition("/contents/")
    return before + contents + file.replace("/", "%2F")


def _find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
