"""CPU time and memory of other processes.

CPU time, unlike the wall clock, hardly depends on what else the machine does.
"""

import contextlib
import platform
import re
import time
from collections.abc import Collection
from pathlib import Path

import psutil

IS_LINUX = platform.system() == "Linux"


def read_cpu_seconds(pid: int) -> float:
    """Returns the CPU time of a living process, its ended children not included."""
    if IS_LINUX:
        # The clock that clock_getcpuclockid(3) names: exact, where /proc counts in ticks of 10 ms.
        return time.clock_gettime(~pid << 3 | 2)
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def read_tree_seconds(pid: int, without: Collection[int] = ()) -> float:
    """Returns the CPU time of a process and all its descendants, those that ended included where the system tells.

    Args:
        pid: the root.
        without: ids of processes that are not to be counted.
    """
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        if process.pid not in without:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, OSError):
                times = process.cpu_times()
                total += read_cpu_seconds(process.pid) + times.children_user + times.children_system
    return total


def read_peak_bytes(pid: int) -> int:
    """Returns the largest resident set that a living process has had; off Linux, the one it has now."""
    if IS_LINUX:
        # Not getrusage: a child starts there with the peak of the parent it was forked from.
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        if found is not None:
            return int(found[1]) * 1024
    return int(psutil.Process(pid).memory_info().rss)
