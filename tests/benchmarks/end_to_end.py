"""What a delivery costs from its POST to its recorded run, beside the same job on FastAPI and Celery."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from shared.local.supervisor import Supervisor
from tests.benchmarks.process_cpu import read_tree_seconds
from tests.benchmarks.stacks import ROOT, RunningStack, start_celery, start_ours
from tests.benchmarks.table import Figure

# From the issue.
MAX_RATIO = 0.5
MAX_GROWTH = 1.25

WINDOW = 1_000
WARM_UP = 300
# The emulator stands for a service of AWS: its cost is not the product's, and is reported apart.
EMULATOR = "aws"
APPLICATION = ("front", "workers")

_PAUSE_SECONDS = 0.1
_SETTLE_SECONDS = 0.5
_WINDOW_SECONDS = 300
# No delivery may be recorded twice, start no run or two, or be without a first task.
_COUNT = "select (select count(*) from deliveries), (select count(*) from runs), (select count(*) from tasks)"


@dataclass(frozen=True)
class Bill:
    """CPU milliseconds for a delivery, by program."""

    by_program: Mapping[str, float]

    @property
    def total(self) -> float:
        """Of everything but the emulator."""
        return sum(spent for name, spent in self.by_program.items() if name != EMULATOR)

    def sum_of(self, names: Sequence[str]) -> float:
        """Of these programs."""
        return sum(self.by_program[name] for name in names)


class NotRecorded(RuntimeError):
    """Deliveries that were accepted are not recorded, each with one run and one task."""


class Meter:
    """Sends deliveries to a running stack and reads what they cost. Use ``open_meter``."""

    def __init__(self, stack: RunningStack, monitor: psycopg.Connection[tuple[int, int, int]]) -> None:
        self._stack = stack
        self._monitor = monitor
        self._sent = 0

    def measure(self, count: int = WINDOW) -> Bill:
        """Sends ``count`` deliveries and waits until all are recorded. Raises NotRecorded."""
        before = self._read()
        client = (sys.executable, "-m", "tests.benchmarks.load_client", self._stack.webhook_url, str(count))
        done = subprocess.run(client, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=_WINDOW_SECONDS)
        statuses = json.loads(done.stdout)
        if statuses != {"202": count}:
            raise NotRecorded(f"of {count} deliveries were answered: {statuses}")
        self._sent += count
        self._await_recorded()
        time.sleep(_SETTLE_SECONDS)  # what was recorded is yet to be deleted from its queue
        after = self._read()
        return Bill({name: (after[name] - before[name]) * 1000 / count for name in before})

    def _read(self) -> dict[str, float]:
        own = {self._monitor.info.backend_pid}
        return {name: read_tree_seconds(pid, without=own) for name, pid in self._stack.pids.items()}

    def _await_recorded(self) -> None:
        deadline = time.monotonic() + _WINDOW_SECONDS
        wanted = (self._sent, self._sent, self._sent)
        while (found := self._monitor.execute(_COUNT).fetchone()) != wanted:
            if time.monotonic() > deadline:
                raise NotRecorded(f"deliveries, runs and tasks are {found}, not {wanted}")
            time.sleep(_PAUSE_SECONDS)


@contextmanager
def open_meter(stack: RunningStack) -> Iterator[Meter]:
    """Gives a meter of a stack that has recorded nothing yet."""
    with closing(psycopg.connect(stack.database_url, autocommit=True)) as monitor:
        yield Meter(stack, monitor)


def measure_end_to_end(
    state_dir: Path, *, rounds: int, total: int, on_progress: Callable[[str], None]
) -> list[Figure]:
    """Measures both versions in alternating rounds of 1,000, then ours alone up to ``total`` deliveries.

    Args:
        state_dir: of the servers, short-lived.
        rounds: of each version.
        total: how many deliveries ours has recorded at the end, at least ``rounds`` thousand.
        on_progress: told what is going on.
    """
    ours: list[Bill] = []
    theirs: list[Bill] = []
    with Supervisor(state_dir / "ours") as our_supervisor:
        with open_meter(start_ours(our_supervisor)) as our_meter:
            our_meter.measure(WARM_UP)
            with Supervisor(state_dir / "celery") as supervisor, open_meter(start_celery(supervisor)) as meter:
                meter.measure(WARM_UP)
                for number in range(1, rounds + 1):
                    ours.append(our_meter.measure())
                    theirs.append(meter.measure())
                    on_progress(
                        f"end to end: round {number} of {rounds}: "
                        f"ours {ours[-1].total:.2f} ms, Celery {theirs[-1].total:.2f} ms"
                    )
            for number in range(rounds + 1, total // WINDOW + 1):
                ours.append(our_meter.measure())
                on_progress(f"end to end: {number * WINDOW:,} of {total:,} deliveries: {ours[-1].total:.2f} ms")
    return build_figures(ours, ours[:rounds], theirs)


def build_figures(windows: Sequence[Bill], ours: Sequence[Bill], theirs: Sequence[Bill]) -> list[Figure]:
    """Returns the figures: the cheapest round of each version, and the last window beside the first."""
    our_best, their_best = min(ours, key=lambda bill: bill.total), min(theirs, key=lambda bill: bill.total)
    servers = ("postgres", "valkey")
    return [
        Figure("end to end: CPU of a delivery", "ms", our_best.total, their_best.total, MAX_RATIO),
        Figure(
            "end to end: of it the application", "ms", our_best.sum_of(APPLICATION), their_best.sum_of(APPLICATION)
        ),
        Figure("end to end: of it Postgres and Valkey", "ms", our_best.sum_of(servers), their_best.sum_of(servers)),
        Figure("end to end: the SQS emulator, apart", "ms", our_best.by_program[EMULATOR]),
        Figure(
            f"end to end: delivery {len(windows) * WINDOW:,} beside the first {WINDOW:,}",
            "ms",
            windows[-1].total,
            windows[0].total,
            MAX_GROWTH,
        ),
    ]
