"""Starts programs in order, restarts what dies, stops all, and keeps `endpoints.json`.

Nothing outlives a supervisor: `lifeline` ends what it started when the supervisor itself is killed.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Literal, Self

import psutil

from shared.local.endpoints import Endpoint, find_ports, read_endpoints, redact_password, write_endpoints
from shared.local.lifeline import Lifeline, end_tree, kill_leftovers
from shared.local.state_lock import lock_state_dir

State = Literal["starting", "ready", "restarted", "stopped"]

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 5.0
STABLE_SECONDS = 10.0  # a program that lived this long starts again with the first delay
PAUSE_SECONDS = 0.05
TAIL_LINES = 20


class NotReady(RuntimeError):
    """A program ended, or did not answer in time, when it was started."""

    def __init__(self, name: str, reason: str, log: Path, tail: str) -> None:
        super().__init__(f"{name} {reason}; the end of {log}:\n{tail or '(it wrote nothing)'}")
        self.name = name


class StopRequested(Exception):
    """A stop was requested while a program was being started."""


def _do_nothing(*_: object) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Program:
    """How one process is started, judged ready and stopped.

    Attributes:
        env: Its whole environment; nothing is inherited.
        address: What others reach it by; none if it listens nowhere.
        user: The uid and gid to run as, where root may not.
        prepare: Run before each start.
        sweep: Ends processes of an earlier life that left its session; run before each start and after each
            end.
        stop_seconds: How long it may take to stop before it is killed.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ready: Callable[[], bool]
    address: str | None = None
    cwd: Path | None = None
    user: int | None = None
    prepare: Callable[[], None] = _do_nothing
    sweep: Callable[[], None] = _do_nothing
    ready_seconds: float = 30.0
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 10.0


@dataclass(frozen=True)
class Given:
    """A server that the environment names: used, not started."""

    name: str
    address: str


@dataclass
class _Child:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    is_ready: bool = False
    started_at: float = 0.0
    start_at: float = 0.0
    delay_seconds: float = 0.0
    log_offset: int = 0


