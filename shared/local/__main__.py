"""``python -m shared.local``: the product on one machine."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import httpx
from rich.console import Console

from shared.config import ConfigError
from shared.local.demo import run_demo
from shared.local.free_ports import PortInUse
from shared.local.narrator import Narrator
from shared.local.postgres import PostgresUnavailable
from shared.local.preferences import complete_preferences, find_state_dir, read_preferences
from shared.local.servers import ValkeyUnavailable
from shared.local.stack import NotPrepared, Stack
from shared.local.state_lock import StateDirInUse
from shared.local.supervisor import NotReady, StopRequested, Supervisor
from shared.local.webhook import list_samples, read_sample, send_webhook

_FAULTS = (
    ConfigError,
    NotPrepared,
    NotReady,
    PortInUse,
    PostgresUnavailable,
    StateDirInUse,
    ValkeyUnavailable,
    ValueError,
)
BUCKET = "webhook-orchestrator-bodies"
SECRET_NAME = "webhook-orchestrator/github"  # noqa: S105 - the name of a secret, not the secret
# Where the output is no terminal it is a log, which has no edge.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 1000)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Webhook Orchestrator on one machine. Settings come from the environment and .env; see .env.example."""


@main.command()
def up() -> None:
    """Start everything and stay in the foreground, with a line for each delivery. Ctrl-C stops it all."""
    with _running_stack() as (stack, watch):
        _greet(stack)
        watch.join()


@main.command()
def demo() -> None:
    """Start everything, send real webhooks, and show what became of them. With CI=1, exit 0 or 1 then."""
    with _running_stack() as (stack, watch):
        fault = run_demo(stack, console, watch.is_alive)
        if os.environ.get("CI", "") in {"", "0", "false"}:
            _greet(stack)
            watch.join()
    if fault is not None:
        raise click.ClickException(fault)


@main.command()
@click.argument("event", type=click.Choice(list_samples()))
@click.option("--payload", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Send this file instead.")
def send(event: str, payload: Path | None) -> None:
    """Send a signed webhook of EVENT to the running stack."""
    preferences = read_preferences()
    state_dir = find_state_dir(preferences)
    secret = complete_preferences(preferences, state_dir)["GITHUB_WEBHOOK_SECRET"].split("\n")[0]
    url = f"http://127.0.0.1:{preferences.get('PORT', '8000')}/api/v1/webhooks/github"
    try:
        answer = send_webhook(url, event, payload.read_bytes() if payload else read_sample(event), secret)
    except httpx.HTTPError as error:
        raise click.ClickException(f"{url} does not answer ({error}): is `make up` running?") from error
    click.echo(f"{answer.status_code} {answer.text}")
    if not answer.is_success:
        sys.exit(1)


@main.command()
def prepare() -> None:
    """Migrate DATABASE_URL, and make queues, bucket and secret at AWS_ENDPOINT_URL; print their addresses."""
    from shared import bootstrap  # noqa: PLC0415 - Alembic and boto3 are for this command alone
    from shared.local.queues import create_bucket, create_queues, put_secret  # noqa: PLC0415

    endpoint, region = os.environ.get("AWS_ENDPOINT_URL"), os.environ.get("AWS_REGION", "us-east-1")
    bootstrap.migrate()()
    # A worker that is killed holds its messages this long: on a laptop that should not feel like a hang.
    urls = create_queues(endpoint, region, deliveries_visibility_seconds=20, tasks_visibility_seconds=60)
    create_bucket(endpoint, region, BUCKET)
    put_secret(endpoint, region, SECRET_NAME, os.environ["GITHUB_WEBHOOK_SECRET"])
    settings = {
        "DELIVERIES_QUEUE_URL": urls.deliveries,
        "TASKS_QUEUE_URL": urls.tasks,
        "DELIVERIES_DLQ_URL": urls.deliveries_dlq,
        "TASKS_DLQ_URL": urls.tasks_dlq,
        "BODIES_BUCKET": BUCKET,
        "GITHUB_WEBHOOK_SECRET_ID": SECRET_NAME,
    }
    for name, value in settings.items():
        click.echo(f"{name}={value}")


@contextmanager
def _running_stack() -> Iterator[tuple[Stack, threading.Thread]]:
    """Starts the stack and watches it in a thread that ends when a stop is asked for.

    Whatever ends the block, nothing that was started is left.
    """
    preferences = read_preferences()
    state_dir = find_state_dir(preferences)
    try:
        with Supervisor(state_dir, _tell_progress) as supervisor, supervisor.stop_on_signals():
            watch = threading.Thread(target=supervisor.watch, name="watch")
            try:
                stack = Stack(supervisor, complete_preferences(preferences, state_dir))
                console.print(f"starting (data and logs in {state_dir})", markup=False)
                stack.start()
                watch.start()
                logs = [state_dir / "logs" / f"{name}.log" for name in ("front", "workers")]
                with Narrator(logs, lambda line: console.print(line, markup=False)):
                    yield stack, watch
            finally:
                supervisor.stop_all()
                if watch.is_alive():
                    watch.join()
    except StopRequested:
        console.print("stopped before it was ready")
        sys.exit(128 + signal.SIGTERM)
    except _FAULTS as fault:
        raise click.ClickException(str(fault)) from fault


def _tell_progress(name: str, state: str) -> None:
    console.print(f"  {name:<10} {state}", markup=False)


def _greet(stack: Stack) -> None:
    console.print("[bold green]ready[/]")
    settings = stack.settings
    lines = {
        "webhooks": stack.webhook_url,
        "secret": settings["GITHUB_WEBHOOK_SECRET"],
        "docs": f"{stack.base_url}/docs",
        "metrics": stack.metrics_url,
        "API token": settings["API_TOKEN"],
        "GitHub": settings.get("GITHUB_API_URL", "https://api.github.com"),
        "Codegen": settings.get("CODEGEN_API_URL", "https://api.codegen.com"),
        "addresses": str(stack.state_dir / "endpoints.json"),
        "send one": "make send EVENT=pull_request   (or check_run, push, issue_comment, ping)",
        "look": f"curl -H 'Authorization: Bearer {settings['API_TOKEN']}' {stack.base_url}/api/v1/deliveries",
        "stop": "Ctrl-C",
    }
    for name, value in lines.items():
        console.print(f"  {name:<10} {value}", markup=False)


if __name__ == "__main__":
    main(prog_name="python -m shared.local")
