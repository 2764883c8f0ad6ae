"""``orchestrator workflows``: check, simulate, backtest and schema.

Exit codes: 0 all is well; 1 there are faults, or what is needed cannot be reached; 2 the command is not used rightly.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec
from uuid import UUID

import click

from shared import bootstrap
from shared.adapters.workflow_files import WorkflowFile, read_workflow_file
from shared.config import ConfigError
from shared.domain.delivery import build_document
from shared.domain.errors import Refused, Transient
from shared.domain.events import EVENTS
from shared.domain.pattern_operators import find_nearest
from shared.domain.payload import parse_payload
from shared.domain.simulation import Simulation, simulate
from shared.domain.subject import derive_subject
from shared.domain.trigger import DURATION
from shared.domain.workflow_schema import build_schema
from shared.usecases.backtest import Backtest, Difference, backtest, read_stored

SHOWN_DIFFERENCES: Final = 10

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FILE: Final = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_JSON: Final = click.option("--json", "is_json", is_flag=True, help="Print JSON, for programs.")

_Arguments = ParamSpec("_Arguments")


@click.group()
def workflows() -> None:
    """Check workflow files and see what they would do."""


def _tell_trouble(command: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """Has a command say in one line what it cannot reach or read."""

    @wraps(command)
    def run(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> None:
        try:
            command(*arguments, **options)
        except (ConfigError, Transient, Refused) as trouble:
            raise click.ClickException(str(trouble)) from trouble

    return run


@workflows.command()
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@_JSON
def check(files: Sequence[Path], *, is_json: bool) -> None:
    """Find every fault in workflow files: line, key path, what is expected, and what was probably meant."""
    read = {str(path): read_workflow_file(path.read_bytes(), str(path)) for path in files}
    if is_json:
        _print_json({name: _describe_file(found) for name, found in read.items()})
    else:
        for name, found in read.items():
            for fault in found.faults:
                click.echo(str(fault))
            click.echo(
                f"{name}: {_count(len(found.workflows), 'sound workflow')}, {_count(len(found.faults), 'fault')}"
            )
    sys.exit(1 if any(found.faults for found in read.values()) else 0)


@workflows.command(name="simulate")
@click.argument("file", type=_FILE)
@click.option("--event", help="GitHub's name of the event, with --payload.")
@click.option("--payload", type=_FILE, help="The payload, GitHub's JSON.")
@click.option("--delivery", type=click.UUID, help="A stored delivery instead, by its X-GitHub-Delivery (DATABASE_URL).")
@_JSON
@_tell_trouble
def simulate_file(file: Path, event: str | None, payload: Path | None, delivery: UUID | None, *, is_json: bool) -> None:
    """Print every workflow's verdict on one delivery, clause by clause. Nothing is done."""
    found = read_workflow_file(file.read_bytes(), str(file))
    if delivery is not None and event is None and payload is None:
        about = _read_delivery(delivery)
    elif delivery is None and event is not None and payload is not None:
        about = _read_payload(event, payload)
    else:
        raise click.UsageError("give either --event and --payload, or --delivery")
    verdicts = {workflow.name: simulate(workflow, *about) for workflow in found.workflows}
    if is_json:
        _print_json({name: _describe_simulation(each) for name, each in verdicts.items()})
    else:
        for name, each in verdicts.items():
            _print_simulation(name, each)
    _exit_with_faults(found)


