"""The real servers on this machine: they start, keep their data, come back, and leave nothing behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]  # it ships no types
import psutil
import psycopg
import pytest
import redis

from shared.local.free_ports import PortInUse
from shared.local.postgres import PostgresUnavailable, choose_postgres, find_binaries
from shared.local.servers import AWS_CREDENTIALS, plan_servers
from shared.local.supervisor import Given, Program, Supervisor

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 30.0
NAMES = ("postgres", "valkey", "aws")

RUN = """
import os, sys
from pathlib import Path
from shared.local.servers import plan_servers
from shared.local.supervisor import Supervisor

state_dir = Path(sys.argv[1])
with Supervisor(state_dir, lambda name, state: print(name, state, flush=True)) as supervisor:
    supervisor.run(plan_servers(state_dir, os.environ, supervisor.previous_ports))
"""


def clean_environment() -> dict[str, str]:
    named = {"DATABASE_URL", "REDIS_URL", "AWS_ENDPOINT_URL", "POSTGRES_PORT", "VALKEY_PORT", "AWS_PORT"}
    return {name: value for name, value in os.environ.items() if name not in named}


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def read_endpoints(state_dir: Path) -> dict[str, Any]:
    endpoints = json.loads((state_dir / "endpoints.json").read_text())
    assert isinstance(endpoints, dict)
    return endpoints


def read_addresses(state_dir: Path) -> dict[str, str]:
    endpoints = read_endpoints(state_dir)
    return {name: endpoints[name]["address"] for name in NAMES}


@contextmanager
def serve(state_dir: Path, **settings: str) -> Iterator[list[tuple[str, str]]]:
    """Run the servers and give what is reported of them."""
    reports: list[tuple[str, str]] = []
    with Supervisor(state_dir, lambda name, state: reports.append((name, state))) as supervisor:
        for server in plan_servers(state_dir, clean_environment() | settings, supervisor.previous_ports):
            supervisor.start(server)
        watcher = threading.Thread(target=supervisor.watch)
        watcher.start()
        try:
            yield reports
        finally:
            supervisor.request_stop()
            watcher.join()


def open_queues(address: str, key: str = AWS_CREDENTIALS["AWS_ACCESS_KEY_ID"]) -> "closing[Any]":
    client = boto3.client(
        "sqs",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=AWS_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    return closing(client)


def ask_postgres(address: str, query: LiteralString) -> object:
    with psycopg.connect(address) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def keep_row(address: str) -> None:
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'row' AS name")


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Deeper than the path of a Unix socket may be.
    return tmp_path_factory.mktemp("local") / ("deep" * 20) / ("deeper" * 20) / "state"


@pytest.fixture(scope="module")
def reports(state_dir: Path) -> Iterator[list[tuple[str, str]]]:
    with serve(state_dir) as reports:
        yield reports


@pytest.fixture(scope="module")
def endpoints(state_dir: Path, reports: list[tuple[str, str]]) -> dict[str, Any]:
    assert reports[:6] == [(name, state) for name in NAMES for state in ("starting", "ready")]
    return read_endpoints(state_dir)


@pytest.fixture(scope="module")
def addresses(endpoints: dict[str, Any]) -> dict[str, str]:
    return {name: endpoints[name]["address"] for name in NAMES}


def test_postgres_answers(addresses: dict[str, str]) -> None:
    assert ask_postgres(addresses["postgres"], "SELECT current_database()") == "orchestrator"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("autovacuum", "on"),
        ("shared_buffers", "64MB"),
        ("max_connections", "100"),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("unix_socket_directories", ""),
    ],
)
def test_postgres_is_set_for_a_laptop(addresses: dict[str, str], setting: LiteralString, value: str) -> None:
    assert ask_postgres(addresses["postgres"], f"SHOW {setting}") == value


def test_valkey_answers(addresses: dict[str, str]) -> None:
    with redis.Redis.from_url(addresses["valkey"]) as client:
        assert client.ping() is True


def test_the_queues_answer(addresses: dict[str, str]) -> None:
    with open_queues(addresses["aws"]) as queues:
        url = queues.create_queue(QueueName="answers")["QueueUrl"]
        queues.send_message(QueueUrl=url, MessageBody="hello")
        received = queues.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]

    assert url.startswith(addresses["aws"])
    assert [message["Body"] for message in received] == ["hello"]


def test_the_queues_refuse_others(addresses: dict[str, str]) -> None:
    with (
        open_queues(addresses["aws"], key="another") as queues,
        pytest.raises(queues.exceptions.ClientError, match="InvalidClientTokenId"),
    ):
        queues.list_queues()


def test_the_pids_are_those_of_the_servers(endpoints: dict[str, Any], state_dir: Path) -> None:
    names = [psutil.Process(endpoints[name]["pid"]).name() for name in ("postgres", "valkey")]

    assert names == ["postgres", "valkey-server"]
    assert int((state_dir / "postgres" / "postmaster.pid").read_text().split()[0]) == endpoints["postgres"]["pid"]
    assert "ministack" in psutil.Process(endpoints["aws"]["pid"]).cmdline()


def test_they_listen_on_this_machine_only(endpoints: dict[str, Any], addresses: dict[str, str]) -> None:
    for name in NAMES:
        listening = [
            connection.laddr
            for connection in psutil.Process(endpoints[name]["pid"]).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening == [("127.0.0.1", urlsplit(addresses[name]).port)], name


def test_no_setting_of_the_user_reaches_them(endpoints: dict[str, Any], state_dir: Path) -> None:
    env = psutil.Process(endpoints["aws"]["pid"]).environ()

    assert env["HOME"] == str(state_dir / "aws")
    assert not {"USER", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST", "PYTHONPATH"} & set(env)


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_server_returns_at_the_same_address(
    reports: list[tuple[str, str]], state_dir: Path, endpoints: dict[str, Any], name: str
) -> None:
    before = read_endpoints(state_dir)

    os.kill(before[name]["pid"], signal.SIGKILL)
    wait_until(lambda: (name, "restarted") in reports)

    after = read_endpoints(state_dir)
    assert after[name]["address"] == endpoints[name]["address"]
    assert after[name]["pid"] not in {before[name]["pid"], None}
    assert {other: after[other] for other in NAMES if other != name} == {
        other: before[other] for other in NAMES if other != name
    }


def test_a_killed_postgres_takes_its_busy_children_with_it(
    reports: list[tuple[str, str]], state_dir: Path, addresses: dict[str, str]
) -> None:
    restarts = reports.count(("postgres", "restarted"))
    with psycopg.connect(addresses["postgres"], autocommit=True) as connection:
        child = connection.info.backend_pid
        busy = threading.Thread(target=count_forever, args=(connection,), daemon=True)
        busy.start()
        wait_until(lambda: psutil.Process(child).cpu_times().user > 0.1)

        os.kill(read_endpoints(state_dir)["postgres"]["pid"], signal.SIGKILL)
        wait_until(lambda: not busy.is_alive())
        wait_until(lambda: reports.count(("postgres", "restarted")) > restarts)

    assert is_gone(child)
    assert ask_postgres(addresses["postgres"], "SELECT 1") == 1


def count_forever(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT count(*) FROM generate_series(1, 1000000000000)")


class Process:
    """A supervisor in a process of its own."""

    def __init__(self, state_dir: Path) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", RUN, str(state_dir)],
            cwd=ROOT,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stdout is not None
        self.lines: list[str] = []
        for line in self.popen.stdout:
            self.lines.append(line)
            if line == "aws ready\n":
                break
        self.family = psutil.Process(self.popen.pid).children(recursive=True)
        self.addresses = read_addresses(state_dir)

    def list_survivors(self) -> list[psutil.Process]:
        return [process for process in self.family if not is_gone(process.pid)]


@contextmanager
def run_process(state_dir: Path) -> Iterator[Process]:
    process = Process(state_dir)
    with process.popen:
        try:
            yield process
        finally:
            process.popen.kill()


def test_the_data_outlives_the_servers_and_the_servers_do_not_outlive_the_supervisor(tmp_path: Path) -> None:
    with run_process(tmp_path) as first:
        keep_row(first.addresses["postgres"])
        with open_queues(first.addresses["aws"]) as queues:
            url = queues.create_queue(QueueName="kept.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
            queues.send_message(QueueUrl=url, MessageBody="message", MessageGroupId="1", MessageDeduplicationId="1")
        first.popen.terminate()
        first.popen.communicate()
        assert first.list_survivors() == []
        assert first.popen.returncode == 0

    with run_process(tmp_path) as second:
        assert second.addresses == first.addresses
        assert ask_postgres(second.addresses["postgres"], "SELECT name FROM kept") == "row"
        second.popen.kill()
        second.popen.wait()
        # Stopped as gently as by the supervisor: ministack saves its queues.
        wait_until(lambda: second.list_survivors() == [])

    # A pid in use by another process, as after a crash and many other processes.
    (tmp_path / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    with run_process(tmp_path) as third:
        assert third.addresses == first.addresses
        assert ask_postgres(third.addresses["postgres"], "SELECT name FROM kept") == "row"
        with open_queues(third.addresses["aws"]) as queues:
            received = queues.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
        assert [message["Body"] for message in received] == ["message"]
        try:
            # Neither the supervisor nor its lifeline can stop anything now.
            for process in third.family:
                if is_lifeline(process):
                    process.kill()
            third.popen.kill()
            third.popen.wait()
            assert [process.name() for process in third.list_survivors()].count("valkey-server") == 1

            with serve(tmp_path, REDIS_URL="redis://given.example", AWS_ENDPOINT_URL="http://given.example"):
                address = read_addresses(tmp_path)["postgres"]
                assert ask_postgres(address, "SELECT name FROM kept") == "row"
        finally:
            for process in third.list_survivors():
                process.kill()


def is_lifeline(process: psutil.Process) -> bool:
    try:
        return any(word.endswith("lifeline.py") for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory whose parents every user may pass."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        yield Path(directory)


def forbid_namespaces(directory: Path) -> dict[str, str]:
    (directory / "unshare").write_text("#!/bin/sh\nexit 1\n")
    (directory / "unshare").chmod(0o700)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}


def test_postgres_runs_where_user_namespaces_are_forbidden(open_dir: Path, tmp_path: Path) -> None:
    # To anyone but root this is the ordinary start.
    environment = forbid_namespaces(tmp_path)
    given = {"REDIS_URL": "redis://given.example", "AWS_ENDPOINT_URL": "http://given.example"}

    with serve(open_dir, **environment, **given):
        address = read_addresses(open_dir)["postgres"]
        keep_row(address)
        pid = read_endpoints(open_dir)["postgres"]["pid"]
        assert psutil.Process(pid).uids().effective == (os.geteuid() or 65534)
    with serve(open_dir, **given):
        assert read_addresses(open_dir)["postgres"] == address
        assert ask_postgres(address, "SELECT name FROM kept") == "row"


def test_postgres_is_copied_where_nobody_else_reaches_it(
    open_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To anyone but root this is the ordinary start.
    environment = forbid_namespaces(tmp_path)
    closed = tmp_path / "pginstall" / "bin"
    shutil.copytree(find_binaries({}).parent, closed.parent, symlinks=True)
    tmp_path.chmod(0o700)
    monkeypatch.setattr("shared.local.postgres.find_packaged_binaries", lambda: closed)

    postgres = choose_postgres(open_dir, environment, environment)

    copied = open_dir / "postgres-programs" / "bin"
    assert (postgres.binaries, postgres.user) == ((copied, 65534) if os.geteuid() == 0 else (closed, None))


def test_servers_of_the_user_are_used(tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": "postgresql://me:secret@db.example/app",
        "REDIS_URL": "redis://cache.example/1",
        "AWS_ENDPOINT_URL": "http://aws.example:4566",
    }

    with serve(tmp_path, **given):
        endpoints = read_endpoints(tmp_path)

    assert {name: endpoints[name] for name in NAMES} == {
        "postgres": {"pid": None, "address": "postgresql://me:***@db.example/app"},
        "valkey": {"pid": None, "address": "redis://cache.example/1"},
        "aws": {"pid": None, "address": "http://aws.example:4566"},
    }
    assert plan_servers(tmp_path, given, {}) == [
        Given("postgres", given["DATABASE_URL"]),
        Given("valkey", given["REDIS_URL"]),
        Given("aws", given["AWS_ENDPOINT_URL"]),
    ]


@pytest.mark.parametrize("setting", ["POSTGRES_PORT", "VALKEY_PORT", "AWS_PORT"])
def test_a_port_that_is_asked_for_must_be_free(tmp_path: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} .* {setting}"):
            plan_servers(tmp_path, clean_environment() | {setting: str(port)}, {})


def test_a_port_is_a_number(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="AWS_PORT must be a port number, not 'http'"):
        plan_servers(tmp_path, clean_environment() | {"AWS_PORT": "http"}, {})


def test_ports_of_the_last_start_are_preferred(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as freed:
        taken_port, free_port = taken.getsockname()[1], freed.getsockname()[1]
        freed.close()
        servers = plan_servers(tmp_path, clean_environment(), {"postgres": taken_port, "valkey": free_port})

    ports = [urlsplit(server.address).port for server in servers if isinstance(server, Program)]
    assert ports[0] != taken_port
    assert ports[1] == free_port
    assert len(set(ports)) == 3


def test_the_postgres_of_the_user_comes_first(tmp_path: Path) -> None:
    (tmp_path / "postgres").touch()

    assert find_binaries({"PG_BIN": str(tmp_path)}) == tmp_path
    assert (find_binaries({}) / "postgres").is_file()


def test_a_directory_without_postgres_is_reported(tmp_path: Path) -> None:
    with pytest.raises(PostgresUnavailable, match=f"PG_BIN is {tmp_path}, which holds no program"):
        plan_servers(tmp_path, clean_environment() | {"PG_BIN": str(tmp_path)}, {})


def test_a_postgres_that_cannot_be_run_is_reported(tmp_path: Path) -> None:
    (tmp_path / "postgres").touch()

    with pytest.raises(PostgresUnavailable, match=f"cannot run {tmp_path}/postgres .* DATABASE_URL"):
        plan_servers(tmp_path, clean_environment() | {"PG_BIN": str(tmp_path)}, {})
