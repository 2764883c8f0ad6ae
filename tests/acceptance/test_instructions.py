"""What people tell the orchestrator through its API: approve, cancel, retry, and the kill switch."""

import uuid
from collections.abc import Iterator

import pytest

from tests.acceptance.local_stack import LocalStack, wait_until
from tests.acceptance.repository import Json, Repository, new_sha, read_run

NUMBER = 7
WORKFLOW = "pull_request_analysis"
ASK = """
version: 1
workflows:
  pull_request_analysis:
    on: {pull_request: {actions: [opened]}}
    steps:
      - {uses: approval.wait, with: {message: "Shall this be deployed?"}}
      - {uses: github.comment, with: {body: "Deployed {{ subject.key }}"}}
"""
WORK = """
version: 1
workflows:
  pull_request_analysis:
    on: {pull_request: {actions: [opened]}}
    steps:
      - {id: look, uses: codegen.run, with: {prompt: "Look at {{ subject.key }}"}}
"""


@pytest.fixture
def agents_off(stack: LocalStack) -> Iterator[None]:
    """Agents are off, and on again for whoever comes next."""
    put_switch(stack, is_on=False, reason="the bill")
    yield
    put_switch(stack, is_on=True)


def put_switch(stack: LocalStack, **body: object) -> None:
    stack.client.put("/api/v1/switches/agents", json=body).raise_for_status()


def tell(stack: LocalStack, run: Json, what: str, status: int = 200, key: str | None = None) -> Json:
    headers = {} if key is None else {"idempotency-key": key}
    answer = stack.client.post(f"/api/v1/runs/{run['run_id']}/{what}", headers=headers)
    assert answer.status_code == status, answer.text
    told: Json = answer.json()
    return told


def wait_for_end(stack: LocalStack, run_id: str) -> Json:
    """Returns the run once it is over."""
    wait_until(lambda: stack.get(f"/api/v1/runs/{run_id}")["finished_at"] is not None, f"run {run_id} ends")
    run: Json = stack.get(f"/api/v1/runs/{run_id}")
    return run


def ask(stack: LocalStack) -> tuple[Repository, Json]:
    """Returns a repository, and a run of it that waits for an approval."""
    repository = Repository(stack, ASK)
    opened = repository.send("pull_request", repository.build_pull_request("opened", NUMBER, new_sha()))
    repository.wait_for_question(opened, WORKFLOW)
    return repository, read_run(stack.follow(opened, to_end=False), WORKFLOW)


def test_a_run_goes_on_when_it_is_approved_by_the_api(stack: LocalStack) -> None:
    repository, run = ask(stack)
    subject = f"{repository.name}#{NUMBER}"
    [listed] = stack.get("/api/v1/runs", repository=repository.name, status="waiting")["items"]
    assert (listed["run_id"], listed["workflow"], listed["subject"]) == (run["run_id"], WORKFLOW, subject)
    assert repository.list_written(f"issues/{NUMBER}/comments")[1:] == []

    key = str(uuid.uuid4())
    for _ in range(2):
        assert tell(stack, run, "approve", key=key) == {"run_ids": [run["run_id"]]}
    assert tell(stack, run, "approve", status=409)["detail"] == "nothing in the run waits for approval"

    ended = wait_for_end(stack, run["run_id"])
    assert ended["status"] == "succeeded"
    assert ended["tasks"][0]["agent_runs"][0]["result"] == "approved by api"
    [_, said] = repository.list_written(f"issues/{NUMBER}/comments")
    assert said["body"].startswith(f"Deployed {subject}")
    told = [item for item in stack.get("/api/v1/instructions")["items"] if item["run_id"] == run["run_id"]]
    assert [(item["kind"], item["given_by"], item["run_ids"]) for item in told] == [
        ("approve", "api", []),
        ("approve", "api", [run["run_id"]]),
    ]
    assert tell(stack, run, "cancel", status=409)["detail"] == "the run is over"
    assert tell(stack, {"run_id": uuid.uuid4()}, "approve", status=404)["detail"] == "there is no such run"


def test_what_was_cancelled_is_run_again_on_request(stack: LocalStack) -> None:
    repository, run = ask(stack)
    assert tell(stack, run, "cancel") == {"run_ids": [run["run_id"]]}
    ended = wait_for_end(stack, run["run_id"])
    assert (ended["status"], ended["reason"]) == ("cancelled", "cancelled by api")

    [again] = tell(stack, run, "retry")["run_ids"]
    wait_until(
        lambda: stack.get(f"/api/v1/runs/{again}")["status"] == "waiting",
        "the run that is made again asks for approval",
    )
    tell(stack, {"run_id": again}, "approve")
    shown = wait_for_end(stack, again)
    assert (shown["status"], shown["retry_of"]) == ("succeeded", run["run_id"])
    runs = stack.get("/api/v1/runs", subject=f"{repository.name}#{NUMBER}", workflow=WORKFLOW)["items"]
    assert [each["run_id"] for each in runs] == [again, run["run_id"]]


@pytest.mark.usefixtures("agents_off")
def test_while_agents_are_off_none_starts_and_each_run_says_why(stack: LocalStack) -> None:
    repository = Repository(stack, WORK)
    opened = repository.follow("pull_request", repository.build_pull_request("opened", NUMBER, new_sha()))
    run = read_run(opened, WORKFLOW)
    assert (run["status"], run["reason"]) == ("cancelled", "agents are switched off: the bill (api)")
    assert repository.list_agent_runs() == []
    [switch] = stack.get("/api/v1/switches")["items"]
    assert (switch["name"], switch["is_on"], switch["reason"]) == ("agents", False, "the bill")

    put_switch(stack, is_on=True)
    [again] = tell(stack, run, "retry")["run_ids"]
    assert wait_for_end(stack, again)["status"] == "succeeded"
    assert len(repository.list_agent_runs()) == 1
