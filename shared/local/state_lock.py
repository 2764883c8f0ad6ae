"""The lock that gives a state directory to one supervisor at a time."""

import fcntl
import os
import time
from pathlib import Path

import psutil

from shared.local.lifeline import is_alive

PAUSE_SECONDS = 0.05
LIFELINE_SECONDS = 60.0  # the most that ending the programs of a killed supervisor takes


class StateDirInUse(RuntimeError):
    """Another live supervisor works in the same state directory."""

    def __init__(self, state_dir: Path, pid: int | None) -> None:
        super().__init__(
            f"{state_dir} is in use by the supervisor with pid {pid}: "
            "end that process (Ctrl-C or SIGTERM) or set STATE_DIR to another directory"
        )
        self.pid = pid


def lock_state_dir(state_dir: Path) -> int:
    """Lock a directory for this process and return the lock's file descriptor.

    Raises:
        StateDirInUse: If a live process holds it. That of a killed one is free once its programs are gone.
    """
    fd = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LIFELINE_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            digits = os.pread(fd, 20, 0).strip()
            pid = int(digits) if digits else None
            if pid is None or is_running(pid) or time.monotonic() > deadline:
                os.close(fd)
                raise StateDirInUse(state_dir, pid) from None
            time.sleep(PAUSE_SECONDS)
        else:
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
            return fd


def is_running(pid: int) -> bool:
    """Tell whether a process of that id runs."""
    try:
        return is_alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False
