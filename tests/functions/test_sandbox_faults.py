"""What both sandbox servers share, tried on GitHub: faults, the record of requests, the state, the end."""

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.support.sandbox_server import Contract, SandboxServer

COMMENTS = "/repos/acme/widgets/issues/7/comments"
SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
STATUSES = f"/repos/acme/widgets/statuses/{SHA}"


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract("github-openapi-trimmed.json", "https://api.github.com", {"message", "documentation_url", "status"})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    with SandboxServer("github", tmp_path_factory.mktemp("github")) as server:
        yield server


@pytest.fixture
def github(running: SandboxServer) -> SandboxServer:
    running.client.post("/_reset").raise_for_status()
    return running


def add_comment(
    server: SandboxServer, body: str, path: str = COMMENTS, *, token: str = "", timeout: float = 30
) -> httpx.Response:
    headers = {"Authorization": token} if token else None
    return server.client.post(path, json={"body": body}, headers=headers, timeout=timeout)


def list_bodies(server: SandboxServer) -> list[str]:
    return [comment["body"] for comment in server.client.get(COMMENTS).json()]


def test_received_in_order_without_secrets(github: SandboxServer) -> None:
    for number in range(5):
        add_comment(github, f"comment {number}", token="token secret-value")
    github.client.get(COMMENTS, params={"per_page": 5})
    github.client.post(COMMENTS, content=b"not json")
    received = github.list_received()
    assert [request["body"] for request in received[:5]] == [{"body": f"comment {n}"} for n in range(5)]
    assert [request["at"] for request in received] == sorted(request["at"] for request in received)
    assert datetime.fromisoformat(received[0]["at"]).tzinfo == UTC
    assert {(request["method"], request["path"]) for request in received[:5]} == {("POST", COMMENTS)}
    assert [(request["status"], request["applied"]) for request in received] == [
        *[(201, True)] * 5,
        (200, False),
        (400, False),
    ]
    assert received[5]["query"] == "per_page=5"
    assert received[6]["body"] is None
    assert received[0]["headers"]["authorization"] == "token ***"
    add_comment(github, "no scheme", token="secret-value")
    received = github.list_received()
    assert received[-1]["headers"]["authorization"] == "***"
    assert "secret-value" not in str(received)


def test_received_can_be_filtered(github: SandboxServer) -> None:
    add_comment(github, "hello")
    github.client.get(COMMENTS)
    github.client.get("/rate_limit")
    assert len(github.list_received()) == 3
    assert len(github.list_received(path="/repos/acme/")) == 2
    assert len(github.list_received(path="/repos/acme/", method="post")) == 1


def test_concurrent_requests_are_all_kept(github: SandboxServer) -> None:
    """Many connections at once, none of which is lost or doubled."""
    request = (
        f"POST {COMMENTS} HTTP/1.1\r\nHost: x\r\nUser-Agent: x\r\nAuthorization: Bearer x\r\n"
        'Content-Length: 16\r\nConnection: close\r\n\r\n{"body": "busy"}'
    )
    connections = [socket.create_connection(("127.0.0.1", github.port), timeout=30) for _ in range(50)]
    for connection in connections:
        connection.sendall(request.encode())
    for connection in connections:
        with connection, connection.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.1 201 Created\r\n"
            answer.read()
    comments = github.client.get(COMMENTS, params={"per_page": 100}).json()
    assert len({comment["id"] for comment in comments}) == 50


def test_cut_before_applies_nothing(github: SandboxServer) -> None:
    github.add_faults({"method": "POST", "cut": "before"})
    assert list_bodies(github) == []
    with pytest.raises(httpx.TransportError):
        add_comment(github, "lost")
    assert list_bodies(github) == []
    (cut,) = github.list_received(method="POST")
    assert (cut["status"], cut["applied"], cut["body"]) == (None, False, {"body": "lost"})
    assert add_comment(github, "again").status_code == 201


