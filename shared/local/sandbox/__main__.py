"""``python -m shared.local.sandbox``: starts a sandbox server in the foreground."""

from pathlib import Path

import click

from shared.local.sandbox import codegen, github
from shared.local.sandbox.server import HOST, serve

port_option = click.option(
    "--port", type=click.IntRange(1, 65535), required=True, help=f"TCP port to listen on, at {HOST}."
)
state_option = click.option(
    "--state",
    "state_directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder that keeps the server's state; made where it is missing.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Sandbox servers that stand in for GitHub and Codegen on a machine without tokens.

    Both show what they received at GET /_received, take faults at POST /_faults (DELETE clears them), limit
    requests as POST /_limits says (GET tells how they were heeded), start afresh at POST /_reset and answer
    GET /_health.
    """


@main.command("github")
@port_option
@state_option
def start_github(port: int, state_directory: Path) -> None:
    """Stand in for api.github.com. POST /_subjects scripts issues and pull requests."""
    base_url = f"http://{HOST}:{port}"
    serve(github.build_server(state_directory, base_url), port)


@main.command("codegen")
@port_option
@state_option
@click.option(
    "--run-seconds",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    help="How long an agent run is active. POST /_outcome scripts how runs end.",
)
def start_codegen(port: int, state_directory: Path, run_seconds: float) -> None:
    """Stand in for api.codegen.com."""
    base_url = f"http://{HOST}:{port}"
    serve(codegen.build_server(state_directory, base_url, run_seconds), port)


if __name__ == "__main__":
    main(prog_name="python -m shared.local.sandbox")
