"""The API's routes about a run, and its switches, over the records in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.adapters.approvals import ApprovalWait
from shared.adapters.memory.instructions import MemoryInstructions
from shared.adapters.memory.queues import MemoryTaskQueue
from shared.adapters.memory.world import MemoryAction
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
    # A key that was used for something else is no repetition of it.
    other = client.post(f"/api/v1/runs/{first['run_ids'][0]}/cancel", headers=key)
    assert other.raise_for_status().json() == first
    assert orchestra.database.runs[1].status is Status.CANCELLED


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
    ("name", "body", "status"),
    [
        ("everything", {"is_on": False}, 404),
        ("agents", {}, 422),
        ("agents", {"is_on": "perhaps"}, 422),
        ("agents", {"is_on": False, "reason": "x" * 501}, 422),
    ],
)
def test_a_switch_that_is_none_is_refused(client: httpx.Client, name: str, body: dict[str, Any], status: int) -> None:
    assert client.put(f"/api/v1/switches/{name}", json=body).status_code == status
    assert client.get("/api/v1/switches").json() == {"items": []}


def test_what_waits_for_approval_is_approved() -> None:
    orchestra = Orchestra(build_workflow({"uses": "approval.wait"}, {"uses": "github.comment", "with": {"body": "Go"}}))
    ways = (MemoryAction(orchestra.world), MemoryAction(orchestra.world))
    approval = ApprovalWait(MemoryInstructions(orchestra.database), *ways)
    agents = {**orchestra.execute_deps.agents, "approval.wait": approval}
    orchestra.execute_deps = replace(orchestra.execute_deps, agents=agents)
    orchestra.deliveries.send(build_envelope())
    orchestra.route_batch()
    orchestra.execute_batch()
    run = orchestra.database.runs[0]
    assert orchestra.statuses == [Status.WAITING]
    with open_api(orchestra.database, orchestra.task_queue) as client:
        assert client.post(path(orchestra, "approve")).json() == {"run_ids": [str(run.id)]}
        assert client.post(path(orchestra, "approve")).status_code == 409
    orchestra.run_to_end()
    assert orchestra.statuses == [Status.SUCCEEDED]
    assert [effect.request["body"] for effect in orchestra.world.list_written("github.comment")][-1] == "Go"


def test_runs_are_listed_by_filter_and_page(client: httpx.Client, orchestra: Orchestra) -> None:
    for _ in range(2):
        orchestra.deliveries.send(build_envelope())
        orchestra.route_batch()
    client.post(path(orchestra, "cancel"))
    ids = [str(run.id) for run in reversed(orchestra.database.runs)]

    def listed(**filters: str | int) -> Any:  # noqa: ANN401 - JSON
        return client.get("/api/v1/runs", params=filters).raise_for_status().json()

    first = listed(workflow="work", subject="acme/widgets#7", repository="acme/widgets", limit=2)
    rest = listed(
        workflow="work", subject="acme/widgets#7", repository="acme/widgets", limit=2, cursor=first["next_cursor"]
    )
    assert [run["run_id"] for run in first["items"] + rest["items"]] == ids
    assert rest["next_cursor"] is None
    assert [run["run_id"] for run in listed(status="cancelled")["items"]] == [ids[-1]]
    assert listed(workflow="another") == {"items": [], "next_cursor": None}
    assert "tasks" not in first["items"][0]
    for wrong in ({"status": "lost"}, {"limit": 0}, {"cursor": "nonsense"}):
        assert client.get("/api/v1/runs", params=wrong).status_code == 422


def test_who_told_what_is_shown_newest_first(client: httpx.Client, orchestra: Orchestra) -> None:
    run_id = str(orchestra.database.runs[0].id)
    for what in ("approve", "cancel", "retry"):
        client.post(path(orchestra, what))
        orchestra.clock.advance(1.0)
    first = client.get("/api/v1/instructions", params={"limit": 2}).raise_for_status().json()
    rest = client.get("/api/v1/instructions", params={"cursor": first["next_cursor"]}).json()
    told = [(item["kind"], item["given_by"], item["run_id"]) for item in first["items"] + rest["items"]]
    assert told == [(kind, "api", run_id) for kind in ("retry", "cancel", "approve")]
    assert [item["run_ids"] for item in rest["items"]] == [[]]
    assert client.get("/api/v1/instructions", params={"cursor": "nonsense"}).status_code == 422


@pytest.mark.parametrize("noun", ["runs", "instructions", "switches"])
def test_lists_need_the_token_and_the_database(client: httpx.Client, orchestra: Orchestra, noun: str) -> None:
    assert client.get(f"/api/v1/{noun}", headers={"authorization": "Bearer wrong"}).status_code == 401
    orchestra.database.is_up = False
    assert client.get(f"/api/v1/{noun}").status_code == 503
