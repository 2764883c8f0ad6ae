"""The whole stack on one machine: what is started, in which order, with which settings."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import httpx

from shared.local.free_ports import HOST, PortInUse, choose_port, is_free
from shared.local.servers import AWS_CREDENTIALS, plan_servers
from shared.local.supervisor import Given, Program, Supervisor

DEFAULT_PORT = 8000
DEFAULT_METRICS_PORT = 9464
# Every address of a machine: for a container, which has a network of its own.
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only where BIND_HOST asks for it
# Settings of the functions that a user may set; everything else of the user's environment stays outside.
_PASSED_ON = (
    *("PATH", "HOME", "LANG", "TZ", "SSL_CERT_FILE", "HTTPS_PROXY", "NO_PROXY"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"),
    *("GITHUB_WEBHOOK_SECRET", "GITHUB_TOKEN", "GITHUB_APP_ID", "GITHUB_PRIVATE_KEY", "GITHUB_API_URL"),
    *("CODEGEN_TOKEN", "CODEGEN_ORG_ID", "CODEGEN_API_URL", "AGENT_POLL_SECONDS", "HTTP_ALLOWED_HOSTS"),
    *("API_TOKEN", "SECRET_KEY", "ENVIRONMENT", "LOG_LEVEL", "ENABLE_METRICS", "ENABLE_TRACING"),
    *("OWN_LOGINS", "AGENT_LOGINS", "AGENTS_ENABLED", "MAX_AGENT_RUNS_PER_SUBJECT", "MAX_AGENT_RUNS_PER_REPOSITORY"),
    *("MAX_AGENT_RUNS_PER_DAY", "LEASE_SECONDS", "MAX_ATTEMPTS", "RETRY_BASE_SECONDS"),
    *("STRANDED_AFTER_SECONDS", "RECONCILE_SECONDS"),
    "OTEL_EXPORTER_OTLP_ENDPOINT",
)
# A laptop is impatient, and nobody but us is asked.
_DEFAULTS = {
    **AWS_CREDENTIALS,
    "AWS_REGION": "us-east-1",
    "LEASE_SECONDS": "40",
    "STRANDED_AFTER_SECONDS": "15",
    "RETRY_BASE_SECONDS": "2",
}
_SANDBOX_DEFAULTS = {"AGENT_POLL_SECONDS": "1"}


class NotPrepared(RuntimeError):
    """Schema, queues or secret could not be set up; the message is the command's own."""


