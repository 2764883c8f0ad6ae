"""200 events of one pull request, out of order and doubled: one agent at a time, at last that of the newest state."""

import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import uuid4

from shared.adapters.codegen.answers import MARK
from tests.acceptance.local_stack import LocalStack, wait_until
from tests.acceptance.repository import Repository, new_sha

EVENTS = 200
NUMBER = 7
# Each burst that tells of something newer finds the agent of the one before at work.
BURSTS = 4
# How many places an event comes too early or too late.
DISORDER = 80
# In place of the default of that name.
FILE = """
version: 1
workflows:
  pull_request_analysis:
    on: {pull_request: {actions: [synchronize]}}
    concurrency: {group: subject, on_conflict: cancel}
    debounce: 1s
    steps:
      - {id: look, uses: codegen.run, with: {prompt: "Look at {{ subject.sha }}"}}
      - {uses: github.comment, with: {body: "Looked at {{ subject.sha }}"}}
"""
_TOOK_ITS_PLACE = re.compile(r"run [0-9a-f-]{36} of delivery ([0-9a-f-]{36}) takes its place")
_HAS_MOVED_ON = re.compile(r"the subject has moved on: delivery ([0-9a-f-]{36}) told of .*")


def test_200_events_out_of_order_and_doubled(stack: LocalStack) -> None:
    repository = Repository(stack, FILE)
    shas = [new_sha() for _ in range(EVENTS)]
    # Nobody's agent comes to its end by itself but that of the newest state.
    repository.script_agent("^Look at", after_seconds=600)
    repository.script_agent(f"^Look at {shas[-1]}", after_seconds=1)
    ages = {str(uuid4()): age for age in range(EVENTS)}
    chance = random.Random(20_261_101)  # noqa: S311 - no secret depends on it
    order = sorted([*ages, *ages], key=lambda delivery_id: ages[delivery_id] + chance.uniform(0, DISORDER))
    assert ages[order[-1]] < EVENTS - 1

    def send(delivery_id: str) -> None:
        age = ages[delivery_id]
        repository.send(
            "pull_request", repository.build_pull_request("synchronize", NUMBER, shas[age], minute=age), delivery_id
        )

    newest, started = -1, 0
    size = len(order) // BURSTS
    with ThreadPoolExecutor(8) as pool:
        for burst in (order[begin : begin + size] for begin in range(0, len(order), size)):
            list(pool.map(send, burst))
            if max(ages[delivery_id] for delivery_id in burst) > newest:
                newest = max(ages[delivery_id] for delivery_id in burst)
                wait_until(partial(has_looked_at, repository, shas[newest]), "the newest state is looked at")
                started += 1

    runs = {age: stack.follow(delivery_id)["runs"] for delivery_id, age in ages.items()}
    assert all(len(each) == 1 for each in runs.values())
    last = runs.pop(EVENTS - 1)[0]
    assert last["status"] == "succeeded"
    for age, [run] in runs.items():
        assert run["status"] == "superseded"
        by = _TOOK_ITS_PLACE.fullmatch(run["reason"]) or _HAS_MOVED_ON.fullmatch(run["reason"])
        assert by is not None, run["reason"]
        assert ages[by[1]] > age
    assert list_prompts(repository)[-1] == f"Look at {shas[-1]}"
    assert started >= BURSTS - 1
    assert [body["body"].partition("\n")[0] for body in repository.list_written()] == [f"Looked at {shas[-1]}"]
    check_one_at_a_time(repository)


def list_prompts(repository: Repository) -> list[str]:
    return [body["prompt"] for body in repository.list_agent_runs()]


def has_looked_at(repository: Repository, sha: str) -> bool:
    return f"Look at {sha}" in list_prompts(repository)


def check_one_at_a_time(repository: Repository) -> None:
    """Checks at the sandbox Codegen that each agent run was stopped before the next was started."""
    ids = {run["metadata"][MARK]: run["id"] for run in repository.read_agent_runs()}
    working: list[int] = []
    stopped = Counter[int]()
    for received in repository.stack.list_received("codegen", method="POST"):
        body = received["body"]
        if received["path"].endswith("/run") and body["metadata"].get(MARK) in ids:
            assert not working, f"agent run {working} works while another is started"
            working.append(ids[body["metadata"][MARK]])
        elif received["path"].endswith("/run/ban") and body["agent_run_id"] in working:
            working.remove(body["agent_run_id"])
            stopped[body["agent_run_id"]] += 1
    assert len(working) == 1
    assert sum(stopped.values()) == len(ids) - 1
