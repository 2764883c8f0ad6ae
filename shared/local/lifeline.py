"""Ends trees of processes; run as a program, it ends those of a supervisor that died.

A supervisor keeps a pipe to this program open and tells it what was started and has ended. However the
supervisor dies, the kernel closes the pipe, and the program stops what is left as the supervisor would have:
the last started first, each with its own signal, then SIGKILL. Linux's PR_SET_PDEATHSIG does less: it fires
when the *thread* that started a process ends (a supervisor in a thread would lose its servers to it), reaches
no grandchildren, and is missing on macOS
(https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html).
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

KILL_SECONDS = 5.0
PAUSE_SECONDS = 0.01


class Lifeline:
    """The supervisor's end of the pipe.

    Args:
        log: Where the program's complaints go.
        lock_fd: Kept open by the program, so that a lock on it lasts until all is ended.
    """

    def __init__(self, log: Path, lock_fd: int) -> None:
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock_fd],
                text=True,
            )

    @property
    def is_alive(self) -> bool:
        """Whether the program still runs; one that was killed must be replaced."""
        return self._process.poll() is None

    def note_start(self, pid: int, stop_signal: int, stop_seconds: float) -> None:
        """Put a process under guard, the leader of a session."""
        self._write(f"start {pid} {int(stop_signal)} {stop_seconds}")

    def note_end(self, pid: int) -> None:
        """Let go of a process that has ended."""
        self._write(f"end {pid}")

    def close(self) -> None:
        """End the program; it first ends what is still under guard."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()

    def _write(self, line: str) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{line}\n")
                self._process.stdin.flush()


def end_tree(leader: psutil.Process, stop_signal: int, stop_seconds: float) -> None:
    """Stop a process with its signal, then kill what is left of it and its descendants.

    Args:
        leader: The leader of a session of its own.
        stop_signal: What asks the leader to stop.
        stop_seconds: How long it may take.
    """
    # Listed before the end: the orphans of a killed Postgres can no longer be found through it.
    tree = [leader]
    with contextlib.suppress(psutil.NoSuchProcess):
        tree += leader.children(recursive=True)
        leader.send_signal(stop_signal)
        wait_for_end([leader], stop_seconds)
    kill_leftovers(leader.pid, tree)


def kill_leftovers(session: int, known: Iterable[psutil.Process] = ()) -> None:
    """Kill the processes of a session and those given, and wait until they are gone."""
    leftovers = {*known, *list_session(session)}
    for process in leftovers:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_for_end(leftovers, KILL_SECONDS)


def wait_for_end(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until the processes have ended, at most so long, and return those that have not."""
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return alive


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process runs.

    One that has ended but was not yet waited for does not: under some inits orphans stay so for seconds, and
    `psutil.wait_procs` would wait with them.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def list_session(session: int) -> list[psutil.Process]:
    """List the processes of a session, also of one whose leader is dead."""
    members = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.NoSuchProcess):
            if os.getsid(pid) == session:
                members.append(psutil.Process(pid))
    return members


def guard(lines: Iterable[str]) -> None:
    """Follow a supervisor's notes until they end, then end what they leave running.

    Args:
        lines: `start PID SIGNAL SECONDS` and `end PID`.
    """
    guarded: dict[int, tuple[psutil.Process, int, float]] = {}
    for line in lines:
        word, pid, *how = line.split()
        if word == "start":
            with contextlib.suppress(psutil.NoSuchProcess):
                guarded[int(pid)] = (psutil.Process(int(pid)), int(how[0]), float(how[1]))
        else:
            guarded.pop(int(pid), None)
    for leader, stop_signal, stop_seconds in reversed(guarded.values()):
        end_tree(leader, stop_signal, stop_seconds)


if __name__ == "__main__":
    # Only the end of the supervisor ends this program.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    guard(sys.stdin)
