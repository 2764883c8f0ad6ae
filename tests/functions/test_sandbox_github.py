"""The sandbox GitHub: the paths, bodies and status codes of api.github.com."""

import re
import time
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from openapi_core.exceptions import OpenAPIError

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


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def sign_jwt(key: rsa.RSAPrivateKey, **claims: object) -> dict[str, str]:
    now = int(time.time())
    token = jwt.encode({"iat": now - 60, "exp": now + 540, "iss": "12345"} | claims, key, algorithm="RS256")
    return {"Authorization": f"Bearer {token}"}


def add_comment(
    server: SandboxServer, body: str, path: str = COMMENTS, *, token: str = "", timeout: float = 30
) -> httpx.Response:
    headers = {"Authorization": token} if token else None
    return server.client.post(path, json={"body": body}, headers=headers, timeout=timeout)


def test_contract_refuses_a_wrong_answer(contract: Contract, github: SandboxServer) -> None:
    answer = add_comment(github, "hello")
    wrong = httpx.Response(201, json=answer.json() | {"user": {"login": "x"}}, request=answer.request)
    with pytest.raises(OpenAPIError):
        contract.check(wrong, 201)


def test_comment_lives(contract: Contract, github: SandboxServer) -> None:
    made = contract.check(add_comment(github, "hello"), 201)
    assert made["body"] == "hello"
    assert made["id"] > 2**32
    assert made["user"]["type"] == "User"
    assert made["issue_url"] == f"{github.url}/repos/acme/widgets/issues/7"
    path = f"/repos/acme/widgets/issues/comments/{made['id']}"
    assert made["url"] == github.url + path

    assert contract.check(github.client.get(path), 200) == made
    changed = contract.check(github.client.patch(path, json={"body": "bye"}), 200)
    assert changed["body"] == "bye"
    assert contract.check(github.client.get(COMMENTS), 200) == [changed]

    assert contract.check(github.client.delete(path), 204) is None
    for method in ("GET", "PATCH", "DELETE"):
        gone = contract.check(github.client.request(method, path, json={"body": "late"}), 404)
        assert gone["message"] == "Not Found"
    assert contract.check(github.client.get(COMMENTS), 200) == []


def test_an_installation_token_comments_as_the_bot(contract: Contract, github: SandboxServer) -> None:
    answer = add_comment(github, "hello", token="token ghs_made_up")
    comment = contract.check(answer, 201)
    assert comment["user"]["login"] == "webhook-orchestrator[bot]"
    assert comment["user"]["type"] == "Bot"
    assert comment["performed_via_github_app"]["slug"] == "webhook-orchestrator"


def test_comments_belong_to_their_issue_whatever_its_case(github: SandboxServer) -> None:
    add_comment(github, "here")
    add_comment(github, "elsewhere", "/repos/acme/widgets/issues/8/comments")
    assert [item["body"] for item in github.client.get(COMMENTS.replace("acme", "ACME")).json()] == ["here"]
    assert github.client.get("/repos/acme/gadgets/issues/7/comments").json() == []


def test_comments_come_in_pages_oldest_first(contract: Contract, github: SandboxServer) -> None:
    wanted = [f"comment {number}" for number in range(7)]
    for body in wanted:
        add_comment(github, body)

    found: list[str] = []
    url: str | None = f"{COMMENTS}?per_page=3"
    while url:
        answer = github.client.get(url)
        found += [comment["body"] for comment in contract.check(answer, 200)]
        url = answer.links.get("next", {}).get("url")
    assert found == wanted

    middle = github.client.get(COMMENTS, params={"per_page": 3, "page": 2})
    pages = {rel: httpx.URL(link["url"]).params["page"] for rel, link in middle.links.items()}
    assert pages == {"prev": "1", "next": "3", "last": "3", "first": "1"}
    assert "link" not in github.client.get(COMMENTS).headers
    assert github.client.get(COMMENTS, params={"page": 2}).json() == []


def test_comments_since(contract: Contract, github: SandboxServer) -> None:
    add_comment(github, "hello")
    for since, count in (("2020-01-01T00:00:00Z", 1), ("2999-01-01T00:00:00+02:00", 0)):
        found = contract.check(github.client.get(COMMENTS, params={"since": since}), 200)
        assert len(found) == count
    assert github.client.get(COMMENTS, params={"since": "yesterday"}).status_code == 422


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({}, 'Invalid request.\n\n"body" wasn\'t supplied.'),
        ({"body": None}, "Invalid request.\n\nFor 'properties/body', nil is not a string."),
        ({"body": " "}, "Validation Failed"),
        ({"body": "a" * 262_145}, "Validation Failed"),
    ],
)
def test_a_comment_needs_text(
    contract: Contract, github: SandboxServer, document: dict[str, object], wanted: str
) -> None:
    refused = contract.check(github.client.post(COMMENTS, json=document), 422)
    assert refused["message"] == wanted
    assert contract.check(github.client.get(COMMENTS), 200) == []
    assert not github.list_received(method="POST")[0]["applied"]


