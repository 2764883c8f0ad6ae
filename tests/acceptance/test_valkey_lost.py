import signal

import redis

from tests.acceptance.local_stack import LocalStack, check_once, wait_until

BACKLOG = 30


def test_valkey_killed_and_then_emptied_with_a_backlog_loses_and_fails_nothing(stack: LocalStack) -> None:
    held_back = {"method": "POST", "times": -1, "delay_seconds": 0.3}
    stack.add_faults("github", held_back)
    stack.add_faults("codegen", held_back)
    before = len(stack.list_received("codegen", method="POST"))
    delivery_ids = [stack.send("pull_request", stack.open_pull_request()[1]) for _ in range(BACKLOG)]
    wait_until(lambda: len(stack.list_received("codegen", method="POST")) > before, "the backlog is being worked on")

    killed = stack.signal("valkey", signal.SIGKILL)
    delivery_ids += [stack.send("pull_request", stack.open_pull_request()[1]) for _ in range(BACKLOG)]
    wait_until(lambda: stack.endpoints["valkey"]["pid"] not in {None, killed}, "valkey is started again")
    wait_until(lambda: stack.client.get("/health", params={"deep": 1}).json()["checks"]["cache"], "the cache is back")
    unfinished = [each for each in delivery_ids if not is_finished(stack, each)]
    with redis.Redis.from_url(stack.address("valkey")) as valkey:
        valkey.flushall()

    documents = [stack.follow(delivery_id) for delivery_id in delivery_ids]
    assert unfinished != []
    check_once(stack, documents)
    stack.clear_faults("github")
    stack.clear_faults("codegen")


def is_finished(stack: LocalStack, delivery_id: str) -> bool:
    document = stack.read_delivery(delivery_id)
    return document is not None and all(run["finished_at"] for run in document["runs"])