class Stack:
    """Starts everything under a supervisor.

    Attributes:
        settings: what the functions see; complete once ``start`` has returned.
        webhook_url: where webhooks go.
        base_url: of the front.
        metrics_url: what Prometheus scrapes; complete once ``start`` has returned.
        state_dir: where everything is kept.
    """

    def __init__(self, supervisor: Supervisor, preferences: Mapping[str, str]) -> None:
        self._supervisor = supervisor
        self._preferences = preferences
        self._port = _read_port(preferences, "PORT") or DEFAULT_PORT
        self._metrics_port = _read_port(preferences, "METRICS_PORT")
        self._host = _read_host(preferences)
        self.state_dir = supervisor.state_dir
        self.base_url = f"http://{HOST}:{self._port}"
        self.webhook_url = f"{self.base_url}/api/v1/webhooks/github"
        self.metrics_url = ""
        self.settings = {**_DEFAULTS, **{name: preferences[name] for name in _PASSED_ON if name in preferences}}

    def start(self) -> None:
        """Starts the servers, prepares them, starts sandboxes, front, workers, metrics; each is ready in turn.

        Raises:
            PortInUse, NotReady, NotPrepared: nothing that was started is left when the supervisor ends.
        """
        if not is_free(self._port):
            raise PortInUse(self._port, "PORT")
        servers = plan_servers(self._supervisor.state_dir, self._preferences, self._supervisor.previous_ports)
        for server in servers:
            self._supervisor.start(server)
        for server, name in zip(servers, ("DATABASE_URL", "REDIS_URL", "AWS_ENDPOINT_URL"), strict=True):
            self.settings[name] = self._preferences.get(name) or str(server.address)
        self.settings |= prepare(self.settings)
        for sandbox in self._plan_sandboxes():
            self._supervisor.start(sandbox)
        self._supervisor.start(self._plan_front())
        self._supervisor.start(self._plan_workers())
        self._supervisor.start(self._plan_metrics())

    def _plan_sandboxes(self) -> Iterator[Program | Given]:
        settings = self.settings
        has_github = "GITHUB_TOKEN" in settings or "GITHUB_APP_ID" in settings
        if has_github:
            yield Given("github", settings.get("GITHUB_API_URL", "https://api.github.com"))
        else:
            program = self._plan_sandbox("github")
            settings |= {"GITHUB_API_URL": str(program.address), "GITHUB_TOKEN": "ghs_sandbox"}
            yield program
        if "CODEGEN_TOKEN" in settings:
            yield Given("codegen", settings.get("CODEGEN_API_URL", "https://api.codegen.com"))
        else:
            program = self._plan_sandbox("codegen")
            settings |= {"CODEGEN_API_URL": str(program.address), "CODEGEN_TOKEN": "sandbox", "CODEGEN_ORG_ID": "1"}
            self.settings = {**_SANDBOX_DEFAULTS, **settings}
            yield program

    def _plan_sandbox(self, name: str) -> Program:
        port = choose_port(name, previous=self._supervisor.previous_ports.get(name), avoid=[self._port])
        address = f"http://{HOST}:{port}"
        state = self._supervisor.state_dir / "sandbox"
        return Program(
            name=name,
            argv=(sys.executable, "-m", "shared.local.sandbox", name, "--port", str(port), "--state", str(state)),
            env=self._environment({}),
            cwd=_root(),
            address=address,
            ready=partial(answers, f"{address}/_health"),
        )

    def _plan_front(self) -> Program:
        return Program(
            name="front",
            argv=(sys.executable, "-m", "shared.local.front", "--port", str(self._port), "--host", self._host),
            env=self._environment(self.settings),
            cwd=_root(),
            address=self.base_url,
            ready=partial(answers, f"{self.base_url}/health"),
        )

    def _plan_workers(self) -> Program:
        return Program(
            name="workers",
            argv=(sys.executable, "-m", "shared.local.workers"),
            env=self._environment(self.settings),
            cwd=_root(),
            ready=lambda: True,
            stop_seconds=15.0,
        )

    def _plan_metrics(self) -> Program:
        # The same port each time, so that Prometheus finds it; another where that is taken.
        port = choose_port(
            "METRICS_PORT", requested=self._metrics_port, previous=DEFAULT_METRICS_PORT, avoid=[self._port]
        )
        self.metrics_url = f"http://{HOST}:{port}/metrics"
        logs = [word for name in ("front", "workers") for word in ("--log", str(self.state_dir / f"logs/{name}.log"))]
        where = ("--port", str(port), "--host", self._host, "--front", self.base_url)
        return Program(
            name="metrics",
            argv=(sys.executable, "-m", "shared.local.exporter", *where, *logs),
            env=self._environment(self.settings),
            cwd=_root(),
            address=self.metrics_url,
            ready=lambda: True,  # nothing waits for it, and nothing is to fail with it
        )

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        kept = {name: self._preferences[name] for name in ("PATH", "HOME") if name in self._preferences}
        return {**kept, "PYTHONPATH": str(_root()), **settings}


def prepare(settings: Mapping[str, str]) -> dict[str, str]:
    """Migrates the schema, makes queues, bucket and secret; returns their addresses as settings.

    It runs in a process of its own: what it imports (Alembic, boto3) would stay in this one for ever.

    Raises:
        NotPrepared: with what the process said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "shared.local", "prepare"],
        env={**settings, "PYTHONPATH": str(_root())},
        cwd=_root(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NotPrepared(f"the servers could not be prepared:\n{done.stderr.strip()}")
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def answers(url: str) -> bool:
    """Tells whether a server answers there with success."""
    try:
        return httpx.get(url, timeout=2.0).is_success
    except httpx.HTTPError:
        return False


def _root() -> Path:
    spec = importlib.util.find_spec("shared")
    if spec is None or spec.origin is None:
        raise NotPrepared("the package 'shared' cannot be found: run the command in the project's folder")
    return Path(spec.origin).parent.parent


def _read_port(preferences: Mapping[str, str], setting: str) -> int | None:
    text = preferences.get(setting)
    if text is None:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65_536:  # noqa: PLR2004 - the number of ports
        raise ValueError(f"{setting} must be a port number, not {text!r}")
    return int(text)


def _read_host(preferences: Mapping[str, str]) -> str:
    host = preferences.get("BIND_HOST", HOST)
    if host not in {HOST, EVERYWHERE}:
        raise ValueError(f"BIND_HOST must be {HOST} or {EVERYWHERE}, not {host!r}")
    return host