def test_cut_after_applies_the_write(github: SandboxServer) -> None:
    github.add_faults({"method": "POST", "path": "/comments$", "cut": "after"})
    with pytest.raises(httpx.TransportError):
        add_comment(github, "kept")
    assert list_bodies(github) == ["kept"]
    (cut,) = github.list_received(method="POST")
    assert (cut["status"], cut["applied"]) == (None, True)


def test_a_held_back_answer_is_applied_at_once(github: SandboxServer) -> None:
    github.add_faults({"method": "POST", "delay_seconds": 600})
    with pytest.raises(httpx.ReadTimeout):
        add_comment(github, "slow", timeout=1)
    assert list_bodies(github) == ["slow"]
    (held,) = github.list_received(method="POST")
    assert (held["status"], held["applied"]) == (None, True)


def test_a_delayed_answer_comes(contract: Contract, github: SandboxServer) -> None:
    github.add_faults({"method": "POST", "delay_seconds": 0.3})
    answer = add_comment(github, "slow")
    contract.check(answer, 201)
    (held,) = github.list_received(method="POST")
    assert (held["status"], held["applied"]) == (201, True)


def test_secondary_limit(contract: Contract, github: SandboxServer) -> None:
    github.add_faults({"status": 403, "retry_after": 7}, {"status": 429, "retry_after": 1})
    for status, wait in ((403, "7"), (429, "1")):
        refused = add_comment(github, "no")
        assert refused.headers["retry-after"] == wait
        assert int(refused.headers["x-ratelimit-remaining"]) > 0
        assert "secondary rate limit" in contract.check(refused, status)["message"]
    assert list_bodies(github) == []
    assert [request["status"] for request in github.list_received(method="POST")] == [403, 429]


def test_primary_limit(contract: Contract, github: SandboxServer) -> None:
    github.add_faults({"status": 403, "headers": {"X-RateLimit-Remaining": 0, "X-RateLimit-Reset": "1"}})
    refused = add_comment(github, "no")
    assert contract.check(refused, 403)["message"].startswith("API rate limit exceeded for installation ID")
    assert refused.headers.get_list("x-ratelimit-remaining") == ["0"]
    assert refused.headers["x-ratelimit-reset"] == "1"
    assert "retry-after" not in refused.headers


@pytest.mark.parametrize("status", [401, 403, 404, 409, 410, 422, 500, 502, 503, 504])
def test_any_status(contract: Contract, github: SandboxServer, status: int) -> None:
    github.add_faults({"status": status})
    refused = contract.check(add_comment(github, "no"), status)
    assert "rate limit" not in refused["message"]
    assert list_bodies(github) == []


def test_a_body_of_its_own(github: SandboxServer) -> None:
    github.add_faults(
        {"status": 502, "body": "<html>Bad gateway</html>"}, {"status": 500, "body": {"a": 1}}, {"body": []}
    )
    page = github.client.get(COMMENTS)
    assert (page.status_code, page.text) == (502, "<html>Bad gateway</html>")
    assert page.headers["content-type"].startswith("text/html")
    assert github.client.get(COMMENTS).json() == {"a": 1}
    odd = add_comment(github, "kept")
    assert (odd.status_code, odd.json()) == (201, [])
    assert list_bodies(github) == ["kept"]


def test_faults_are_spent_in_order(github: SandboxServer) -> None:
    github.add_faults(
        {"status": 500, "times": 2},
        {"status": 502, "method": "POST"},
        {"status": 503, "method": "get", "times": -1},
    )
    assert add_comment(github, "a").status_code == 500
    assert github.client.get(COMMENTS).status_code == 500
    assert [fault["times"] for fault in github.client.get("/_faults").json()] == [1, -1]
    assert [github.client.get(COMMENTS).status_code for _ in range(3)] == [503] * 3
    assert add_comment(github, "b").status_code == 502
    assert add_comment(github, "c").status_code == 201
    assert github.client.delete("/_faults").status_code == 204
    assert list_bodies(github) == ["c"]


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"cut": "later"}, "cut"),
        ({"cut": "after", "status": 500}, "cut"),
        ({"times": 0}, "times"),
        ({"path": "("}, "path"),
        ({"status": 42}, "status"),
        ({"delay_seconds": -1}, "delay_seconds"),
        ({"headers": {"a b": "c"}}, "headers"),
        ({"retry-after": 1}, "retry-after"),
    ],
)
def test_a_wrong_fault_is_refused_by_name(github: SandboxServer, fault: dict[str, object], field: str) -> None:
    refused = github.client.post("/_faults", json=[{"status": 500}, fault])
    assert refused.status_code == 422
    assert [error["loc"][:3] for error in refused.json()["detail"]] == [["body", 1, field]]
    assert github.client.get("/_faults").json() == []


