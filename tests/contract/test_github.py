"""GitHub's own rules, at the sandbox: marks, pages, limits, and an App's tokens."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.adapters.github.actions.action import CLOCK_SLACK
from shared.adapters.github.actions.checks import CommitStatus
from shared.adapters.github.actions.comments import Comment
from shared.adapters.github.actions.texts import MAX_BODY_CHARACTERS
from shared.adapters.github.authorization import (
    TOKEN_RESERVE_SECONDS,
    AppAuthorization,
    Authorization,
    TokenAuthorization,
    TokenCache,
)
from shared.adapters.github.client import GitHubClient
from shared.adapters.memory.cache import MemoryCache
from shared.adapters.redis import RedisCache
from shared.domain.effect import Effect
from shared.domain.errors import Limited, Permanent
from tests.support.clock import ManualClock
from tests.support.factories import SHA
from tests.support.outside import read_document
from tests.support.sandbox_server import SandboxServer

REQUEST = {"repository": "acme/widgets", "number": 7, "body": "Hello"}
EFFECT = Effect("0b4f6d5e-0000-4000-8000-00000000000a", "github.comment", REQUEST)
COMMENTS = "/repos/acme/widgets/issues/7/comments"


@pytest.fixture
def server(github_server: SandboxServer) -> SandboxServer:
    github_server.client.post("/_reset").raise_for_status()
    return github_server


@pytest.fixture
def client(server: SandboxServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


@pytest.fixture
def github(client: httpx.Client) -> GitHubClient:
    return GitHubClient(client, TokenAuthorization("made-up"))


def read_bodies(server: SandboxServer) -> list[str]:
    return [received["body"]["body"] for received in server.list_received(path=COMMENTS, method="POST")]


def test_a_comment_carries_a_mark_that_nobody_sees(server: SandboxServer, github: GitHubClient) -> None:
    written = Comment(github).write(EFFECT)
    assert read_bodies(server) == [f"Hello\n\n<!-- webhook-orchestrator effect={EFFECT.id} -->"]
    assert written.outputs == {"comment_id": int(written.external_id)}


def test_a_comment_that_is_too_long_says_so_and_keeps_its_mark(server: SandboxServer, github: GitHubClient) -> None:
    effect = Effect(EFFECT.id, "github.comment", {**REQUEST, "body": "\u00e4" * 100_000})
    Comment(github).write(effect)
    [body] = read_bodies(server)
    assert len(body) == MAX_BODY_CHARACTERS
    assert body.endswith(f"\u00e4\n\n\u2026 (cut: the text has 100,000 characters)\n\n{EFFECT.marker}")


def test_a_mark_is_looked_for_on_every_page_since_the_plan(server: SandboxServer, github: GitHubClient) -> None:
    for number in range(101):
        server.client.post(COMMENTS, json={"body": f"Comment {number}"}).raise_for_status()
    written = Comment(github).write(EFFECT)
    planned_at = datetime.now(UTC)
    found = Comment(github).look_up(Effect(EFFECT.id, EFFECT.kind, REQUEST, planned_at))
    assert found == written
    asked = [each["query"] for each in server.list_received(path=COMMENTS, method="GET")]
    since = (planned_at - CLOCK_SLACK).strftime("%Y-%m-%dT%H%%3A%M%%3A%SZ")
    assert asked == [f"per_page=100&since={since}", f"per_page=100&since={since}&page=2"]
    later = Effect(EFFECT.id, EFFECT.kind, REQUEST, planned_at + timedelta(minutes=6))
    assert Comment(github).look_up(later) is None


def test_a_status_is_the_last_of_its_context(server: SandboxServer, github: GitHubClient) -> None:
    action = CommitStatus(github)
    first = Effect("e1", "github.status", action.plan({"state": "pending"}, read_document()))
    second = Effect("e2", "github.status", action.plan({"state": "success"}, read_document()))
    action.write(first)
    assert action.look_up(first) is not None
    action.write(second)
    assert action.look_up(first) is None
    assert action.look_up(second) is not None
    [received, _] = server.list_received(method="POST")
    assert received["path"] == f"/repos/acme/widgets/statuses/{SHA}"
    assert received["body"] == {"state": "pending", "context": "webhook-orchestrator", "description": ""}
    assert received["headers"]["x-github-api-version"] == "2022-11-28"
    assert received["headers"]["accept"] == "application/vnd.github+json"


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        ({"body": " Hi "}, {"repository": "acme/widgets", "number": 7, "body": "Hi"}),
        ({"body": "Hi", "number": "12", "repository": "a/b"}, {"repository": "a/b", "number": 12, "body": "Hi"}),
        ({"body": "Hi", "number": "", "repository": None}, {"repository": "acme/widgets", "number": 7, "body": "Hi"}),
    ],
)
def test_a_comment_is_about_the_subject_unless_told(
    github: GitHubClient, arguments: dict[str, Any], request_: dict[str, Any]
) -> None:
    assert Comment(github).plan(arguments, read_document()) == request_


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({}, "needs 'body'"),
        ({"body": " \n"}, "needs 'body'"),
        ({"body": "Hi", "text": "Hi"}, "unknown argument 'text'"),
        ({"body": "Hi", "number": "twelve"}, "wants a whole number as 'number'"),
        ({"body": "Hi", "number": [1]}, "wants a whole number as 'number'"),
        ({"body": "Hi", "number": -1}, "wants a whole number as 'number'"),
        ({"body": "Hi", "repository": "acme"}, "wants owner/name as 'repository'"),
        ({"body": "Hi", "repository": "acme/../other"}, "wants owner/name as 'repository'"),
        ({"body": "Hi", "repository": "acme/.."}, "wants owner/name as 'repository'"),
        ({"body": "Hi", "repository": "acme/widgets?x=1"}, "wants owner/name as 'repository'"),
    ],
)
def test_what_a_comment_lacks(github: GitHubClient, arguments: dict[str, Any], fault: str) -> None:
    with pytest.raises(Permanent, match=fault):
        Comment(github).plan(arguments, read_document())


def test_a_subject_without_a_number_is_named(github: GitHubClient) -> None:
    document = {"subject": {"key": "acme/widgets:refs/heads/main", "repository": "acme/widgets", "number": None}}
    with pytest.raises(Permanent, match="the subject acme/widgets:refs/heads/main has none"):
        Comment(github).plan({"body": "Hi"}, document)


def test_a_status_is_shortened_and_links_to_the_web_only(github: GitHubClient) -> None:
    arguments = {"state": "error", "description": "x" * 500, "target_url": "https://ci.example/1", "context": "c"}
    planned = CommitStatus(github).plan(arguments, read_document())
    assert planned == {
        "repository": "acme/widgets",
        "sha": SHA,
        "state": "error",
        "context": "c",
        "description": "x" * 140,
        "target_url": "https://ci.example/1",
    }
    with pytest.raises(Permanent, match="wants an address that starts with https:// as 'target_url'"):
        CommitStatus(github).plan({**arguments, "target_url": "javascript:alert(1)"}, read_document())
    with pytest.raises(Permanent, match="wants one of error, failure, pending, success as 'state', not 'great'"):
        CommitStatus(github).plan({"state": "great"}, read_document())


RESET = int(time.time()) + 1_000


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ({"status": 403, "retry_after": 90}, 90.0),
        ({"status": 429, "retry_after": 90}, 90.0),
        ({"status": 429}, 60.0),
        ({"status": 403, "headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(RESET)}}, 1_000.0),
        ({"status": 403, "headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}}, 1.0),
        ({"status": 403, "body": {"message": "You have exceeded a secondary rate limit. Please wait."}}, 60.0),
        ({"status": 403, "body": {"message": "You are temporarily blocked from content creation."}}, 60.0),
    ],
)
def test_limits(server: SandboxServer, github: GitHubClient, fault: dict[str, Any], seconds: float) -> None:
    server.add_faults(fault)
    with pytest.raises(Limited) as limited:
        Comment(github).write(EFFECT)
    assert limited.value.upstream == "github"
    assert limited.value.after_seconds == pytest.approx(seconds, abs=600.0 if seconds == 1_000.0 else 0.0)


@pytest.mark.parametrize("status", [401, 403, 404, 410, 422, 451])
def test_refusals_are_for_good(server: SandboxServer, github: GitHubClient, status: int) -> None:
    server.add_faults({"status": status})
    with pytest.raises(Permanent, match=f"github answered {status} to POST {COMMENTS}"):
        Comment(github).write(EFFECT)
    assert len(server.list_received(method="POST")) == 1


def test_a_refusal_says_which_permission_is_wanted(server: SandboxServer, github: GitHubClient) -> None:
    server.add_faults(
        {"status": 403, "headers": {"X-Accepted-GitHub-Permissions": "issues=write"}},
        {"status": 422, "body": {"message": "Validation Failed", "errors": [{"field": "body"}]}},
        {"status": 404, "body": "<html>not JSON</html>"},
    )
    for fault in (r"\(needs issues=write\)", r"Validation Failed \[\{'field': 'body'\}\]", "github answered 404"):
        with pytest.raises(Permanent, match=fault):
            Comment(github).write(EFFECT)


@pytest.fixture(scope="session")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(pem, plain, serialization.NoEncryption()).decode()


@pytest.fixture(params=["memory", "valkey"])
def cache(request: pytest.FixtureRequest) -> Iterator[TokenCache]:
    if request.param == "memory":
        yield MemoryCache(time.time)
        return
    valkey = RedisCache(request.getfixturevalue("addresses")["valkey"])
    for owner in ("acme", "other"):
        valkey.drop(f"github:token:12345:{owner}")
    yield valkey
    valkey.close()


@pytest.fixture
def app(client: httpx.Client, cache: TokenCache, private_key: str) -> AppAuthorization:
    return AppAuthorization(client, cache, "12345", private_key)


def count_mints(server: SandboxServer) -> int:
    return len(server.list_received(path="/app/installations/"))


def test_a_token_is_minted_once_and_shared(
    server: SandboxServer, client: httpx.Client, cache: TokenCache, app: AppAuthorization, private_key: str
) -> None:
    token = app.token("acme/widgets")
    assert token.startswith("ghs_")
    assert app.token("Acme/gears") == token
    another_worker = AppAuthorization(client, cache, "12345", private_key)
    assert another_worker.token("acme/widgets") == token
    assert count_mints(server) == 1
    assert 3_000.0 < cache.remaining_seconds("github:token:12345:acme") <= 3_300.0
    assert app.token("other/widgets") != token
    assert count_mints(server) == 2


def test_a_jwt_is_the_apps_and_short_lived(
    client: httpx.Client, cache: TokenCache, app: AppAuthorization, private_key: str
) -> None:
    sent: list[str] = []
    client.event_hooks = {"request": [lambda request: sent.append(request.headers["authorization"])]}
    app.token("acme/widgets")
    claims = jwt.decode(sent[0].removeprefix("Bearer "), options={"verify_signature": False})
    assert claims["iss"] == "12345"
    assert claims["exp"] - claims["iat"] == 600
    assert jwt.get_unverified_header(sent[0].removeprefix("Bearer "))["alg"] == "RS256"
    assert private_key not in str(sent)


def script_token(server: SandboxServer, token: str, lives_until: float) -> None:
    expires_at = datetime.fromtimestamp(lives_until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    server.add_faults({"path": "/access_tokens$", "body": {"token": token, "expires_at": expires_at}})


def test_a_token_is_not_used_in_its_last_minutes(server: SandboxServer, client: httpx.Client, private_key: str) -> None:
    clock = ManualClock(time.time())
    app = AppAuthorization(client, MemoryCache(clock), "12345", private_key, clock)
    script_token(server, "ghs_first", clock() + TOKEN_RESERVE_SECONDS + 20)
    script_token(server, "ghs_brief", clock() + TOKEN_RESERVE_SECONDS)
    assert app.token("acme/widgets") == "ghs_first"
    clock.advance(18.0)
    assert app.token("acme/widgets") == "ghs_first"
    clock.advance(2.0)
    assert app.token("acme/widgets") == "ghs_brief"
    assert app.token("acme/widgets") not in {"ghs_first", "ghs_brief"}
    assert count_mints(server) == 3


def test_a_revoked_token_is_renewed_once(server: SandboxServer, client: httpx.Client, app: AppAuthorization) -> None:
    github = GitHubClient(client, app)
    first = app.token("acme/widgets")
    server.add_faults({"path": COMMENTS, "status": 401})
    Comment(github).write(EFFECT)
    assert app.token("acme/widgets") != first
    assert count_mints(server) == 2
    assert len(read_bodies(server)) == 2

    server.add_faults({"path": COMMENTS, "status": 401, "times": 2})
    with pytest.raises(Permanent, match="github answered 401"):
        Comment(github).write(EFFECT)
    assert count_mints(server) == 3


def test_a_fixed_token_is_not_renewed(server: SandboxServer, github: GitHubClient) -> None:
    server.add_faults({"status": 401})
    with pytest.raises(Permanent):
        Comment(github).write(EFFECT)
    assert len(server.list_received()) == 1


@pytest.mark.parametrize("path", ["/installation", "/access_tokens"])
def test_an_app_that_is_limited_waits(server: SandboxServer, app: Authorization, path: str) -> None:
    server.add_faults({"path": f"{path}$", "status": 403, "retry_after": 42})
    with pytest.raises(Limited) as limited:
        app.token("acme/widgets")
    assert (limited.value.upstream, limited.value.after_seconds) == ("github", 42.0)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_app_that_is_not_installed_is_told_so(server: SandboxServer, app: Authorization, status: int) -> None:
    server.add_faults({"path": "/installation$", "status": status})
    with pytest.raises(Permanent, match=f"github answered {status} .*: is the App installed there"):
        app.token("acme/widgets")


def test_a_suspended_installation_mints_nothing_and_is_not_asked_again(
    server: SandboxServer, client: httpx.Client, app: AppAuthorization
) -> None:
    suspended = {"message": "This installation has been suspended", "documentation_url": "", "status": "403"}
    server.add_faults({"path": "/access_tokens$", "status": 403, "body": suspended})
    with pytest.raises(Permanent, match="This installation has been suspended: is the App installed there"):
        Comment(GitHubClient(client, app)).write(EFFECT)
    assert len(server.list_received()) == 2
    assert read_bodies(server) == []
