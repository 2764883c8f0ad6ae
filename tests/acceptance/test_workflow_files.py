import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.domain.workflow_file import FILE_PATH, STATUS_CONTEXT
from tests.acceptance.local_stack import LocalStack, wait_until

GOOD = """
version: 1
workflows:
  greet:
    on: {issues: {actions: [opened]}}
    steps: [{uses: github.comment, with: {body: "Hello from the first version"}}]
"""
BETTER = GOOD.replace("first", "second")
FAULTY = GOOD.replace("uses:", "use:")
AT_ONCE = 8


@pytest.fixture
def repository() -> str:
    return f"octo-org/{uuid.uuid4().hex}"


def build_payload(repository: str, **members: object) -> bytes:
    about = {"id": 1, "full_name": repository, "default_branch": "main"}
    return json.dumps({"repository": about, "sender": {"login": "mona", "type": "Bot"}, **members}).encode()


def push(stack: LocalStack, repository: str, commit: str) -> dict[str, Any]:
    """Has the file be pushed."""
    commits = [{"id": commit, "message": "Workflows", "modified": [FILE_PATH]}]
    body = build_payload(repository, ref="refs/heads/main", after=commit, deleted=False, commits=commits)
    return stack.follow(stack.send("push", body))


def open_issue(stack: LocalStack, repository: str, number: int) -> dict[str, Any]:
    body = build_payload(repository, action="opened", issue={"number": number, "title": "An issue"})
    return stack.follow(stack.send("issues", body))


def read_comments(stack: LocalStack, repository: str, number: int) -> list[str]:
    path = f"/repos/{repository}/issues/{number}/comments"
    return [each["body"]["body"].partition("\n")[0] for each in stack.list_received("github", path=path, method="POST")]


def read_reports(stack: LocalStack, repository: str) -> list[dict[str, str]]:
    posted = stack.list_received("github", path=f"/repos/{repository}/statuses/", method="POST")
    return [
        {**each["body"], "sha": each["path"].rpartition("/")[2]}
        for each in posted
        if each["body"]["context"] == STATUS_CONTEXT
    ]


def new_commit() -> str:
    return uuid.uuid4().hex + "0" * 8


def test_a_repository_s_file_comes_into_force_and_a_broken_one_does_not(stack: LocalStack, repository: str) -> None:
    open_issue(stack, repository, 1)
    assert read_comments(stack, repository, 1) == []

    for number, text, version in ((2, GOOD, "first"), (3, BETTER, "second")):
        stack.put_file(repository, FILE_PATH, text)
        push(stack, repository, new_commit())
        document = open_issue(stack, repository, number)
        assert read_comments(stack, repository, number) == [f"Hello from the {version} version"]
        [verdict] = [each for each in document["verdicts"] if each["workflow"] == "greet"]
        assert verdict["matched"]
    assert read_reports(stack, repository) == []

    commit = new_commit()
    stack.put_file(repository, FILE_PATH, FAULTY)
    [report] = push(stack, repository, commit)["runs"]
    assert (report["workflow"], report["status"]) == ("workflow_file", "succeeded")
    document = open_issue(stack, repository, 4)
    assert read_comments(stack, repository, 4) == ["Hello from the second version"]
    assert [run["status"] for run in document["runs"]] == ["succeeded"]
    [status] = read_reports(stack, repository)
    assert (status["state"], status["sha"]) == ("error", commit)
    assert status["description"].startswith(FILE_PATH)
    assert "use" in status["description"]
    assert status["target_url"].startswith(f"{stack.address('github')}/{repository}/blob/")
    shown = stack.get("/api/v1/workflows", repository=repository)
    assert shown["file"]["faults"]
    assert {"greet": "repository", "push_analysis": "organization", "slash_retry": "default"}.items() <= {
        item["name"]: item["origin"] for item in shown["items"]
    }.items()

    commit = new_commit()
    stack.put_file(repository, FILE_PATH, GOOD)
    push(stack, repository, commit)
    open_issue(stack, repository, 5)
    assert read_comments(stack, repository, 5) == ["Hello from the first version"]
    assert [(each["state"], each["sha"]) for each in read_reports(stack, repository)][1:] == [("success", commit)]
    [version] = {item["version"] for item in shown["items"] if item["name"] == "greet"}
    versions = stack.get("/api/v1/workflows/greet/versions")["items"]
    assert {each["version"]: each["in_force_for"] for each in versions}[version] == []


def test_of_many_at_once_one_reports_a_broken_file(stack: LocalStack, repository: str) -> None:
    stack.put_file(repository, FILE_PATH, FAULTY)
    commits = [new_commit() for _ in range(AT_ONCE)]

    def send(commit: str) -> str:
        # Each of its own subject, so that no order holds one behind the other.
        payload = {"ref": "refs/heads/main", "after": commit, "pull_request": {"number": int(commit[:6], 16) + 1}}
        return stack.send("push", build_payload(repository, **payload))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        delivery_ids = list(pool.map(send, commits))
    for delivery_id in delivery_ids:
        stack.follow(delivery_id)
    # The report is recorded after its delivery.
    wait_until(lambda: read_reports(stack, repository) != [], "the file is reported")
    documents = [stack.follow(delivery_id) for delivery_id in delivery_ids]

    runs = [run["workflow"] for document in documents for run in document["runs"]]
    assert runs.count("workflow_file") == 1
    assert len(read_reports(stack, repository)) == 1


def test_an_unwell_github_holds_no_delivery_up(stack: LocalStack, repository: str) -> None:
    stack.put_file(repository, FILE_PATH, GOOD)
    stack.add_faults("github", {"method": "GET", "path": f"/repos/{repository}/contents/", "status": 403})
    open_issue(stack, repository, 1)
    assert read_comments(stack, repository, 1) == []
    push(stack, repository, new_commit())
    open_issue(stack, repository, 2)
    assert read_comments(stack, repository, 2) == ["Hello from the first version"]
