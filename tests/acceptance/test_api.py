import json
import uuid
from typing import Any

import httpx
import pytest

from tests.acceptance.local_stack import API_TOKEN, SECRET, LocalStack

ANY_ID = "00000000-0000-4000-8000-000000000000"
PROTECTED = [
    "/api/v1/deliveries",
    f"/api/v1/deliveries/{ANY_ID}",
    "/api/v1/instructions",
    "/api/v1/runs",
    f"/api/v1/runs/{ANY_ID}",
    "/api/v1/switches",
    "/api/v1/tasks",
    "/api/v1/workflows",
]


def star(repository: str, **members: object) -> bytes:
    return json.dumps({"repository": {"full_name": repository}, **members}).encode()


def new_repository() -> str:
    return f"octo-org/{uuid.uuid4().hex}"


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", f"Basic {API_TOKEN}", f"Bearer {API_TOKEN}x", b"Bearer \xff\xe9"]
)
def test_a_bearer_token_is_required(stack: LocalStack, path: str, given: str | bytes | None) -> None:
    token = given.encode() if isinstance(given, str) else given
    headers = [] if token is None else [(b"authorization", token)]
    answer = httpx.get(f"{stack.url}{path}", headers=headers, trust_env=False)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json().keys() == {"detail"}
    assert API_TOKEN not in answer.text


def test_health_and_documentation_need_no_token(stack: LocalStack) -> None:
    with httpx.Client(base_url=stack.url, trust_env=False) as anyone:
        assert anyone.get("/health").json() == {"status": "ok"}
        deep = anyone.get("/health", params={"deep": 1})
        assert (deep.status_code, deep.json()["checks"]) == (200, {"database": True, "cache": True, "queue": True})
        docs = anyone.get("/docs")
        assert docs.status_code == 200
        assert docs.headers["content-type"].startswith("text/html")
        paths = anyone.get("/openapi.json").json()["paths"]
        assert {path.replace("{delivery_id}", ANY_ID).replace("{run_id}", ANY_ID) for path in paths} >= {*PROTECTED}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        (f"/api/v1/deliveries/{ANY_ID}", 404),
        (f"/api/v1/runs/{ANY_ID}", 404),
        ("/api/v1/webhooks/github", 404),
        ("/api/v1/deliveries/no-guid", 422),
        ("/api/v1/runs/1%3B%20drop%20table%20runs", 422),
        ("/api/v1/deliveries?limit=0", 422),
        ("/api/v1/deliveries?limit=201", 422),
        ("/api/v1/deliveries?status=lost", 422),
        ("/api/v1/deliveries?since=yesterday", 422),
        ("/api/v1/deliveries?cursor=nonsense", 422),
        ("/api/v1/tasks?cursor=WzEsMl0%3D", 422),
        ("/api/v1/tasks?run_id=1", 422),
        ("/api/v1/runs?status=lost", 422),
        ("/api/v1/runs?cursor=nonsense", 422),
        ("/api/v1/instructions?cursor=nonsense", 422),
    ],
)
def test_what_is_not_there_or_not_understood_is_answered_in_json(stack: LocalStack, path: str, status: int) -> None:
    answer = stack.client.get(path)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["detail"]


def test_filters_select_what_they_say(stack: LocalStack) -> None:
    repository, other = new_repository(), new_repository()
    ours = stack.send("star", star(repository, action="created", sender={"login": "mona"}))
    deleted = stack.send("star", star(repository, action="deleted", sender={"login": "hubot"}))
    forked = stack.send("fork", star(repository, sender={"login": "mona"}))
    elsewhere = stack.send("star", star(other, action="created", sender={"login": "mona"}))
    received_at = {each: stack.follow(each)["received_at"] for each in (ours, deleted, forked, elsewhere)}

    def listed(**filters: str) -> list[str]:
        found = stack.get("/api/v1/deliveries", **filters)["items"]
        return [item["delivery_id"] for item in found]

    assert listed(repository=repository) == [forked, deleted, ours]
    assert listed(repository=repository, event="star") == [deleted, ours]
    assert listed(repository=repository, action="created") == [ours]
    assert listed(repository=repository, sender="mona") == [forked, ours]
    assert listed(subject=other) == [elsewhere]
    assert listed(repository=repository, source="github", status="succeeded") == [forked, deleted, ours]
    assert listed(repository=repository, source="nobody") == []
    assert listed(repository=repository, status="dead") == []
    assert listed(repository=repository, since=received_at[deleted]) == [forked, deleted]
    assert listed(repository=repository, until=received_at[deleted]) == [ours]
    assert listed(repository="x' or '1'='1") == []


def test_pages_have_neither_gaps_nor_repetitions_while_more_arrives(stack: LocalStack) -> None:
    repository = new_repository()
    sent = [stack.send("star", star(repository)) for _ in range(25)]
    for delivery_id in sent:
        stack.follow(delivery_id)

    seen: list[str] = []
    page = read_page(stack, repository, None)
    while True:
        seen += [item["delivery_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        stack.follow(stack.send("star", star(repository)))
        page = read_page(stack, repository, page["next_cursor"])

    assert seen == sent[::-1]


def read_page(stack: LocalStack, repository: str, cursor: str | None) -> dict[str, Any]:
    further = {} if cursor is None else {"cursor": cursor}
    page: dict[str, Any] = stack.get("/api/v1/deliveries", repository=repository, limit=4, **further)
    return page


def test_a_run_is_shown_with_tasks_attempts_effects_and_links(stack: LocalStack) -> None:
    document = stack.follow(stack.send("pull_request", stack.open_pull_request()[1]))
    [summary] = document["runs"]

    run = stack.get(f"/api/v1/runs/{summary['run_id']}")

    assert run == {**summary, "delivery_id": document["delivery_id"], "source": "github"}
    analysis, comment = run["tasks"]
    assert analysis["agent_runs"][0]["url"].startswith(stack.address("codegen"))
    assert comment["effects"][0]["url"]
    tasks = stack.get("/api/v1/tasks", run_id=run["run_id"])["items"]
    assert [task["task_id"] for task in tasks] == [comment["task_id"], analysis["task_id"]]
    assert {task["workflow"] for task in tasks} == {"pull_request_analysis"}


def test_no_answer_and_no_log_tells_a_secret(stack: LocalStack) -> None:
    stack.follow(stack.send("pull_request", stack.open_pull_request()[1]))
    stack.client.get("/api/v1/deliveries", params={"cursor": API_TOKEN})
    answers = [stack.client.get(path, params={"limit": 200}).text for path in ("/api/v1/deliveries", "/api/v1/tasks")]
    answers += [stack.client.get(path).text for path in ("/health?deep=1", "/openapi.json", "/docs")]

    told = "\n".join([*answers, stack.read_logs()])

    assert [secret for secret in (SECRET, API_TOKEN) if secret in told] == []
