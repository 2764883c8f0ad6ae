"""The sandbox Codegen: its API's shapes, agent runs that end as scripted, and what survives a kill."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_core.exceptions import OpenAPIError

from tests.support.sandbox_server import Contract, SandboxServer

RUN = "/v1/organizations/11/agent/run"
RUNS = "/v1/organizations/11/agent/runs"


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract("codegen-openapi.json", "https://api.codegen.com", {"message", "status_code"})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    with SandboxServer("codegen", tmp_path_factory.mktemp("codegen"), "--run-seconds", "0.2") as server:
        yield server


@pytest.fixture
def codegen(running: SandboxServer) -> SandboxServer:
    running.client.post("/_reset").raise_for_status()
    return running


def post_ascii(server: SandboxServer, document: dict[str, object]) -> httpx.Response:
    """Asks for a run in JSON that carries any text; httpx's own cannot carry lone surrogates."""
    headers = {"Content-Type": "application/json"}
    return server.client.post(RUN, content=json.dumps(document), headers=headers)


def start_run(server: SandboxServer, prompt: str, **fields: object) -> httpx.Response:
    return post_ascii(server, {"prompt": prompt, **fields})


def await_end(server: SandboxServer, run_id: int) -> dict[str, Any]:
    """Asks until a run is no longer active."""
    while True:
        run: dict[str, Any] = server.client.get(f"{RUN}/{run_id}").json()
        if run["status"] != "ACTIVE":
            return run
        time.sleep(0.02)


def script_outcome(server: SandboxServer, match: str, status: str, **fields: object) -> None:
    answer = server.client.post("/_outcome", json={"match": match, "status": status, **fields})
    assert answer.status_code == 204


def test_contract_refuses_a_wrong_answer(contract: Contract, codegen: SandboxServer) -> None:
    answer = start_run(codegen, "Fix it")
    wrong = httpx.Response(200, json=answer.json() | {"id": "one"}, request=answer.request)
    with pytest.raises(OpenAPIError):
        contract.check(wrong, 200)


def test_a_run_completes(contract: Contract, codegen: SandboxServer) -> None:
    metadata = {"intent": "\ud800 a key", "nested": {"list": [1, None]}}
    script_outcome(codegen, "slowly", "COMPLETE", after_seconds=1.0)
    made = contract.check(
        start_run(codegen, "Fix it slowly\nand well", metadata=metadata, repo_id=3, agent_type="codegen"), 200
    )
    assert made["status"] == "ACTIVE"
    assert (made["result"], made["summary"]) == (None, None)
    assert (made["organization_id"], made["source_type"]) == (11, "API")
    assert made["metadata"] == metadata
    assert datetime.fromisoformat(made["created_at"]).tzinfo is not None

    await_end(codegen, made["id"])
    ended = contract.check(codegen.client.get(f"{RUN}/{made['id']}"), 200)
    assert ended["status"] == "COMPLETE"
    assert "Fix it slowly" in ended["result"]
    assert ended["summary"] == "COMPLETE: Fix it slowly"
    assert ended["metadata"] == metadata


@pytest.mark.parametrize(
    ("status", "result"), [("FAILED", "The tests still fail"), ("OUT_OF_TOKENS", None), ("PAUSED", None)]
)
def test_a_run_ends_as_scripted(contract: Contract, codegen: SandboxServer, status: str, result: str | None) -> None:
    script_outcome(codegen, "(?i)flaky", status, after_seconds=0, result=result)
    ended = contract.check(start_run(codegen, "A FLAKY test"), 200)
    assert (ended["status"], ended["result"]) == (status, result)
    assert ended["summary"] == f"{status}: A FLAKY test"
    assert await_end(codegen, start_run(codegen, "A sound test").json()["id"])["status"] == "COMPLETE"


def test_the_last_outcome_wins_and_started_runs_keep_theirs(codegen: SandboxServer) -> None:
    script_outcome(codegen, "fix", "ERROR", after_seconds=0)
    earlier = start_run(codegen, "fix").json()
    script_outcome(codegen, "fix", "ACTIVE", after_seconds=0)
    later = start_run(codegen, "fix").json()
    assert codegen.client.get(f"{RUN}/{earlier['id']}").json()["status"] == "ERROR"
    assert codegen.client.get(f"{RUN}/{later['id']}").json()["status"] == "ACTIVE"