@pytest.mark.parametrize("body", [b"{", b"[]", rb'{"body": "\ud800"}', b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_object_is_refused(contract: Contract, github: SandboxServer, body: bytes) -> None:
    contract.check(github.client.post(COMMENTS, content=body), 400)
    assert len(github.list_received()) == 1


def test_statuses_combine(contract: Contract, github: SandboxServer) -> None:
    combined_path = f"/repos/acme/widgets/commits/{SHA}/status"
    assert contract.check(github.client.get(combined_path), 200)["state"] == "pending"

    sent = {
        "state": "pending",
        "context": "ci/test",
        "description": "soon",
        "target_url": "https://ci.example/1",
    }
    made = contract.check(github.client.post(STATUSES, json=sent), 201)
    assert sent.items() <= made.items()
    contract.check(github.client.post(STATUSES, json={"state": "success"}), 201)
    assert contract.check(github.client.get(combined_path), 200)["state"] == "pending"

    contract.check(github.client.post(STATUSES, json=sent | {"state": "success"}), 201)
    combined = contract.check(github.client.get(combined_path), 200)
    assert combined["state"] == "success"
    assert combined["total_count"] == 2
    assert {status["context"] for status in combined["statuses"]} == {"default", "ci/test"}

    contract.check(github.client.post(STATUSES, json=sent | {"state": "error"}), 201)
    assert contract.check(github.client.get(combined_path), 200)["state"] == "failure"
    other = contract.check(github.client.get("/repos/acme/widgets/commits/heads%2Fmain/status"), 200)
    assert other["total_count"] == 0


@pytest.mark.parametrize(
    ("sha", "document", "wanted"),
    [
        (SHA, {}, "Validation Failed"),
        (SHA, {"state": "skipped"}, "Validation Failed"),
        (SHA, {"state": "success", "context": ""}, "Validation Failed"),
        (SHA, {"state": "success", "description": "d" * 141}, "Validation Failed"),
        (
            SHA,
            {"state": "success", "context": 1},
            "Invalid request.\n\nFor 'properties/context', 1 is not a string.",
        ),
        (SHA[:7], {"state": "success"}, f"No commit found for SHA: {SHA[:7]}"),
        ("0" * 40, {"state": "success"}, f"No commit found for SHA: {'0' * 40}"),
    ],
)
def test_a_status_that_github_refuses(
    contract: Contract, github: SandboxServer, sha: str, document: dict[str, object], wanted: str
) -> None:
    answer = github.client.post(f"/repos/acme/widgets/statuses/{sha}", json=document)
    assert contract.check(answer, 422)["message"] == wanted


def test_pull_request_and_its_lists(contract: Contract, github: SandboxServer) -> None:
    add_comment(github, "hello")
    pull = contract.check(github.client.get("/repos/acme/widgets/pulls/7"), 200)
    assert (pull["number"], pull["comments"], pull["mergeable"]) == (7, 1, True)
    assert re.fullmatch("[0-9a-f]{40}", pull["head"]["sha"])
    assert pull["base"]["repo"]["full_name"] == "acme/widgets"
    assert contract.check(github.client.get("/repos/acme/widgets/pulls/7/files"), 200) == []
    assert contract.check(github.client.get(f"/repos/acme/widgets/commits/{SHA}/pulls"), 200) == []


def test_app_and_installations(contract: Contract, github: SandboxServer, private_key: rsa.RSAPrivateKey) -> None:
    headers = sign_jwt(private_key)
    app = contract.check(github.client.get("/app", headers=headers), 200)
    assert (app["id"], app["slug"]) == (12345, "webhook-orchestrator")
    add_comment(github, "hello")
    found = contract.check(github.client.get("/repos/acme/widgets/installation", headers=headers), 200)
    listed = contract.check(github.client.get("/app/installations", headers=headers), 200)
    assert found["id"] in {installation["id"] for installation in listed}
    path = f"/app/installations/{found['id']}"
    assert contract.check(github.client.get(path, headers=headers), 200) == found


def test_access_token(contract: Contract, github: SandboxServer, private_key: rsa.RSAPrivateKey) -> None:
    path = "/app/installations/42/access_tokens"
    headers = sign_jwt(private_key, iss="Iv23made-up")
    answer = github.client.post(path, headers=headers)
    token = contract.check(answer, 201)
    assert re.fullmatch(r"ghs_[A-Za-z0-9._-]{400,}", token["token"])
    lifetime = datetime.fromisoformat(token["expires_at"]) - parsedate_to_datetime(answer.headers["date"])
    assert 3590 < lifetime.total_seconds() < 3610
    assert token["repository_selection"] == "all"
    contract.check(github.client.get(COMMENTS, headers={"Authorization": f"Bearer {token['token']}"}), 200)

    wishes = {"repositories": ["widgets"], "permissions": {"issues": "write"}}
    narrow = contract.check(github.client.post(path, headers=headers, json=wishes), 201)
    assert narrow["permissions"] == {"issues": "write"}
    assert narrow["repository_selection"] == "selected"
    assert [repository["name"] for repository in narrow["repositories"]] == ["widgets"]
    assert narrow["token"] != token["token"]


@pytest.mark.parametrize(
    ("claims", "wanted"),
    [
        ({"exp": int(time.time()) + 10**6}, "too far in the future"),
        ({"exp": int(time.time()) - 1}, "must be a numeric value"),
        ({"exp": None}, "must be a numeric value"),
        ({"iss": ""}, "Missing 'issuer' claim"),
    ],
)
def test_a_token_needs_a_proper_jwt(
    contract: Contract,
    github: SandboxServer,
    private_key: rsa.RSAPrivateKey,
    claims: dict[str, object],
    wanted: str,
) -> None:
    answer = github.client.post("/app/installations/42/access_tokens", headers=sign_jwt(private_key, **claims))
    assert wanted in contract.check(answer, 401)["message"]


def test_a_jwt_is_rs256_and_bearer(contract: Contract, github: SandboxServer, private_key: rsa.RSAPrivateKey) -> None:
    symmetric = jwt.encode({"iss": "1", "exp": int(time.time()) + 60}, "k" * 32, algorithm="HS256")
    proper = sign_jwt(private_key)["Authorization"].removeprefix("Bearer ")
    for value in ("Bearer made-up", f"Bearer {symmetric}", f"token {proper}"):
        answer = github.client.get("/app", headers={"Authorization": value})
        assert contract.check(answer, 401)["message"] == "A JSON web token could not be decoded"


def test_no_token_is_401(contract: Contract, github: SandboxServer) -> None:
    for value in ("", "Basic eDp5", "Bearer"):
        refused = contract.check(github.client.get(COMMENTS, headers={"Authorization": value}), 401)
        assert refused["message"] == "Requires authentication"


def test_no_user_agent_is_403(github: SandboxServer) -> None:
    request = github.client.build_request("GET", COMMENTS)
    del request.headers["user-agent"]
    refused = github.client.send(request)
    assert refused.status_code == 403
    assert refused.headers["content-type"].startswith("text/html")
    assert "make sure your request has a User-Agent header" in refused.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", f"{COMMENTS}/"),
        ("PUT", COMMENTS),
        ("GET", "/repos/acme/widgets/pulls/seven"),
        ("GET", "/repos/ac%3Cme/widgets/pulls/7"),
    ],
)
def test_an_unknown_path_is_404(github: SandboxServer, method: str, path: str) -> None:
    refused = github.client.request(method, path)
    assert refused.status_code == 404
    assert refused.json()["message"] == "Not Found"