@workflows.command(name="backtest")
@click.argument("file", type=_FILE)
@click.option("--since", default="7d", show_default=True, metavar="DURATION", help="How far back: 30m, 12h, 7d.")
@_JSON
@_tell_trouble
def backtest_file(file: Path, since: str, *, is_json: bool) -> None:
    """Try a draft on the stored deliveries (DATABASE_URL): what it would have matched, beside what did match."""
    found = read_workflow_file(file.read_bytes(), str(file))
    read = re.fullmatch(DURATION, since)
    if read is None or int(read[1]) > 10_000:  # noqa: PLR2004 - beyond which dates end
        raise click.BadParameter("must be a duration such as 30m, 12h or 7d", param_hint="--since")
    begin = datetime.now(UTC) - timedelta(**{_UNITS[read[2]]: int(read[1])})
    with bootstrap.stored() as (deliveries, bodies):
        count = deliveries.count_since(begin)
        with click.progressbar(length=count, label="deliveries", file=sys.stderr, show_pos=True) as bar:
            report = backtest(found.workflows, deliveries, bodies, begin, bar.update)
    if is_json:
        _print_json(asdict(report))
    else:
        lacking = f", {report.unreadable} of them without a body that can be read" if report.unreadable else ""
        click.echo(f"{_count(report.deliveries, 'delivery', 'deliveries')} since {begin:%Y-%m-%d %H:%M}Z{lacking}")
        for name, each in report.workflows.items():
            _print_backtest(name, each)
    _exit_with_faults(found)


@workflows.command()
def schema() -> None:
    """Print the JSON Schema of workflow files, for editors."""
    _print_json(build_schema())


_About = tuple[str, str | None, dict[str, Any]]


def _read_payload(event: str, path: Path) -> _About:
    if event not in EVENTS:
        near = find_nearest(event, EVENTS)
        hint = f"; did you mean {near}?" if near else ""
        raise click.BadParameter(f"GitHub has no event {event!r}{hint}", param_hint="--event")
    payload = parse_payload(path.read_bytes())
    action = payload.get("action")
    document = build_document(event, "simulated", payload, derive_subject(event, payload))
    return event, action if isinstance(action, str) else None, document


def _read_delivery(delivery_id: UUID) -> _About:
    with bootstrap.stored() as (deliveries, bodies):
        stored = deliveries.find(delivery_id)
        if stored is None:
            raise click.ClickException(f"there is no stored delivery {delivery_id}")
        delivery = read_stored(stored, bodies)
    if delivery is None:
        raise click.ClickException("the delivery's body cannot be read: a large one needs BODIES_BUCKET")
    return delivery.envelope.event, delivery.action, delivery.document


def _exit_with_faults(found: WorkflowFile) -> None:
    for fault in found.faults:
        click.echo(str(fault), err=True)
    sys.exit(1 if found.faults else 0)


def _print_simulation(name: str, simulation: Simulation) -> None:
    word = "matched" if simulation.matched else "not matched"
    click.echo(f"{name}: {word}: {simulation.because}")
    for clause in simulation.clauses:
        within = "".join(f"{alternative}: " for alternative in clause.alternatives)
        click.echo(
            f"  {'yes' if clause.matched else 'no ':<3}  {within}{clause.path} is {clause.seen}, wants {clause.wants}"
        )


def _print_backtest(name: str, result: Backtest) -> None:
    click.echo(f"{name}: would have matched {result.would_match}, did match {result.did_match}, both {result.both}")
    kinds = (
        ("would also have matched", result.gained, result.would_match - result.both),
        ("would no longer have matched", result.lost, result.did_match - result.both),
    )
    for words, differences, count in kinds:
        if count:
            click.echo(f"  {words} {count}:")
        for each in differences[:SHOWN_DIFFERENCES]:
            click.echo(f"    {_show_difference(each)}")
        if count > SHOWN_DIFFERENCES:
            click.echo(f"    and {count - SHOWN_DIFFERENCES} more")


def _show_difference(difference: Difference) -> str:
    received = datetime.fromtimestamp(difference.received_at / 1000, UTC)
    event = f"{difference.event}.{difference.action}" if difference.action else difference.event
    return f"{received:%Y-%m-%d %H:%M}Z {difference.delivery_id} {event} {difference.subject}: {difference.because}"


def _describe_file(found: WorkflowFile) -> dict[str, Any]:
    return {
        "workflows": [workflow.name for workflow in found.workflows],
        "faults": [asdict(fault) for fault in found.faults],
    }


def _describe_simulation(simulation: Simulation) -> dict[str, Any]:
    return {**simulation._asdict(), "clauses": [clause._asdict() for clause in simulation.clauses]}


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=1, ensure_ascii=False))


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one}" if number == 1 else f"{number} {many or one + 's'}"