def test_runs_are_listed_newest_first(contract: Contract, codegen: SandboxServer) -> None:
    ids = [start_run(codegen, f"Run {number}").json()["id"] for number in range(5)]
    codegen.client.post("/v1/organizations/12/agent/run", json={"prompt": "elsewhere"})
    everything = contract.check(codegen.client.get(RUNS), 200)
    assert [run["id"] for run in everything["items"]] == ids[::-1]
    assert {**everything, "items": []} == {"items": [], "total": 5, "page": 1, "size": 100, "pages": 1}

    part = contract.check(codegen.client.get(RUNS, params={"skip": 2, "limit": 2}), 200)
    assert [run["id"] for run in part["items"]] == ids[2:0:-1]
    assert {**part, "items": []} == {"items": [], "total": 5, "page": 2, "size": 2, "pages": 3}

    for params, total in (
        ({"source_type": "API"}, 5),
        ({"source_type": "SLACK"}, 0),
        ({"user_id": "1"}, 5),
        ({"user_id": "2"}, 0),
    ):
        assert contract.check(codegen.client.get(RUNS, params=params), 200)["total"] == total


def test_a_run_is_resumed(contract: Contract, codegen: SandboxServer) -> None:
    script_outcome(codegen, "ask me", "PAUSED", after_seconds=0)
    script_outcome(codegen, "go on", "COMPLETE", after_seconds=0.5, result="Went on")
    paused = start_run(codegen, "ask me", metadata={"key": 1}).json()
    assert paused["status"] == "PAUSED"
    sent = {"agent_run_id": paused["id"], "prompt": "go on"}
    resumed = contract.check(codegen.client.post(f"{RUN}/resume", json=sent), 200)
    assert (resumed["id"], resumed["status"]) == (paused["id"], "ACTIVE")
    ended = await_end(codegen, paused["id"])
    assert (ended["status"], ended["result"], ended["metadata"]) == ("COMPLETE", "Went on", {"key": 1})


def test_a_ban_stops_a_run(contract: Contract, codegen: SandboxServer) -> None:
    script_outcome(codegen, "endless", "ACTIVE")
    endless = start_run(codegen, "endless").json()["id"]
    done = start_run(codegen, "short").json()["id"]
    await_end(codegen, done)
    for run_id in (endless, done):
        for operation in ("ban", "unban"):
            contract.check(codegen.client.post(f"{RUN}/{operation}", json={"agent_run_id": run_id}), 200)
    assert await_end(codegen, endless)["status"] == "CANCELLED"
    assert await_end(codegen, done)["status"] == "COMPLETE"


def test_an_unknown_run_is_404(contract: Contract, codegen: SandboxServer) -> None:
    elsewhere = codegen.client.post("/v1/organizations/12/agent/run", json={"prompt": "x"}).json()["id"]
    for run_id in (elsewhere, 999_999):
        sent = {"agent_run_id": run_id, "prompt": "x"}
        for answer in (
            codegen.client.get(f"{RUN}/{run_id}"),
            codegen.client.post(f"{RUN}/resume", json=sent),
            codegen.client.post(f"{RUN}/ban", json=sent),
            codegen.client.post(f"{RUN}/unban", json=sent),
        ):
            assert contract.check(answer, 404) == {"message": "Agent run not found.", "status_code": 404}


@pytest.mark.parametrize(
    ("document", "location"),
    [
        ({}, ["body", "prompt"]),
        ({"prompt": None}, ["body", "prompt"]),
        ({"prompt": "\ud800"}, ["body", "prompt"]),
        ({"prompt": "x", "metadata": [1]}, ["body", "metadata"]),
        ({"prompt": "x", "agent_type": "other"}, ["body", "agent_type"]),
    ],
)
def test_a_wrong_run_is_422(
    contract: Contract, codegen: SandboxServer, document: dict[str, object], location: list[str]
) -> None:
    refused = contract.check(post_ascii(codegen, document), 422)
    assert [error["loc"] for error in refused["detail"]] == [location]
    assert codegen.client.get(RUNS).json()["total"] == 0


def test_a_wrong_query_is_422(contract: Contract, codegen: SandboxServer) -> None:
    for params in ({"limit": 101}, {"skip": -1}, {"source_type": "FAX"}):
        contract.check(codegen.client.get(RUNS, params=params), 422)


def test_user_and_repositories(contract: Contract, codegen: SandboxServer) -> None:
    assert contract.check(codegen.client.get("/v1/users/me"), 200)["id"] == 1
    page = contract.check(codegen.client.get("/v1/organizations/11/repos"), 200)
    assert [repository["organization_id"] for repository in page["items"]] == [11]
    assert contract.check(codegen.client.get("/v1/organizations/11/repos?skip=1"), 200)["items"] == []


