"""What leaves a function is in Lambda's trace, told as AWS's own SDK would tell it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aws_xray_sdk.core import xray_recorder  # type: ignore[import-untyped]  # it ships no types
from aws_xray_sdk.core.models.facade_segment import FacadeSegment  # type: ignore[import-untyped]
from aws_xray_sdk.core.models.subsegment import Subsegment  # type: ignore[import-untyped]

from shared.adapters.http_request import open_web_client
from shared.adapters.xray import TracedClient
from shared.local.free_ports import HOST, choose_port
from tests.support.sandbox_server import SandboxServer

TRACE_ID, SEGMENT_ID = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
TRACE = f"Root={TRACE_ID};Parent={SEGMENT_ID};Sampled=1;Lineage=1:e4a5b6c7:0"
URL = "https://api.github.test/repos/acme/widgets/issues?per_page=1&token=secret"
EACH_ITS_OWN = {"id", "start_time", "end_time"}
ROOT = Path(__file__).parents[2]
COMMENT = """
from shared import bootstrap
from shared.domain.effect import Effect
request = {"repository": "acme/widgets", "number": 7, "body": "Hello"}
bootstrap.execute().deps.actions["github.comment"].write(Effect("effect-1", "github.comment", request))
"""
# Importing the SDK opens its socket.
xray_recorder.emitter._socket.close()


class Daemon:
    """X-Ray's daemon: takes datagrams."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    def read(self) -> dict[str, Any]:
        header, _, document = self._listener.recv(65_536).partition(b"\n")
        assert json.loads(header) == {"format": "json", "version": 1}
        parsed: dict[str, Any] = json.loads(document)
        return parsed

    def is_told_nothing(self) -> bool:
        """Tells whether nothing has come; on one machine a datagram has come once it is sent."""
        self._listener.settimeout(0)
        try:
            self._listener.recv(65_536)
        except BlockingIOError:
            return True
        return False


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((HOST, 0))
        listener.settimeout(10)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"{HOST}:{listener.getsockname()[1]}")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE)
        yield Daemon(listener)


def open_traced(answer: httpx.Response | httpx.HTTPError) -> httpx.Client:
    def handle(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, httpx.HTTPError):
            raise answer
        return answer

    return TracedClient(is_traced=True, transport=httpx.MockTransport(handle))


def describe_by_sdk(status: int) -> dict[str, Any]:
    """Returns what AWS's SDK tells of a request that is answered with a status."""
    segment = FacadeSegment("facade", SEGMENT_ID, TRACE_ID, sampled=True)
    subsegment = Subsegment("api.github.test", "remote", segment)
    segment.add_subsegment(subsegment)
    subsegment.put_http_meta("method", "GET")
    subsegment.put_http_meta("url", URL.partition("?")[0])
    subsegment.put_http_meta("status", status)
    subsegment.close()
    described: dict[str, Any] = json.loads(subsegment.serialize())
    # Its end says the same.
    assert described.pop("in_progress") is False
    return described


@pytest.mark.parametrize("status", [200, 201, 304, 404, 422, 429, 500, 503])
def test_a_request_is_told_as_the_sdk_tells_it(daemon: Daemon, status: int) -> None:
    with open_traced(httpx.Response(status)) as client:
        client.get(URL)

    told, by_sdk = daemon.read(), describe_by_sdk(status)

    assert told.keys() == by_sdk.keys()
    assert {name: told[name] for name in told.keys() - EACH_ITS_OWN} == {
        name: by_sdk[name] for name in by_sdk.keys() - EACH_ITS_OWN
    }
    assert len(told["id"]) == len(by_sdk["id"])
    assert 0 <= told["end_time"] - told["start_time"] < by_sdk["end_time"] - told["start_time"]


def test_a_request_without_an_answer_is_a_fault(daemon: Daemon) -> None:
    with open_traced(httpx.ConnectError("nobody is there")) as client, pytest.raises(httpx.ConnectError):
        client.get(URL)

    told = daemon.read()
    assert told["fault"] is True
    assert "response" not in told["http"]


@pytest.mark.parametrize(
    "trace",
    [
        "",
        TRACE.replace("Sampled=1", "Sampled=0"),
        f"Root={TRACE_ID};Parent={SEGMENT_ID}",
        f"Root={TRACE_ID};Sampled=1",
        ";;=;Sampled=1",
    ],
)
def test_what_lambda_does_not_record_is_not_told(daemon: Daemon, monkeypatch: pytest.MonkeyPatch, trace: str) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    with open_traced(httpx.Response(200)) as client:
        assert client.get(URL).status_code == httpx.codes.OK
    assert daemon.is_told_nothing()


@pytest.mark.parametrize("address", ["", "nowhere", "nowhere.invalid:2000", f"{HOST}:1"])
def test_a_request_needs_no_daemon(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE)
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)
    with open_traced(httpx.Response(200)) as client:
        assert client.get(URL).status_code == httpx.codes.OK


def test_the_path_of_any_host_but_ours_is_not_told(daemon: Daemon) -> None:
    url = f"https://{HOST}:{choose_port('nobody')}/services/T0/B0/secret"
    with open_web_client(is_traced=True) as client, pytest.raises(httpx.ConnectError):
        client.post(url, headers={"host": "hooks.chat.test"})

    told = daemon.read()
    assert (told["name"], told["http"]["request"]["url"]) == ("hooks.chat.test", "https://hooks.chat.test/")


@pytest.mark.parametrize("switch", ["true", "false"])
def test_what_an_action_asks_is_in_the_trace_of_its_invocation(
    daemon: Daemon, github: SandboxServer, switch: str
) -> None:
    settings = {
        "TASKS_QUEUE_URL": "http://sqs.invalid/tasks",
        "BODIES_BUCKET": "bodies",
        "DATABASE_URL": "postgresql://database.invalid/orchestrator",
        "REDIS_URL": f"redis://{HOST}:{choose_port('nobody')}",
        "GITHUB_API_URL": github.url,
        "GITHUB_TOKEN": "a token",
        "ENABLE_TRACING": switch,
    }
    # A process of its own, as Lambda's is.
    subprocess.run([sys.executable, "-c", COMMENT], cwd=ROOT, env={**os.environ, **settings}, check=True)

    [received] = github.list_received(method="POST")
    if switch == "true":
        told = daemon.read()
        assert (told["trace_id"], told["parent_id"]) == (TRACE_ID, SEGMENT_ID)
        assert told["http"]["request"] == {"method": "POST", "url": f"{github.url}{received['path']}"}
        assert told["http"]["response"] == {"status": 201}
    assert daemon.is_told_nothing()
