"""Webhooks that go on while something else happens, and what happens while the product is updated."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from tests.acceptance.local_stack import wait_until
from tests.e2e.assets import package_tree
from tests.e2e.deployment import Deployment

PAUSE_SECONDS = 0.4
# How many deliveries there are before, between and after what happens.
DELIVERIES_A_PHASE = 4


class Load:
    """Sends webhooks, one after the other, until its block ends.

    Args:
        post: sends the next one.

    Attributes:
        accepted: their delivery ids, in order.
        refused: the answers that were no 202.
    """

    def __init__(self, post: Callable[[], httpx.Response]) -> None:
        self._post = post
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._errors: list[Exception] = []
        self.accepted: list[str] = []
        self.refused: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def go_on(self, count: int = DELIVERIES_A_PHASE) -> list[str]:
        """Waits until ``count`` more were accepted; returns their delivery ids."""
        start = len(self.accepted)
        wait_until(lambda: len(self.accepted) >= start + count or bool(self._errors), "webhooks are accepted")
        if self._errors:
            raise self._errors[0]
        return self.accepted[start:]

    def _run(self) -> None:
        try:
            while not self._is_over.wait(PAUSE_SECONDS):
                answer = self._post()
                if answer.status_code == 202:
                    self.accepted.append(answer.json()["delivery_id"])
                else:
                    self.refused.append(answer.text)
        except Exception as error:  # noqa: BLE001 - raised by whoever waits
            self._errors.append(error)


@dataclass(frozen=True)
class UpdateReport:
    """What is left to be looked at.

    Attributes:
        by_released_code: deliveries that came after the migration and ended before the update.
        documents: all deliveries, at their end.
        refused: answers that were no 202.
        code_hashes: of route, before and after.
        seconds: how long the update took.
    """

    by_released_code: Sequence[dict[str, Any]]
    documents: Sequence[dict[str, Any]]
    refused: Sequence[str]
    code_hashes: tuple[str, str]
    seconds: float


def update_under_load(deployment: Deployment) -> UpdateReport:
    """Migrates the schema below the code of the release before, then deploys this tree's; pull requests go on."""

    def open_pull_request() -> httpx.Response:
        return deployment.post("pull_request", deployment.open_pull_request()[1])

    templates = deployment.synthesize("tree", package_tree)
    released = deployment.read_code_hash("route")
    with Load(open_pull_request) as load:
        load.go_on()
        deployment.migrate()
        by_released_code = [deployment.follow(delivery_id) for delivery_id in load.go_on()]
        started = time.monotonic()
        deployment.deploy(templates)
        seconds = time.monotonic() - started
        load.go_on()
    documents = [deployment.follow(delivery_id) for delivery_id in load.accepted]
    hashes = released, deployment.read_code_hash("route")
    return UpdateReport(by_released_code, documents, load.refused, hashes, seconds)
