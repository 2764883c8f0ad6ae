"""Workers killed at random instants while they write to GitHub and start agents."""

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.local_stack import WALKING_PATH, LocalStack, check_once, wait_until

KILLS = 20
# Sent anew for each life of the workers, so that each kill finds work under way.
DELIVERIES_A_LIFE = 10
# Writes are held back so that a kill finds some of them applied outside and not yet recorded by us.
HELD_BACK_SECONDS = 0.4
# Shorter than two writes that are held back and an agent run of the sandbox, 2 seconds, take together.
LIFE_SECONDS = (0.2, 2.5)
STARTED = "workers: polling"


@dataclass(frozen=True)
class KillReport:
    """What is left to be looked at once everything has been checked.

    Attributes:
        documents: every delivery, at its end.
        unfinished: how many were under way at each kill.
        killed: process ids.
        seconds: how long it took.
    """

    documents: list[dict[str, Any]]
    unfinished: list[int]
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
    with LocalStack(directory / "state", workflows=WALKING_PATH, **settings) as stack:
        stack.start()
        stack.add_faults("github", {"method": "POST", "times": -1, "delay_seconds": HELD_BACK_SECONDS})
        stack.add_faults("codegen", {"method": "POST", "times": -1, "delay_seconds": HELD_BACK_SECONDS})
        delivery_ids: list[str] = []
        unfinished, killed = [], []
        for life in range(1, KILLS + 1):
            delivery_ids += [stack.send("pull_request", stack.open_pull_request()[1]) for _ in range(DELIVERIES_A_LIFE)]
            killed.append(_kill_once(stack, life))
            unfinished.append(len(delivery_ids) - _count_finished(stack))
        documents = [stack.follow(delivery_id) for delivery_id in delivery_ids]
        check_once(stack, documents)
        return KillReport(documents, unfinished, killed, time.monotonic() - started)


def _kill_once(stack: LocalStack, life: int) -> int:
    log = stack.state_dir / "logs" / "workers.log"
    wait_until(lambda: log.read_text(errors="replace").count(STARTED) >= life, f"the workers live their life {life}")
    time.sleep(random.uniform(*LIFE_SECONDS))  # noqa: S311 - no secret depends on it
    return stack.signal("workers", signal.SIGKILL)


def _count_finished(stack: LocalStack) -> int:
    return len(stack.get("/api/v1/tasks", status="succeeded", uses="github.comment", limit=200)["items"])
