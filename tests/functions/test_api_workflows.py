"""The API's routes of workflows, over the records in memory."""

from collections.abc import Iterator

import httpx
import pytest

from shared.adapters.memory.database import MemoryDatabase
from shared.adapters.memory.workflows import MemoryWorkflows
from shared.adapters.yaml_source import MAX_BYTES
from shared.domain.workflow_file import Fault, FileState
from tests.support.api_client import open_api
from tests.support.clock import ManualClock
from tests.support.factories import build_delivery, build_workflow

PATH = "/api/v1/workflows"
GREET = "  greet: {on: {issues: {}}, steps: [{uses: github.comment, with: {body: Hi}}]}\n"
FILE = "version: 1\nworkflows:\n" + GREET
DEFAULT = build_workflow({"uses": "github.comment", "with": {"body": "Default"}})


@pytest.fixture
def database() -> MemoryDatabase:
    database = MemoryDatabase(ManualClock())
    database.put_workflows([DEFAULT])
    return database


@pytest.fixture
def client(database: MemoryDatabase) -> Iterator[httpx.Client]:
    with open_api(database) as client:
        yield client


def list_in_force(client: httpx.Client, **parameters: str) -> list[tuple[str, str]]:
    items = client.get(PATH, params=parameters).raise_for_status().json()["items"]
    return [(item["name"], item["origin"]) for item in items]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", PATH), ("PUT", PATH), ("GET", f"{PATH}/greet/versions"), ("DELETE", f"{PATH}/greet")],
)
def test_a_token_is_required(client: httpx.Client, method: str, path: str) -> None:
    assert client.request(method, path, headers={"authorization": "Bearer wrong"}).status_code == 401


def test_an_organisation_s_workflows_come_and_go(client: httpx.Client) -> None:
    assert list_in_force(client) == [("greet", "default")]
    put = client.put(PATH, content=FILE + GREET.replace("greet", "part"))
    assert put.status_code == 200
    assert [item["name"] for item in put.json()["items"]] == ["greet", "part"]
    assert list_in_force(client) == [("greet", "organization"), ("part", "organization")]

    assert client.put(PATH, content=FILE).status_code == 200
    assert list_in_force(client) == [("greet", "organization")]
    versions = client.get(f"{PATH}/greet/versions").json()["items"]
    assert [item["in_force_for"] for item in versions] == [["organization"], ["default"]]
    assert versions[0]["version"] == put.json()["items"][0]["version"]
    assert versions[1]["definition"] == DEFAULT.definition

    assert client.delete(f"{PATH}/greet").status_code == 204
    assert client.delete(f"{PATH}/greet").status_code == 404
    assert list_in_force(client) == [("greet", "default")]
    assert len(client.get(f"{PATH}/greet/versions").json()["items"]) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"version: 1\nworkflows: {}\n",
        f"{FILE}  part: {{on: {{issues: {{}}}}, steps: []}}\n".encode(),
        b"#" * (MAX_BYTES + 1),
    ],
)
def test_a_faulty_file_changes_nothing_and_is_answered_with_its_faults(client: httpx.Client, body: bytes) -> None:
    client.put(PATH, content=FILE).raise_for_status()
    answer = client.put(PATH, content=body)
    assert answer.status_code == 422
    [fault] = answer.json()["detail"]
    assert fault.keys() == {"line", "message"}
    assert fault["message"]
    assert list_in_force(client) == [("greet", "organization")]


def test_a_repository_s_workflows_are_shown_with_its_file_s_faults(
    client: httpx.Client, database: MemoryDatabase
) -> None:
    assert client.get(PATH, params={"repository": "acme/widgets"}).json()["file"] is None
    workflows, delivery = MemoryWorkflows(database), build_delivery()
    known = workflows.claim_check("acme/widgets", at_once=True)
    assert known is not None
    workflows.put_in_force("acme/widgets", [build_workflow(name="own")], known)
    workflows.settle_check("acme/widgets", FileState("e", "s", (Fault(3, "no"),)), known, None, delivery)

    assert list_in_force(client, repository="acme/widgets") == [("greet", "default"), ("own", "repository")]
    file = client.get(PATH, params={"repository": "acme/widgets"}).json()["file"]
    assert (file["sha"], file["faults"]) == ("s", [{"line": 3, "message": "no"}])
    assert list_in_force(client) == [("greet", "default")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{PATH}/nobody/versions", 404),
        ("GET", f"{PATH}/A%00/versions", 422),
        ("DELETE", f"{PATH}/Nobody", 422),
        ("GET", f"{PATH}?repository=%00", 422),
        ("GET", f"{PATH}?repository=*", 422),
    ],
)
def test_what_is_not_there_or_not_understood(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_an_outage_is_answered_as_one(client: httpx.Client, database: MemoryDatabase) -> None:
    database.is_up = False
    for method in ("GET", "PUT"):
        assert client.request(method, PATH, content=FILE).status_code == 503


def test_the_documentation_describes_the_file(client: httpx.Client) -> None:
    put = client.get("/openapi.json").json()["paths"][PATH]["put"]
    assert list(put["requestBody"]["content"]) == ["application/yaml"]
    assert "422" in put["responses"]
