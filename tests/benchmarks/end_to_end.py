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
from tests.benchmarks.payloads import ROOT
from tests.benchmarks.process_cpu import read_tree_seconds
from tests.benchmarks.stacks import RunningStack, renew_queues, start_celery, start_ours
from tests.benchmarks.table import Figure

# From the issue.
MAX_RATIO = 0.5
MAX_GROWTH = 1.25

# How many deliveries are measured at a time: few, so that both versions are measured in the same weather.
WINDOW = 250
# Of how many the flatness is judged, and in what steps they are reached.
END = 1_000
STEP = 2_000
# The first deliveries find everything cold; they do not count.
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
    """Sends deliveries to a running stack that has recorded none yet, and reads what they cost.

    Attributes:
        count: how many it has recorded.
    """

    def __init__(self, stack: RunningStack, monitor: psycopg.Connection[tuple[int, int, int]]) -> None:
        self._stack = stack
        self._monitor = monitor
        self.count = 0

    def measure(self, count: int) -> Bill:
        """Sends ``count`` deliveries, waits until all are recorded, returns what each cost. Raises NotRecorded."""
        before = self._read()
        client = (sys.executable, "-m", "tests.benchmarks.load_client", self._stack.webhook_url, str(count))
        done = subprocess.run(client, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=_WINDOW_SECONDS)
        statuses = json.loads(done.stdout)
        if statuses != {"202": count}:
            raise NotRecorded(f"of {count} deliveries were answered: {statuses}")
        self.count += count
        self._await_recorded()
        time.sleep(_SETTLE_SECONDS)  # what was recorded is yet to be deleted from its queue
        after = self._read()
        return Bill({name: (after[name] - before[name]) * 1000 / count for name in before})

    def renew_queues(self) -> None:
        """Makes the emulator forget what was sent; see ``stacks.renew_queues``."""
        renew_queues(self._stack)

    def _read(self) -> dict[str, float]:
        own = {self._monitor.info.backend_pid}
        return {name: read_tree_seconds(pid, without=own) for name, pid in self._stack.pids.items()}

    def _await_recorded(self) -> None:
        deadline = time.monotonic() + _WINDOW_SECONDS
        wanted = (self.count, self.count, self.count)
        while (found := self._monitor.execute(_COUNT).fetchone()) != wanted:
            if time.monotonic() > deadline:
                raise NotRecorded(f"deliveries, runs and tasks are {found}, not {wanted}")
            time.sleep(_PAUSE_SECONDS)


def measure_end_to_end(state_dir: Path, *, rounds: int, total: int, on_progress: Callable[[str], None]) -> list[Figure]:
    """Measures ours beside Celery, then ours at its ``total``-th delivery beside ours at its first.

    Args:
        state_dir: of the servers, short-lived.
        rounds: of ``WINDOW`` deliveries, for each version in turn.
        total: how many deliveries one instance of ours records in all.
        on_progress: told what is going on.
    """

    def alternate(name: str, meter: Meter, other: Meter, count: int) -> tuple[list[Bill], list[Bill]]:
        bills: tuple[list[Bill], list[Bill]] = ([], [])
        for number in range(1, count + 1):
            for each, found in zip((meter, other), bills, strict=True):
                found.append(each.measure(WINDOW))
            spent = [f"{found[-1].total:.2f} ms" for found in bills]
            on_progress(f"end to end: {name}, round {number} of {count}: {' and '.join(spent)}")
        return bills

    with _start(state_dir / "ours", start_ours) as aged:
        with _start(state_dir / "celery", start_celery) as celery:
            ours, theirs = alternate("ours and Celery", aged, celery, rounds)
        while aged.count < total - END:
            aged.renew_queues()
            aged.measure(min(STEP, total - END - aged.count))
            on_progress(f"end to end: {aged.count:,} of {total:,} deliveries")
        aged.renew_queues()
        with _start(state_dir / "fresh", start_ours) as fresh:
            last, first = alternate(f"the last and the first of {total:,}", aged, fresh, END // WINDOW)
    return build_figures(find_cheapest(ours), find_cheapest(theirs), find_cheapest(last), find_cheapest(first), total)


@contextmanager
def _start(state_dir: Path, start: Callable[[Supervisor], RunningStack]) -> Iterator[Meter]:
    with Supervisor(state_dir) as supervisor:
        stack = start(supervisor)
        with closing(psycopg.connect(stack.database_url, autocommit=True)) as monitor:
            meter = Meter(stack, monitor)
            meter.measure(WARM_UP)
            yield meter


def build_figures(ours: Bill, theirs: Bill, last: Bill, first: Bill, total: int) -> list[Figure]:
    """Returns the figures."""
    servers = ("postgres", "valkey")
    return [
        Figure("end to end: CPU of a delivery", "ms", ours.total, theirs.total, MAX_RATIO),
        Figure("end to end: of it front and workers", "ms", ours.sum_of(APPLICATION), theirs.sum_of(APPLICATION)),
        Figure("end to end: of it Postgres and Valkey", "ms", ours.sum_of(servers), theirs.sum_of(servers)),
        Figure("end to end: the SQS emulator's, apart", "ms", ours.by_program[EMULATOR]),
        Figure(
            f"end to end: {total - END:,} to {total:,}, beside 1 to {END:,}",
            "ms",
            last.total,
            first.total,
            MAX_GROWTH,
        ),
    ]


def find_cheapest(bills: Sequence[Bill]) -> Bill:
    """Returns the bill with the smallest total: whatever else the machine does can only add."""
    return min(bills, key=lambda bill: bill.total)