def test_reset_forgets_everything(github: SandboxServer) -> None:
    first = add_comment(github, "hello").json()["id"]
    github.add_faults({"status": 500})
    assert github.client.post("/_reset").status_code == 204
    assert github.list_received() == []
    assert list_bodies(github) == []
    assert add_comment(github, "hello").json()["id"] > first


def test_state_survives_a_kill(contract: Contract, tmp_path: Path) -> None:
    with SandboxServer("github", tmp_path / "made" / "here") as server:
        comment = contract.check(add_comment(server, "kept"), 201)
        server.client.post(STATUSES, json={"state": "failure"}).raise_for_status()
        server.add_faults({"method": "DELETE", "status": 502, "times": 2})
        assert server.client.delete(comment["url"]).status_code == 502
        before = server.list_received()
        server.kill_and_restart()
        assert server.list_received() == before
        assert contract.check(server.client.get(COMMENTS), 200) == [comment]
        combined = server.client.get(f"/repos/acme/widgets/commits/{SHA}/status").json()
        assert combined["state"] == "failure"
        assert [server.client.delete(comment["url"]).status_code for _ in range(2)] == [502, 204]


def test_sigterm_ends_cleanly_with_connections_open(tmp_path: Path) -> None:
    with SandboxServer("github", tmp_path) as server:
        add_comment(server, "this connection stays open")
        server.add_faults({"delay_seconds": 3600})
        with socket.create_connection(("127.0.0.1", server.port)) as held:
            held.sendall(b"GET /rate_limit HTTP/1.1\r\nHost: x\r\nUser-Agent: x\r\nAuthorization: Bearer x\r\n\r\n")
            while not server.list_received(path="/rate_limit"):
                time.sleep(0.01)
            assert server.stop() == 0


def test_a_busy_port_is_an_error(github: SandboxServer, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="did not start"):
        SandboxServer("github", tmp_path, "--port", str(github.port))


def test_limits_are_answered_as_github_does_and_end_with_a_reset(github: SandboxServer, contract: Contract) -> None:
    limits = {"content": {"amount": 1, "seconds": 60}, "primary": {"amount": 7, "seconds": 60}, "retry_after": 90}
    github.client.post("/_limits", json=limits).raise_for_status()
    contract.check(add_comment(github, "taken"), 201)
    limited = add_comment(github, "one too many")
    body = contract.check(limited, 403)
    assert "temporarily blocked from content creation" in body["message"]
    assert limited.headers["retry-after"] == "90"
    assert (limited.headers["x-ratelimit-limit"], limited.headers["x-ratelimit-remaining"]) == ("7", "6")
    assert contract.check(github.client.get(COMMENTS), 403)["documentation_url"].endswith(
        "#about-secondary-rate-limits"
    )
    assert len(github.client.get("/_limits").json()["late_seconds"]) == 1
    assert [each["status"] for each in github.list_received()] == [201, 403, 403]

    github.client.post("/_limits", json={"primary": {"amount": 7, "seconds": 60}}).raise_for_status()
    github.client.post("/_spent", json={"primary": 7}).raise_for_status()
    spent = github.client.get(COMMENTS)
    assert contract.check(spent, 403)["message"].startswith("API rate limit exceeded for installation ID")
    assert spent.headers["x-ratelimit-remaining"] == "0"
    assert "retry-after" not in spent.headers

    github.client.post("/_reset").raise_for_status()
    contract.check(add_comment(github, "taken"), 201)
