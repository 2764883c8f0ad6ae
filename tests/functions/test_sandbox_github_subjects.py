"""The sandbox GitHub's issues and pull requests: what they remember, refuse and show."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.outside import APP_TOKEN, GITHUB_ERRORS
from tests.support.sandbox_server import Contract, SandboxServer

R = "/repos/acme/widgets"
SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
OTHER_SHA = "a" * 40
APP = {"Authorization": f"Bearer {APP_TOKEN}"}


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


def script(github: SandboxServer, **members: object) -> None:
    subject = {"owner": "acme", "repo": "widgets", "number": 7, **members}
    github.client.post("/_subjects", json=subject).raise_for_status()


def act(github: SandboxServer) -> None:
    """Does something of everything."""
    for method, path, document in (
        ("POST", "issues/7/labels", {"labels": ["bug", "<b>x</b>"]}),
        ("POST", "issues/7/assignees", {"assignees": ["ada"]}),
        ("POST", "issues/7/reactions", {"content": "rocket"}),
        ("POST", "pulls/7/requested_reviewers", {"reviewers": ["grace"], "team_reviewers": ["core"]}),
        ("POST", "pulls/7/reviews", {"event": "REQUEST_CHANGES", "body": "<script>no</script>"}),
        ("POST", "check-runs", {"name": "lint", "head_sha": SHA, "conclusion": "failure"}),
        ("POST", "issues/7/comments", {"body": "Hello"}),
        ("PUT", "pulls/7/merge", {"sha": SHA}),
    ):
        github.client.request(method, f"{R}/{path}", json=document, headers=APP).raise_for_status()


def test_a_kill_loses_nothing(contract: Contract, github: SandboxServer) -> None:
    act(github)
    paths = (
        "issues/7",
        "pulls/7",
        "issues/7/labels",
        "pulls/7/reviews",
        f"commits/{SHA}/check-runs",
        "issues?state=all",
    )
    before = [github.client.get(f"{R}/{path}").json() for path in paths]
    github.kill_and_restart()
    after = [contract.check(github.client.get(f"{R}/{path}"), 200) for path in paths]
    assert after == before
    assert (after[1]["merged"], after[1]["head"]["sha"], after[1]["state"]) == (True, SHA, "closed")


def test_pages_show_what_was_done(github: SandboxServer) -> None:
    act(github)
    comment = github.client.get(f"{R}/issues/7/comments").json()[0]
    github.client.post(f"{R}/issues/comments/{comment['id']}/reactions", json={"content": "eyes"}).raise_for_status()
    page = httpx.get(f"{github.url}/acme/widgets/pull/7", trust_env=False).text
    for text in (
        "merged at",
        "Labels: bug, &lt;b&gt;x&lt;/b&gt;",
        "Assignees: ada",
        "Reviewers: grace",
        "Teams: core",
        "Reactions: rocket",
        "Reactions: eyes",
        "CHANGES_REQUESTED",
        "&lt;script&gt;no&lt;/script&gt;",
    ):
        assert text in page
    assert "<script>" not in page
    commit = httpx.get(f"{github.url}/acme/widgets/commit/{SHA}", trust_env=False).text
    assert "<b>lint</b>: failure" in commit
    script(github, number=8, auto_merge="squash", mergeable_state="blocked")
    assert "auto-merge is on (squash)" in httpx.get(f"{github.url}/acme/widgets/pull/8", trust_env=False).text


def test_a_reset_forgets_it_all(github: SandboxServer) -> None:
    act(github)
    github.client.post("/_reset").raise_for_status()
    assert github.client.get(f"{R}/issues?state=all").json() == []
    pull = github.client.get(f"{R}/pulls/7").json()
    assert (pull["merged"], pull["labels"], pull["mergeable"], pull["mergeable_state"]) == (False, [], True, "clean")


def test_new_issues_are_numbered_after_all_others(contract: Contract, github: SandboxServer) -> None:
    github.client.post(f"{R}/issues/41/comments", json={"body": "Hello"}).raise_for_status()
    made = contract.check(github.client.post(f"{R}/issues", json={"title": "First"}), 201)
    assert made["number"] == 42
    second = contract.check(github.client.post(f"{R}/issues", json={"title": "Second"}, headers=APP), 201)
    assert (second["number"], second["user"]["type"]) == (43, "Bot")
    assert contract.check(github.client.get(f"{R}/pulls/42"), 404)["message"] == "Not Found"
    contract.check(github.client.patch(f"{R}/issues/42", json={"state": "closed"}), 200)
    listed = contract.check(github.client.get(f"{R}/issues"), 200)
    assert [issue["number"] for issue in listed] == [43]
    first, second = (
        github.client.get(f"{R}/issues", params={"state": "all", "per_page": 1, "page": page}) for page in (1, 2)
    )
    assert [issue["number"] for page in (first, second) for issue in page.json()] == [43, 42]
    assert github.client.get(f"{R}/issues", params={"since": "2999-01-01T00:00:00Z"}).json() == []
    contract.check(github.client.patch(f"{R}/issues/42", json={"state": "open"}), 200)
    assert github.client.get(f"{R}/issues/42").json()["closed_at"] is None


@pytest.mark.parametrize(
    ("request_", "document", "status", "message"),
    [
        ("POST issues", {}, 422, '"title" wasn\'t supplied'),
        ("POST issues", {"title": " "}, 422, "Validation Failed"),
        ("POST issues", {"title": "T" * 257}, 422, "Validation Failed"),
        ("POST issues", {"title": "T", "labels": "bug"}, 422, "is not an array"),
        ("PATCH issues/7", {"state": "shut"}, 422, "is not a member of"),
        ("POST issues/7/labels", {"labels": []}, 422, "Validation Failed"),
        ("DELETE issues/7/labels/absent", None, 404, "Label does not exist"),
        ("POST issues/7/reactions", {"content": "thumbs"}, 422, "is not a member of"),
        ("POST pulls/7/requested_reviewers", {"reviewers": ["octocat"]}, 422, "pull request author"),
        ("POST pulls/7/reviews", {"event": "COMMENT"}, 422, "Unprocessable Entity"),
        ("PUT pulls/7/merge", {"merge_method": "fast"}, 422, "is not a member of"),
        ("POST check-runs", {"name": "lint", "head_sha": "abc"}, 422, "No commit found for SHA: abc"),
        ("POST check-runs", {"name": "lint", "head_sha": SHA, "status": "completed"}, 422, '"conclusion" wasn\'t'),
        ("POST check-runs", {"name": "lint", "head_sha": SHA, "output": {"title": "T"}}, 422, '"summary" wasn\'t'),
    ],
)
def test_what_github_refuses(
    github: SandboxServer, contract: Contract, *, request_: str, document: object, status: int, message: str
) -> None:
    method, path = request_.split()
    answer = github.client.request(method, f"{R}/{path}", json=document, headers=APP)
    assert message in contract.check(answer, status)["message"]


def test_a_check_run_needs_an_app(contract: Contract, github: SandboxServer) -> None:
    answer = github.client.post(f"{R}/check-runs", json={"name": "lint", "head_sha": SHA})
    assert contract.check(answer, 403)["message"] == "You must authenticate via a GitHub App."


def test_the_first_head_that_is_named_is_the_head(contract: Contract, github: SandboxServer) -> None:
    path = f"{R}/pulls/7/update-branch"
    contract.check(github.client.put(path, json={"expected_head_sha": SHA}), 202)
    refused = contract.check(github.client.put(path, json={"expected_head_sha": OTHER_SHA}), 422)
    assert "match current head ref" in refused["message"]
    head = github.client.get(f"{R}/pulls/7").json()["head"]["sha"]
    refused = contract.check(github.client.put(path, json={"expected_head_sha": head}), 422)
    assert refused["message"] == "There are no new commits on the base branch."
    merge = f"{R}/pulls/7/merge"
    assert contract.check(github.client.put(merge, json={"sha": SHA}), 409)["message"].startswith("Head branch was mod")
    assert contract.check(github.client.put(merge, json={"sha": head}), 200)["merged"] is True
    assert contract.check(github.client.put(merge), 405)["message"] == "Pull Request is not mergeable"


def test_check_runs_are_listed_by_name_and_newest(contract: Contract, github: SandboxServer) -> None:
    for name, conclusion in (("lint", "failure"), ("test", "success"), ("lint", "success")):
        document = {"name": name, "head_sha": SHA, "conclusion": conclusion}
        contract.check(github.client.post(f"{R}/check-runs", json=document, headers=APP), 201)
    path = f"{R}/commits/{SHA}/check-runs"
    latest = contract.check(github.client.get(path), 200)
    assert [(run["name"], run["conclusion"]) for run in latest["check_runs"]] == [
        ("lint", "success"),
        ("test", "success"),
    ]
    lint = contract.check(github.client.get(path, params={"check_name": "lint", "filter": "all", "per_page": 1}), 200)
    assert (lint["total_count"], len(lint["check_runs"])) == (2, 1)


def test_graphql_answers_200_whatever_is_asked(github: SandboxServer) -> None:
    for document in ({"query": "{ viewer { login } }"}, {"query": "mutation", "variables": []}):
        answer = github.client.post("/graphql", json=document)
        assert answer.status_code == 200
        assert answer.json()["errors"]
    query = "mutation($input: EnablePullRequestAutoMergeInput!) { enablePullRequestAutoMerge(input: $input) { x } }"
    for node_id in (None, "PR_", "PR_!!", "U_1"):
        variables = {"input": {"pullRequestId": node_id}}
        answer = github.client.post("/graphql", json={"query": query, "variables": variables})
        [error] = answer.json()["errors"]
        assert error["type"] == "NOT_FOUND"


@pytest.mark.parametrize("wrong", [{"number": 0}, {"mergeable_state": "fine"}, {"head_sha": "abc"}, {"unknown": 1}])
def test_a_script_that_is_wrong_is_refused(github: SandboxServer, wrong: dict[str, object]) -> None:
    answer = github.client.post("/_subjects", json={"owner": "acme", "repo": "widgets", "number": 7, **wrong})
    assert answer.status_code == 422
