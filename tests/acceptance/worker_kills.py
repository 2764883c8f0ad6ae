"""Workers killed at random instants while they write to GitHub and start agents."""

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.local_stack import LocalStack, check_once, wait_until

DELIVERIES = 200
KILLS = 20
# Writes are held back so that a kill finds some under way: applied outside, not yet recorded by us.
HELD_BACK_SECONDS = 0.4
LIFE_SECONDS = (0.2, 2.5)
STARTED = "workers: polling"


@dataclass(frozen=True)
class KillReport:
    """What is left to be looked at once everything has been checked.

    Attributes:
        documents: every delivery, at its end.
        unfinished_at_last_kill: how many were still under way.
        killed: process ids.
        seconds: how long it took.
    """

    documents: list[dict[str, Any]]
    unfinished_at_last_kill: int
    killed: list[int]
    seconds: float

    @property
    def lost_attempts(self) -> int:
        """Attempts whose worker never reported back."""
        return sum(
            attempt["outcome"] == "lost"
            for document in self.documents
            for run in document["runs"]
            for task in run["tasks"]
            for attempt in task["attempts"]
        )


def kill_workers(directory: Path) -> KillReport:
    """Opens pull requests, kills the workers again and again, and follows every delivery to its end."""
    started = time.monotonic()
    settings = {
        "LEASE_SECONDS": "30",  # above the 25 that a write may take
        "STRANDED_AFTER_SECONDS": "10",
        "RECONCILE_SECONDS": "1",
        "AGENT_POLL_SECONDS": "1",
        "RETRY_BASE_SECONDS": "1",
    }
    with LocalStack(directory / "state", **settings) as stack:
        stack.start()
        stack.add_faults("github", {"method": "POST", "times": -1, "delay_seconds": HELD_BACK_SECONDS})
        stack.add_faults("codegen", {"method": "POST", "times": -1, "delay_seconds": HELD_BACK_SECONDS})
        delivery_ids = [stack.send("pull_request", stack.open_pull_request()[1]) for _ in range(DELIVERIES)]
        killed = [_kill_once(stack, lives) for lives in range(1, KILLS + 1)]
        unfinished = _count_unfinished(stack)
        documents = [stack.follow(delivery_id) for delivery_id in delivery_ids]
        check_once(stack, documents)
        return KillReport(documents, unfinished, killed, time.monotonic() - started)


def _kill_once(stack: LocalStack, lives: int) -> int:
    log = stack.state_dir / "logs" / "workers.log"
    wait_until(lambda: log.read_text(errors="replace").count(STARTED) >= lives, f"the workers live their life {lives}")
    time.sleep(random.uniform(*LIFE_SECONDS))  # noqa: S311 - no secret depends on it
    return stack.signal("workers", signal.SIGKILL)


def _count_unfinished(stack: LocalStack) -> int:
    finished = stack.get("/api/v1/tasks", status="succeeded", uses="github.comment", limit=200)["items"]
    return DELIVERIES - len(finished)
