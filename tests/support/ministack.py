"""A ministack of a test's own: SQS, S3 and Secrets Manager on a free port."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from shared.local.free_ports import HOST, choose_port

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
START_SECONDS = 30
STOP_SECONDS = 20


@contextlib.contextmanager
def run_ministack(directory: Path, port: int | None = None) -> Iterator[str]:
    """Runs ministack with its files in ``directory``; gives its endpoint.

    Args:
        directory: an empty directory.
        port: to listen on, or None for a free one.
    """
    port = choose_port("GATEWAY_PORT") if port is None else port
    endpoint = f"http://{HOST}:{port}"
    temporary = directory / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {
        **CREDENTIALS,
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "TMPDIR": str(temporary),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "LAMBDA_EXECUTOR": "local",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{directory / 'no-docker.sock'}",
    }
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _await_health(endpoint, process)
        yield endpoint
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_health(endpoint: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{endpoint}/_ministack/health").is_success:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("ministack did not start")
        time.sleep(0.05)
