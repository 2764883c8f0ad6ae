"""``orchestrator``, or ``python -m shared.cli``."""

import click

from shared.cli.workflows import workflows


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Webhook Orchestrator's command for those who write workflows."""


main.add_command(workflows)

if __name__ == "__main__":
    main(prog_name="orchestrator")
