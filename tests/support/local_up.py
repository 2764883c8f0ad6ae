"""``python -m shared.local up`` as a process of a test's own, and what its /metrics say."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from shared.local.free_ports import HOST, choose_port
from shared.local.gauges import PREFIX

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read_samples(text: str) -> Samples:
    """Returns the samples of an exposition by name and labels, as Prometheus's own parser reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def sample(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Returns the key of a sample of ours."""
    return (f"{PREFIX}_{name}", tuple(sorted(labels.items())))


def wait_until(is_true: Callable[[], bool]) -> None:
    """Waits for it to come true; fails when it does not in a minute."""
    deadline = time.monotonic() + SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)


class LocalUp:
    """``python -m shared.local up`` in a directory of its own."""

    def __init__(self, state_dir: Path, **settings: str) -> None:
        self.state_dir = state_dir
        self.port, self.metrics_port = choose_port("PORT"), choose_port("METRICS_PORT")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(state_dir),
            "STATE_DIR": str(state_dir),
            "PORT": str(self.port),
            "METRICS_PORT": str(self.metrics_port),
            **settings,
        }
        self.out = state_dir.with_suffix(".out")

    @contextlib.contextmanager
    def start(self) -> Iterator[None]:
        """Runs it while the block lasts, which begins when it is ready."""
        with self.out.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "shared.local", "up"],
                cwd=ROOT,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(lambda: process.poll() is not None or "\nready\n" in self.out.read_text())
            assert process.poll() is None, self.out.read_text()
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(SECONDS)

    def send(self, event: str) -> None:
        """Sends the sample webhook of an event."""
        command = [sys.executable, "-m", "shared.local", "send", event]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=True, capture_output=True)

    def scrape(self) -> Samples:
        """Returns what /metrics says; nothing while nobody listens there yet."""
        try:
            return read_samples(httpx.get(f"http://{HOST}:{self.metrics_port}/metrics", timeout=SECONDS).text)
        except httpx.ConnectError:
            return {}

    @property
    def endpoints(self) -> dict[str, Any]:
        """Returns what runs where."""
        endpoints: dict[str, Any] = json.loads((self.state_dir / "endpoints.json").read_text())
        return endpoints
