from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.local_stack import LocalStack, check_once, wait_until

RETRY_AFTER_SECONDS = 5
BESIDE = 5

# What goes wrong with the first request to comment; whether GitHub has the comment all the same; the reason told.
FAULTS: dict[str, tuple[dict[str, object], bool, str | None]] = {
    "slow": ({"delay_seconds": 3}, True, None),
    "slower than we wait": ({"delay_seconds": 12}, True, "github did not answer POST"),
    "502, not applied": ({"status": 502}, False, "github answered 502 to POST"),
    "502, applied": ({"status": 502, "applied": True}, True, "github answered 502 to POST"),
    "503 with Retry-After, applied": (
        {"status": 503, "applied": True, "retry_after": 3},
        True,
        "github answered 503 to POST",
    ),
    "cut, not applied": ({"cut": "before"}, False, "github did not answer POST"),
    "cut, applied": ({"cut": "after"}, True, "github did not answer POST"),
}


def list_attempts(document: dict[str, Any]) -> list[dict[str, Any]]:
    [run] = document["runs"]
    attempts: list[dict[str, Any]] = run["tasks"][1]["attempts"]
    return attempts


def list_comment_requests(stack: LocalStack, number: str, method: str) -> list[dict[str, Any]]:
    path = f"/repos/Codertocat/Hello-World/issues/{number}/comments"
    return [each for each in stack.list_received("github", path=path, method=method) if each["path"] == path]


def test_whatever_befalls_a_comment_it_is_written_once_and_its_attempts_say_why(stack: LocalStack) -> None:
    sent = {}
    for name, (fault, _, _) in FAULTS.items():
        number, body = stack.open_pull_request()
        stack.add_faults("github", {"method": "POST", "path": f"/issues/{number}/comments$", **fault})
        sent[name] = number, stack.send("pull_request", body)

    documents = {name: stack.follow(delivery_id) for name, (_, delivery_id) in sent.items()}

    check_once(stack, documents.values())
    for name, (_, is_applied, reason) in FAULTS.items():
        number, _ = sent[name]
        attempts = list_attempts(documents[name])
        outcomes = [(attempt["outcome"], attempt["error"]) for attempt in attempts]
        posts = list_comment_requests(stack, number, "POST")
        if reason is None:
            assert outcomes == [("succeeded", None)], name
            assert len(posts) == 1, name
            continue
        assert [outcome for outcome, _ in outcomes] == ["retried", "succeeded"], name
        assert reason in outcomes[0][1], name
        assert len(posts) == (1 if is_applied else 2), name
        assert list_comment_requests(stack, number, "GET"), name


@pytest.mark.parametrize("status", [403, 429])
def test_retry_after_is_obeyed_by_all_workers_and_costs_no_attempt(stack: LocalStack, status: int) -> None:
    number, body = stack.open_pull_request()
    fault = {"method": "POST", "path": f"/issues/{number}/comments$", "status": status}
    stack.add_faults("github", {**fault, "retry_after": RETRY_AFTER_SECONDS})
    limited = stack.send("pull_request", body)
    wait_until(lambda: bool(list_comment_requests(stack, number, "POST")), "github has limited us")
    beside = [stack.send("pull_request", stack.open_pull_request()[1]) for _ in range(BESIDE)]

    def is_explained() -> bool:
        [run] = stack.follow(limited, to_end=False)["runs"]
        return f"github answered {status} to POST" in (run["tasks"][-1]["reason"] or "")

    wait_until(is_explained, "the task says why it waits")
    documents = [stack.follow(delivery_id) for delivery_id in (limited, *beside)]

    check_once(stack, documents)
    for document in documents:
        assert [attempt["outcome"] for attempt in list_attempts(document)] == ["succeeded"]
    received = [datetime.fromisoformat(each["at"]) for each in stack.list_received("github")]
    limited_at = datetime.fromisoformat(list_comment_requests(stack, number, "POST")[0]["at"])
    until = limited_at + timedelta(seconds=RETRY_AFTER_SECONDS)
    assert [at for at in received if limited_at < at < until] == []