def test_every_answer_tells_the_rate_limit(contract: Contract, github: SandboxServer) -> None:
    first = github.client.get(COMMENTS).headers
    second = github.client.get("/nothing").headers
    assert int(second["x-ratelimit-used"]) == int(first["x-ratelimit-used"]) + 1
    assert int(second["x-ratelimit-remaining"]) == 5000 - int(second["x-ratelimit-used"])
    assert first["x-ratelimit-limit"] == "5000"
    assert first["x-ratelimit-resource"] == "core"
    assert int(first["x-ratelimit-reset"]) > time.time()
    assert first["x-github-request-id"] != second["x-github-request-id"]
    core = contract.check(github.client.get("/rate_limit"), 200)["resources"]["core"]
    assert core["used"] == int(second["x-ratelimit-used"])


def test_links_lead_to_pages(github: SandboxServer) -> None:
    text = "<script>alert('x')</script>"
    comment = add_comment(github, text).json()
    sent = {"state": "success", "description": text, "target_url": "javascript:alert(1)"}
    github.client.post(STATUSES, json=sent).raise_for_status()
    add_comment(github, "all good")
    assert comment["html_url"] == f"{github.url}/acme/widgets/issues/7#issuecomment-{comment['id']}"
    for url in (
        comment["html_url"],
        f"{github.url}/acme/widgets/pull/7",
        f"{github.url}/acme/widgets/commit/{SHA}",
    ):
        page = httpx.get(url, trust_env=False)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "<script>" not in page.text
        assert "javascript:" not in page.text
        assert "&lt;script&gt;" in page.text
    assert f'id="issuecomment-{comment["id"]}"' in httpx.get(comment["html_url"], trust_env=False).text