class Supervisor:
    """The programs of one state directory; a context manager that stops them at its end.

    It installs no signal handlers unless `run` or `stop_on_signals` is asked to, and may be watched from a
    thread (`watch`) or step by step (`poll`).

    Attributes:
        previous_ports: By name, the ports that the last supervisor of the directory used.

    Raises:
        StateDirInUse: On entry, if another supervisor works in the directory.
    """

    def __init__(self, state_dir: Path, on_progress: Callable[[str, State], None] = _do_nothing) -> None:
        self.state_dir = state_dir.absolute()
        self.endpoints_path = self.state_dir / "endpoints.json"
        self.previous_ports: dict[str, int] = {}
        self._on_progress = on_progress
        self._children: list[_Child] = []
        self._endpoints: dict[str, Endpoint] = {}
        self._stopping = threading.Event()
        self._changing = threading.RLock()
        self._lock_fd = -1
        self._lifeline: Lifeline | None = None

    def __enter__(self) -> Self:
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_fd = lock_state_dir(self.state_dir)
        (self.state_dir / "logs").mkdir(mode=0o700, exist_ok=True)
        # A supervisor that was killed left its processes' ids in the file.
        self._endpoints = {
            name: Endpoint(pid=None, address=endpoint["address"])
            for name, endpoint in read_endpoints(self.endpoints_path).items()
        }
        self.previous_ports = find_ports(self._endpoints)
        self._note("supervisor", os.getpid(), None)
        self._lifeline = self._start_lifeline()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop_all()
        finally:
            if self._lifeline is not None:
                self._lifeline.close()
            os.close(self._lock_fd)

    def run(self, servers: Iterable[Program | Given]) -> None:
        """Start the servers in order and watch them until SIGINT, SIGTERM or SIGHUP, then stop them.

        Raises:
            NotReady: If one does not become ready; those before it are stopped.
        """
        with self.stop_on_signals():
            try:
                for server in servers:
                    self.start(server)
                self.watch()
            except StopRequested:
                pass
            finally:
                self.stop_all()

    def start(self, server: Program | Given) -> None:
        """Start a program and wait until it is ready; note a given server.

        Raises:
            NotReady: If it ends or does not answer in time; it is stopped.
            StopRequested: If a stop is requested meanwhile; `stop_all` stops it.
        """
        with self._changing:
            if self._stopping.is_set():
                raise StopRequested
            if isinstance(server, Given):
                self._note(server.name, None, redact_password(server.address))
                return
            log = self._log_path(server.name)
            if log.exists():
                log.replace(log.with_suffix(".previous.log"))
            child = _Child(server)
            process = self._spawn(child)
            self._children.append(child)
            deadline = time.monotonic() + server.ready_seconds
            while not server.ready():
                code = process.poll()
                if code is not None or time.monotonic() > deadline:
                    reason = f"was not ready after {server.ready_seconds:g} s"
                    self._children.remove(child)
                    self._end(child)
                    raise NotReady(
                        server.name,
                        reason if code is None else f"ended with code {code} before it was ready",
                        log,
                        read_tail(log, child.log_offset),
                    )
                if self._stopping.wait(PAUSE_SECONDS):
                    raise StopRequested
            child.is_ready = True
            self._on_progress(server.name, "ready")

    def poll(self) -> None:
        """Restart what died, if its time has come, and report what is ready again."""
        with self._changing:
            if self._stopping.is_set():
                return
            if self._lifeline is not None and not self._lifeline.is_alive:
                self._lifeline.close()
                self._lifeline = self._start_lifeline()
            for child in self._children:
                if child.process is None:
                    if time.monotonic() >= child.start_at:
                        self._spawn(child)
                elif child.process.poll() is not None:
                    self._bury(child)
                elif not child.is_ready and child.program.ready():
                    child.is_ready = True
                    self._on_progress(child.program.name, "restarted")

    def watch(self) -> None:
        """Poll until a stop is requested."""
        while not self._stopping.wait(PAUSE_SECONDS):
            self.poll()

    def request_stop(self) -> None:
        """Make `start` and `watch` return soon, in whatever thread they are."""
        self._stopping.set()

    @contextlib.contextmanager
    def stop_on_signals(self) -> Generator[None]:
        """Take SIGINT, SIGTERM and SIGHUP as requests to stop; only in the main thread."""

        # An exception raised from a handler could strike between a start and its note.
        def request_stop(_number: int, _frame: FrameType | None) -> None:
            self.request_stop()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = [signal.signal(number, request_stop) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def stop_all(self) -> None:
        """Stop the programs, the last started first; what does not stop in time is killed."""
        self.request_stop()
        with self._changing:
            while self._children:
                child = self._children[-1]
                self._end(child)
                self._children.pop()
                self._on_progress(child.program.name, "stopped")
            self._note("supervisor", None, None)

    def _spawn(self, child: _Child) -> subprocess.Popen[bytes]:
        program = child.program
        self._on_progress(program.name, "starting")
        program.sweep()
        program.prepare()
        with self._log_path(program.name).open("ab") as log:
            child.log_offset = log.tell()
            child.process = subprocess.Popen(
                program.argv,
                env=program.env,
                cwd=program.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops the others in order
                user=program.user,
                group=program.user,
                extra_groups=None if program.user is None else [],
            )
        child.started_at = time.monotonic()
        if self._lifeline is not None:
            self._lifeline.note_start(child.process.pid, program.stop_signal, program.stop_seconds)
        self._note(program.name, child.process.pid, program.address)
        return child.process

    def _bury(self, child: _Child) -> None:
        now = time.monotonic()
        child.delay_seconds = plan_delay(child.delay_seconds, now - child.started_at)
        child.start_at = now + child.delay_seconds
        self._end(child)

    def _end(self, child: _Child) -> None:
        program, process = child.program, child.process
        if process is None:
            return
        if process.poll() is None:
            end_tree(psutil.Process(process.pid), program.stop_signal, program.stop_seconds)
            process.wait()
        else:
            kill_leftovers(process.pid)
        program.sweep()
        if self._lifeline is not None:
            self._lifeline.note_end(process.pid)
        child.process, child.is_ready = None, False
        self._note(program.name, None, program.address)

    def _note(self, name: str, pid: int | None, address: str | None) -> None:
        self._endpoints[name] = Endpoint(pid=pid, address=address)
        write_endpoints(self.endpoints_path, self._endpoints)

    def _log_path(self, name: str) -> Path:
        return self.state_dir / "logs" / f"{name}.log"

    def _start_lifeline(self) -> Lifeline:
        started = Lifeline(self._log_path("lifeline"), self._lock_fd)
        for child in self._children:
            if child.process is not None:
                started.note_start(child.process.pid, child.program.stop_signal, child.program.stop_seconds)
        return started


def plan_delay(last_delay_seconds: float, life_seconds: float) -> float:
    """Decide how long to wait before the next start of a program that died.

    Args:
        last_delay_seconds: The wait before its last start, 0 for the first.
        life_seconds: How long it lived since.
    """
    if last_delay_seconds == 0 or life_seconds >= STABLE_SECONDS:
        return FIRST_DELAY_SECONDS
    return min(last_delay_seconds * 2, LONGEST_DELAY_SECONDS)


def read_tail(log: Path, offset: int) -> str:
    """Read the last lines that were written after `offset` bytes."""
    with log.open("rb") as stream:
        stream.seek(offset)
        lines = stream.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])
