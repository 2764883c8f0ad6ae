"""``python -m tests.benchmarks``: measures, prints one table, exits with 1 when a budget is not kept."""

import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from tests.benchmarks.end_to_end import measure_end_to_end
from tests.benchmarks.ingest_cost import measure_ingest
from tests.benchmarks.matching_cost import measure_matching
from tests.benchmarks.packaged_init import measure_packaged
from tests.benchmarks.table import Figure, print_figures

PARTS = ("packaged", "ingest", "matching", "end-to-end")
WIDTH = 110  # where there is no terminal to ask
NOTES = """\
CPU time of processes, not the wall clock. What has a baseline was measured in turns with it, in many short rounds,
and the cheapest round of each stands here: whatever else the machine does can only add. Of memory, the largest
stands.

Packaged: unzipped sizes of what is deployed, for arm64, with bytecode; and each function started from its code and
layer alone, laid out as Lambda does, net of the runtime client's own. The layers are installed by the same locks for
this machine's processor, under Python 3.13 where there is one, with the bytecode that is deployed. Baseline: the plain
boto3 handler. Reading secrets, which waits for the network, is no part of it.

Ingest: real payloads of 7 to 27 KB, under Lambda's own runtime client, against a local SQS endpoint. Baseline: a
plain boto3 handler that verifies, parses and sends; it neither logs nor counts. Refused: the handler alone, the
median.

Verdicts: 200 workflows that all react to the event, judged on a real payload of 25 KB, the document included.

End to end: a signed POST, over 6 connections, to the recorded delivery with its run and first task; real payloads,
21 KB on average; the workflows that ship, whose runs neither wait for nor supersede each other. What a task does to
GitHub or Codegen is no part of it. Baseline: the same job on FastAPI, Celery, Redis and Postgres, with the same Postgres and Valkey programs and the same client; it publishes from a thread, keeps
the payload as jsonb, logs at level info, and works in the solo pool. The last thousand deliveries of one instance
are measured in turns with the first of a fresh one; the emulator's queues are renewed on the way there, for it slows
down with what it remembers."""


@click.command()
@click.option("--quick", is_flag=True, help="4,000 deliveries end to end rather than 20,000.")
@click.option("--part", type=click.Choice(PARTS), multiple=True, help="Only this part; all unless given.")
def main(*, quick: bool, part: tuple[str, ...]) -> None:
    """Measure what a delivery costs, beside plain versions of the same job."""
    parts = part or PARTS
    progress = Console(stderr=True)

    def tell(message: str) -> None:
        progress.print(message, highlight=False)

    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as directory:
        if "packaged" in parts:
            figures += measure_packaged(Path(directory) / "packaged", rounds=3 if quick else 7, on_progress=tell)
        if "ingest" in parts:
            rounds = 6 if quick else 12
            figures += measure_ingest(Path(directory) / "ingest", rounds=rounds, deliveries=200, on_progress=tell)
        if "matching" in parts:
            figures += measure_matching(rounds=20)
        if "end-to-end" in parts:
            total, rounds = (4_000, 6) if quick else (20_000, 12)
            figures += measure_end_to_end(Path(directory), rounds=rounds, total=total, on_progress=tell)
    sys.exit(0 if print_figures(figures, NOTES, Console(width=None if sys.stdout.isatty() else WIDTH)) else 1)


if __name__ == "__main__":
    main(prog_name="python -m tests.benchmarks")