def test_no_token_is_401(contract: Contract, codegen: SandboxServer) -> None:
    for value in ("", "token x", "Bearer"):
        refused = contract.check(codegen.client.get("/v1/users/me", headers={"Authorization": value}), 401)
        assert refused["status_code"] == 401


def test_the_web_url_leads_to_a_page(codegen: SandboxServer) -> None:
    run = start_run(codegen, "<script>alert(1)</script>", metadata={"key": "</pre><script>"}).json()
    page = httpx.get(run["web_url"], trust_env=False)
    assert page.status_code == 200
    assert "<script>" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert httpx.get(f"{codegen.url}/agent/trace/999", trust_env=False).status_code == 404


def test_a_run_opens_pull_requests(contract: Contract, codegen: SandboxServer) -> None:
    address = "https://github.com/acme/widgets/pull/8"
    script_outcome(codegen, "x", "COMPLETE", after_seconds=0.3, pull_requests=[address])
    started = contract.check(start_run(codegen, "x"), 200)
    assert started["github_pull_requests"] == []
    await_end(codegen, started["id"])
    ended = contract.check(codegen.client.get(f"{RUN}/{started['id']}"), 200)
    assert [pull["url"] for pull in ended["github_pull_requests"]] == [address]


@pytest.mark.parametrize("status", [402, 403, 404, 410, 422, 429, 500, 503])
def test_any_status(contract: Contract, codegen: SandboxServer, status: int) -> None:
    codegen.add_faults({"status": status, "retry_after": 5})
    refused = start_run(codegen, "x")
    contract.check(refused, status)
    assert refused.headers["retry-after"] == "5"
    assert codegen.client.get(RUNS).json()["total"] == 0


def test_a_lost_answer_can_be_looked_up_by_metadata(codegen: SandboxServer) -> None:
    codegen.add_faults({"method": "POST", "cut": "before"}, {"method": "POST", "cut": "after"})
    for prompt in ("never started", "started"):
        with pytest.raises(httpx.TransportError):
            start_run(codegen, prompt, metadata={"key": prompt})
    runs = codegen.client.get(RUNS, params={"source_type": "API"}).json()["items"]
    assert [run["metadata"] for run in runs] == [{"key": "started"}]
    received = codegen.list_received(method="POST")
    assert [(request["status"], request["applied"]) for request in received] == [(None, False), (None, True)]


@pytest.mark.parametrize(
    ("outcome", "field"),
    [
        ({"status": "FAILED"}, "match"),
        ({"match": "(", "status": "FAILED"}, "match"),
        ({"match": "x", "status": ""}, "status"),
        ({"match": "x", "status": "FAILED", "after_seconds": -1}, "after_seconds"),
        ({"match": "x", "status": "FAILED", "after": 1}, "after"),
    ],
)
def test_a_wrong_outcome_is_refused_by_name(codegen: SandboxServer, outcome: dict[str, object], field: str) -> None:
    refused = codegen.client.post("/_outcome", json=outcome)
    assert refused.status_code == 422
    assert [error["loc"] for error in refused.json()["detail"]] == [["body", field]]


def test_reset_forgets_outcomes_and_runs(codegen: SandboxServer) -> None:
    script_outcome(codegen, "x", "FAILED", after_seconds=0)
    start_run(codegen, "x")
    codegen.client.post("/_reset").raise_for_status()
    assert codegen.client.get(RUNS).json()["total"] == 0
    assert await_end(codegen, start_run(codegen, "x").json()["id"])["status"] == "COMPLETE"


def test_state_survives_a_kill(contract: Contract, tmp_path: Path) -> None:
    with SandboxServer("codegen", tmp_path, "--run-seconds", "0") as server:
        script_outcome(server, "endless", "ACTIVE")
        script_outcome(server, "soon", "FAILED", after_seconds=0.3, result="no")
        endless = start_run(server, "endless", metadata={"key": "kept"}).json()
        soon = start_run(server, "soon").json()
        received = server.list_received()
        server.kill_and_restart()
        assert server.list_received() == received
        assert contract.check(server.client.get(f"{RUN}/{endless['id']}"), 200) == endless
        assert await_end(server, soon["id"])["result"] == "no"
        assert start_run(server, "endless").json()["status"] == "ACTIVE"
        assert server.stop() == 0
