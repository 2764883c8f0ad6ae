"""The sandbox GitHub's Actions: dispatches, and workflow runs that end as scripted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.outside import GITHUB_ERRORS
from tests.support.sandbox_server import Contract, SandboxServer

REPOSITORY = "/repos/acme/widgets"
WORKFLOW = f"{REPOSITORY}/actions/workflows/work.yml"
RUNS = f"{REPOSITORY}/actions/runs"


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract("github-openapi-trimmed.json", "https://api.github.com", GITHUB_ERRORS)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    with SandboxServer("github", tmp_path_factory.mktemp("github")) as server:
        yield server


@pytest.fixture
def github(running: SandboxServer) -> SandboxServer:
    running.client.post("/_reset").raise_for_status()
    return running


def script(server: SandboxServer, conclusion: str, after_seconds: float | None = 0.0) -> None:
    outcome = {"match": "work", "conclusion": conclusion, "after_seconds": after_seconds}
    server.client.post("/_workflow_outcome", json=outcome).raise_for_status()


def dispatch(server: SandboxServer, path: str = WORKFLOW, **body: object) -> httpx.Response:
    return server.client.post(f"{path}/dispatches", json={"ref": "main", "return_run_details": True, **body})


def start(server: SandboxServer) -> int:
    number: int = dispatch(server).raise_for_status().json()["workflow_run_id"]
    return number


def test_a_run_is_named_when_asked_for(contract: Contract, github: SandboxServer) -> None:
    script(github, "success", None)
    details = contract.check(dispatch(github, inputs={"a": "b"}), 200)
    assert details["html_url"] == f"{github.url}/acme/widgets/actions/runs/{details['workflow_run_id']}"
    contract.check(dispatch(github, return_run_details=False), 204)
    run = contract.check(github.client.get(f"{RUNS}/{details['workflow_run_id']}"), 200)
    assert (run["status"], run["conclusion"], run["run_attempt"]) == ("in_progress", None, 1)
    assert run["html_url"] == details["html_url"]


@pytest.mark.parametrize("conclusion", ["success", "failure", "cancelled"])
def test_a_run_ends_as_scripted(contract: Contract, github: SandboxServer, conclusion: str) -> None:
    script(github, "neutral", None)
    script(github, conclusion)
    run = contract.check(github.client.get(f"{RUNS}/{start(github)}"), 200)
    assert (run["status"], run["conclusion"]) == ("completed", conclusion)


def test_the_html_url_leads_to_a_page(github: SandboxServer) -> None:
    started = dispatch(github, inputs={"prompt": "<script>alert(1)</script>"}).json()
    page = httpx.get(started["html_url"], trust_env=False)
    assert page.status_code == 200
    assert "<script>" not in page.text
    assert "alert(1)" in page.text
    assert httpx.get(f"{github.url}/acme/widgets/actions/runs/4711", trust_env=False).status_code == 404


def test_a_workflows_runs_are_listed_newest_first(contract: Contract, github: SandboxServer) -> None:
    ids = [start(github) for _ in range(3)]
    dispatch(github, ref="next")
    dispatch(github, path=f"{REPOSITORY}/actions/workflows/other.yml")
    query = {"event": "workflow_dispatch", "branch": "main"}
    listed = contract.check(github.client.get(f"{WORKFLOW}/runs", params=query), 200)
    assert [run["id"] for run in listed["workflow_runs"]] == ids[::-1]
    assert listed["total_count"] == 3
    part = github.client.get(f"{WORKFLOW}/runs", params={**query, "per_page": 2, "page": 2})
    assert [run["id"] for run in contract.check(part, 200)["workflow_runs"]] == ids[:1]
    assert 'rel="prev"' in part.headers["link"]
    pushed = contract.check(github.client.get(f"{WORKFLOW}/runs", params={"event": "push"}), 200)
    assert pushed["workflow_runs"] == []


def test_a_run_is_cancelled_once(contract: Contract, github: SandboxServer) -> None:
    script(github, "success", None)
    run_id = start(github)
    contract.check(github.client.post(f"{RUNS}/{run_id}/cancel"), 202)
    assert github.client.get(f"{RUNS}/{run_id}").json()["conclusion"] == "cancelled"
    contract.check(github.client.post(f"{RUNS}/{run_id}/cancel"), 409)


def test_failed_jobs_run_again(contract: Contract, github: SandboxServer) -> None:
    script(github, "failure")
    run_id = start(github)
    script(github, "success")
    contract.check(github.client.post(f"{RUNS}/{run_id}/rerun-failed-jobs"), 201)
    run = github.client.get(f"{RUNS}/{run_id}").json()
    assert (run["run_attempt"], run["conclusion"]) == (2, "success")
    contract.check(github.client.post(f"{RUNS}/{run_id}/rerun-failed-jobs"), 403)
    script(github, "success", None)
    contract.check(github.client.post(f"{RUNS}/{start(github)}/rerun-failed-jobs"), 403)


def test_what_is_not_there_is_404(contract: Contract, github: SandboxServer) -> None:
    elsewhere = f"/repos/acme/gadgets/actions/runs/{start(github)}"
    for answer in (
        github.client.get(elsewhere),
        github.client.post(f"{elsewhere}/cancel"),
        github.client.post(f"{elsewhere}/rerun-failed-jobs"),
        dispatch(github, path=f"{REPOSITORY}/actions/workflows/work.txt"),
    ):
        assert contract.check(answer, 404)["message"] == "Not Found"


@pytest.mark.parametrize(
    "body", [{"ref": None}, {"ref": ""}, {"inputs": []}, {"inputs": {str(number): "" for number in range(26)}}]
)
def test_a_wrong_start_is_422(contract: Contract, github: SandboxServer, body: dict[str, Any]) -> None:
    contract.check(dispatch(github, **body), 422)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"event_type": "x"}, 204),
        ({"event_type": "x" * 100, "client_payload": {str(number): 0 for number in range(10)}}, 204),
        ({}, 422),
        ({"event_type": "x" * 101}, 422),
        ({"event_type": "x", "client_payload": []}, 422),
        ({"event_type": "x", "client_payload": {str(number): 0 for number in range(11)}}, 422),
        ({"event_type": "x", "client_payload": {"a": "x" * 65_536}}, 422),
    ],
)
def test_an_event(contract: Contract, github: SandboxServer, body: dict[str, Any], status: int) -> None:
    contract.check(github.client.post(f"{REPOSITORY}/dispatches", json=body), status)


def test_state_survives_a_kill(tmp_path: Path) -> None:
    with SandboxServer("github", tmp_path) as server:
        script(server, "failure", None)
        run_id = start(server)
        server.kill_and_restart()
        assert server.client.get(f"{RUNS}/{run_id}").json()["status"] == "in_progress"
        assert start(server) == run_id + 1
