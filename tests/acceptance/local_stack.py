"""The product as ``make up`` starts it, driven from outside: webhooks in, its API and its sandboxes read."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3  # type: ignore[import-untyped]  # it ships no types
import httpx
import psutil

from shared.adapters.codegen.answers import MARK
from shared.domain.payload import TYPE_JSON
from shared.domain.statuses import Status
from shared.local.endpoints import Endpoint, read_endpoints
from shared.local.free_ports import HOST, choose_port
from shared.local.lifeline import is_alive
from shared.local.servers import AWS_CREDENTIALS
from shared.local.webhook import build_headers, read_sample

ROOT = Path(__file__).parents[2]
WALKING_PATH = Path(__file__).with_name("walking-path.yml")
PATH = "/api/v1/webhooks/github"
# Each would be found in a log or an answer.
SECRET = "canary-webhook-secret-5b1f"
API_TOKEN = "canary-api-token-97d2"

START_SECONDS = 120
STOP_SECONDS = 60
# A deadline ends a test that hangs; nothing is measured by it.
DEADLINE_SECONDS = 240
PAUSE_SECONDS = 0.1

_MARKER = re.compile(r"<!-- webhook-orchestrator effect=([0-9a-f-]{36}) -->")


def wait_until(is_true: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Waits. Raises AssertionError when ``what`` has not come true by then."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"within {seconds} s it did not come true that {what}"
        time.sleep(PAUSE_SECONDS)


class LocalStack:
    """``python -m shared.local up`` in a process of its own, and all that it starts.

    At the end of its block it is stopped; within, it is started when told to.

    Args:
        state_dir: where it keeps its data.
        workflows: a file of the organisation's, in force from the first delivery on; None: the defaults as they ship.
        settings: of the environment; a developer's own environment and ``.env`` stay outside.
    """

    def __init__(self, state_dir: Path, *, workflows: Path | None = WALKING_PATH, **settings: str) -> None:
        self.state_dir = state_dir
        self._workflows = workflows
        self.secret = SECRET
        self.port = choose_port("PORT")
        self._metrics_port = choose_port("METRICS_PORT", avoid=[self.port])
        self.url = f"http://{HOST}:{self.port}"
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=30.0)
        self.client.headers["authorization"] = f"Bearer {API_TOKEN}"
        self.settings = settings
        self._numbers = itertools.count(1_000)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()
        self.client.close()

    def launch(self) -> "subprocess.Popen[bytes]":
        """Starts the command and does not wait for it to be ready."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.state_dir.parent),
            "PYTHONPATH": str(ROOT),
            "PORT": str(self.port),
            "METRICS_PORT": str(self._metrics_port),
            "STATE_DIR": str(self.state_dir),
            "API_TOKEN": API_TOKEN,
            "GITHUB_WEBHOOK_SECRET": SECRET,
            **self.settings,
        }
        with self.output_path.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "shared.local", "up"],
                cwd=self.state_dir.parent,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self._process

    def start(self) -> None:
        """Starts it and returns when it says that it is ready."""
        process = self.launch()

        def is_ready() -> bool:
            assert process.poll() is None, self.output
            return "\nready\n" in self.output

        wait_until(is_ready, "the stack is ready", START_SECONDS)
        if self._workflows is not None:
            self.client.put("/api/v1/workflows", content=self._workflows.read_bytes()).raise_for_status()

    def run_to_end(self) -> int:
        """Starts the command, which ends by itself; returns its exit code."""
        process = self.launch()
        self._process = None
        return process.wait(START_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it with a signal and returns its exit code. Raises AssertionError when a process is left."""
        assert self._process is not None
        process, self._process = self._process, None
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        code = process.wait(STOP_SECONDS)
        assert [child for child in family if is_alive(child)] == []
        return code

    @property
    def output_path(self) -> Path:
        """Where what it prints is kept."""
        return self.state_dir.with_suffix(".output")

    @property
    def output(self) -> str:
        """What it has printed since its last start."""
        return self.output_path.read_text()

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """What ``endpoints.json`` says."""
        return read_endpoints(self.state_dir / "endpoints.json")

    def address(self, name: str) -> str:
        """Returns the address of a server."""
        address = self.endpoints[name]["address"]
        assert address is not None
        return address

    def signal(self, name: str, number: signal.Signals) -> int:
        """Sends a signal to a program, once it runs; returns its process id."""
        wait_until(lambda: self.endpoints[name]["pid"] is not None, f"{name} runs")
        pid = self.endpoints[name]["pid"]
        assert pid is not None
        os.kill(pid, number)
        return pid

    def connect_aws(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Returns a client of the stack's AWS, to be closed."""
        return boto3.client(
            service,
            endpoint_url=self.address("aws"),
            region_name="us-east-1",
            aws_access_key_id=AWS_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=AWS_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def send(self, event: str, body: bytes, delivery_id: str | None = None, secret: str | None = None) -> str:
        """Sends a webhook, which must be accepted; returns its delivery id."""
        answer = self.post(event, body, delivery_id, secret)
        assert answer.status_code == (200 if event == "ping" else 202), answer.text
        accepted: str = answer.json()["delivery_id"]
        return accepted

    def post(
        self,
        event: str,
        body: bytes,
        delivery_id: str | None = None,
        secret: str | None = None,
        timeout_seconds: float = 30.0,
    ) -> httpx.Response:
        """Sends a webhook and returns the answer."""
        headers = build_headers(event, body, secret or self.secret, delivery_id, TYPE_JSON)
        return self.client.post(PATH, content=body, headers=headers, timeout=timeout_seconds)

    def open_pull_request(self) -> tuple[str, bytes]:
        """Returns a number no other pull request of this stack has, and the payload that opens it."""
        number = next(self._numbers)
        payload = json.loads(read_sample("pull_request"))
        payload["number"] = payload["pull_request"]["number"] = number
        return str(number), json.dumps(payload).encode()

    def get(self, path: str, **parameters: str | int) -> Any:  # noqa: ANN401 - JSON of any form
        """Returns what the API answers, which must be a success."""
        answer = self.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def read_delivery(self, delivery_id: str) -> dict[str, Any] | None:
        """Returns a delivery, or None when the API does not know it (yet)."""
        answer = self.client.get(f"/api/v1/deliveries/{delivery_id}")
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def follow(self, delivery_id: str, *, to_end: bool = True) -> dict[str, Any]:
        """Returns a delivery once it is routed and, unless told otherwise, all its runs have ended."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            document = self.read_delivery(delivery_id)
            if document is None:
                return False
            found[:] = [document]
            return not to_end or all(Status(run["status"]).is_final for run in document["runs"])

        deadline = time.monotonic() + DEADLINE_SECONDS
        while not is_there():
            assert time.monotonic() < deadline, found or f"delivery {delivery_id} is nowhere"
            time.sleep(PAUSE_SECONDS)
        return found[0]

    def list_received(self, name: str, **filters: str) -> list[dict[str, Any]]:
        """Returns what a sandbox server has received, in order of arrival."""
        answer = httpx.get(f"{self.address(name)}/_received", params=filters, trust_env=False, timeout=30.0)
        received: list[dict[str, Any]] = answer.raise_for_status().json()
        return received

    def add_faults(self, name: str, *faults: Mapping[str, object]) -> None:
        """Has a sandbox server misbehave."""
        httpx.post(f"{self.address(name)}/_faults", json=faults, trust_env=False).raise_for_status()

    def clear_faults(self, name: str) -> None:
        """Has a sandbox server behave again."""
        httpx.delete(f"{self.address(name)}/_faults", trust_env=False).raise_for_status()

    def put_file(self, repository: str, path: str, text: str) -> None:
        """Puts a file onto the default branch of a repository at the sandbox GitHub."""
        url = f"{self.address('github')}/_contents/{repository}/{path}"
        httpx.put(url, content=text.encode(), trust_env=False).raise_for_status()

    def read_logs(self) -> str:
        """Returns everything that every program has logged."""
        return "\n".join(path.read_text(errors="replace") for path in sorted((self.state_dir / "logs").iterdir()))


def check_once(stack: LocalStack, documents: Iterable[Mapping[str, Any]]) -> None:
    """Checks that each delivery of an opened pull request had one run, one agent run and one comment.

    Raises:
        AssertionError: naming what is missing or was done twice, by our records and by the sandboxes'.
    """
    wanted, recorded_runs, recorded_marks = Counter[str](), Counter[str](), Counter[str]()
    for document in documents:
        wanted[document["subject"]] += 1
        assert document["status"] == "succeeded", document
        for run in document["runs"]:
            recorded_runs[document["subject"]] += 1
            assert run["status"] == "succeeded", run
            assert [task["status"] for task in run["tasks"]] == ["succeeded", "succeeded"], run
            assert len(run["tasks"][0]["agent_runs"]) == 1, run
            effects = [effect for task in run["tasks"] for effect in task["effects"]]
            assert [effect["status"] for effect in effects] == ["done", "done"], run
            recorded_marks.update(effect["effect_id"] for effect in effects)
    _check_counts("runs", recorded_runs, wanted)

    comments, agent_runs, marks = Counter[str](), Counter[str](), Counter[str]()
    for request in stack.list_received("github", method="POST"):
        if request["applied"] and request["path"].endswith("/comments"):
            _, _, owner, repository, _, number, _ = request["path"].split("/")
            comments[f"{owner}/{repository}#{number}"] += 1
            marks.update(_MARKER.findall(request["body"]["body"]))
    for request in stack.list_received("codegen", method="POST"):
        if request["applied"] and request["path"].endswith("/agent/run"):
            agent_runs[request["body"]["metadata"]["subject"]] += 1
            marks[request["body"]["metadata"][MARK]] += 1
    _check_counts("comments", comments, wanted)
    _check_counts("agent runs", agent_runs, wanted)
    _check_counts("marks of effects", marks, recorded_marks)


def _check_counts(noun: str, found: Counter[str], wanted: Counter[str]) -> None:
    differing = {key: found[key] for key in wanted if found[key] != wanted[key]}
    assert not differing, f"{noun}, each wanted once: {differing}"
