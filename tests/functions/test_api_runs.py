"""The API's routes about a run, and its switches, over the records in memory."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.adapters.memory.queues import MemoryTaskQueue
from shared.domain.errors import Transient
from shared.domain.statuses import Status
from tests.support.api_client import open_api
from tests.support.factories import build_envelope, build_workflow
from tests.support.orchestra import Orchestra

AGENT = build_workflow(name="work")


@pytest.fixture
def orchestra() -> Orchestra:
    """An orchestra in which an agent works for a run."""
    orchestra = Orchestra(AGENT, work_seconds=600.0)
    orchestra.deliveries.send(build_envelope())
    orchestra.route_batch()
    orchestra.execute_batch()
    return orchestra


@pytest.fixture
def client(orchestra: Orchestra) -> Iterator[httpx.Client]:
    with open_api(orchestra.database, orchestra.task_queue) as client:
        yield client


def path(orchestra: Orchestra, what: str) -> str:
    return f"/api/v1/runs/{orchestra.database.runs[0].id}/{what}"


@pytest.mark.parametrize("what", ["approve", "cancel", "retry"])
def test_a_token_and_a_run_are_required(client: httpx.Client, orchestra: Orchestra, what: str) -> None:
    wrong = {"authorization": "Bearer wrong"}
    assert client.post(path(orchestra, what), headers=wrong).status_code == 401
    assert client.post(f"/api/v1/runs/{uuid4()}/{what}").status_code == 404
    assert client.post(f"/api/v1/runs/seven/{what}").status_code == 422


def test_a_cancelled_run_ends_with_its_agent(client: httpx.Client, orchestra: Orchestra) -> None:
    run = orchestra.database.runs[0]
    assert client.post(path(orchestra, "cancel")).json() == {"run_ids": [str(run.id)]}
    assert (run.status, run.reason) == (Status.CANCELLED, "cancelled by api")
    orchestra.clock.advance(60.0)
    orchestra.run_to_end()
    assert orchestra.world.cancelled == ["1"]
    again = client.post(path(orchestra, "cancel"))
    assert (again.status_code, again.json()) == (409, {"detail": "the run is over"})


def test_the_same_instruction_given_again_does_nothing_again(client: httpx.Client, orchestra: Orchestra) -> None:
    client.post(path(orchestra, "cancel"))
    key = {"idempotency-key": str(uuid4())}
    first = client.post(path(orchestra, "retry"), headers=key).raise_for_status().json()
    assert client.post(path(orchestra, "retry"), headers=key).json() == first
    assert len(orchestra.database.runs) == 2
    assert orchestra.database.runs[1].retry_of == orchestra.database.runs[0].id
    assert client.post(path(orchestra, "retry"), headers={"idempotency-key": "seven"}).status_code == 422


def test_what_is_under_way_is_not_run_again(client: httpx.Client, orchestra: Orchestra) -> None:
    answer = client.post(path(orchestra, "retry"))
    assert (answer.status_code, len(orchestra.database.runs)) == (409, 1)
    answer = client.post(path(orchestra, "approve"))
    assert (answer.status_code, answer.json()["detail"]) == (409, "nothing in the run waits for approval")


class AwayQueue(MemoryTaskQueue):
    """A queue that cannot be reached."""

    def send(self, task_ids: Sequence[str], delay_seconds: int = 0) -> None:
        raise Transient("sqs is away")


def test_a_queue_that_is_away_keeps_nothing_from_being_carried_out(orchestra: Orchestra) -> None:
    with open_api(orchestra.database, AwayQueue(orchestra.clock)) as client:
        assert client.post(path(orchestra, "cancel")).status_code == 200
    assert orchestra.database.runs[0].status is Status.CANCELLED


def test_agents_are_switched_off_and_on(client: httpx.Client, orchestra: Orchestra) -> None:
    assert client.get("/api/v1/switches").json() == {"items": []}
    off = {"is_on": False, "reason": "the bill"}
    assert client.put("/api/v1/switches/agents", json=off).json() == {"name": "agents", **off}
    [shown] = client.get("/api/v1/switches").json()["items"]
    assert {name: shown[name] for name in ("name", "is_on", "reason", "changed_by")} == {
        "name": "agents",
        "is_on": False,
        "reason": "the bill",
        "changed_by": "api",
    }
    orchestra.deliveries.send(build_envelope())
    orchestra.run_to_end()
    run = orchestra.database.runs[1]
    assert (run.status, run.reason) == (Status.CANCELLED, "agents are switched off: the bill (api)")
    client.put("/api/v1/switches/agents", json={"is_on": True}).raise_for_status()
    orchestra.deliveries.send(build_envelope())
    orchestra.run_to_end()
    assert orchestra.database.runs[2].status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("name", "body"), [("everything", {"is_on": False}), ("agents", {}), ("agents", {"is_on": "perhaps"})]
)
def test_a_switch_that_is_none_is_refused(client: httpx.Client, name: str, body: dict[str, Any]) -> None:
    assert client.put(f"/api/v1/switches/{name}", json=body).status_code == 422
