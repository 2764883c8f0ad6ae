"""The supervisor with small programs of `/bin/sh`: order, restarts, ends, and what it refuses."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from shared.local.endpoints import redact_password
from shared.local.free_ports import PortInUse, choose_port
from shared.local.lifeline import Lifeline, guard
from shared.local.state_lock import StateDirInUse
from shared.local.supervisor import Given, NotReady, Program, StopRequested, Supervisor, plan_delay

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 20.0

# A supervisor in a process of its own: a program that ignores SIGTERM, and one with a child and a grandchild.
SUPERVISE = """
import sys
from pathlib import Path
from shared.local.supervisor import Program, Supervisor

def describe(name, script):
    return Program(name=name, argv=("/bin/sh", "-c", script), env={}, ready=lambda: True, stop_seconds=0.5)

with Supervisor(Path(sys.argv[1]), lambda name, state: print(name, state, flush=True)) as supervisor:
    supervisor.run([
        describe("stubborn", "trap '' TERM; while :; do /bin/sleep 0.05; done"),
        describe("parent", "/bin/sh -c '/bin/sleep 601 & /bin/sleep 602' & wait"),
    ])
print("left", flush=True)
"""


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def describe(
    name: str,
    script: str = "exec /bin/sleep 600",
    ready: Callable[[], bool] = lambda: True,
    *,
    stop_signal: int = signal.SIGTERM,
    stop_seconds: float = 10.0,
    ready_seconds: float = 10.0,
) -> Program:
    return Program(
        name=name,
        argv=("/bin/sh", "-c", script),
        env={"GREETING": "hello"},
        ready=ready,
        address=f"test://{name}",
        stop_signal=stop_signal,
        stop_seconds=stop_seconds,
        ready_seconds=ready_seconds,
    )


class Stage:
    """A supervisor and what it reported."""

    def __init__(self, state_dir: Path) -> None:
        self.reports: list[tuple[str, str]] = []
        self.supervisor = Supervisor(state_dir, lambda name, state: self.reports.append((name, state)))

    def read_pid(self, name: str) -> int | None:
        endpoints = json.loads(self.supervisor.endpoints_path.read_text())
        pid = endpoints[name]["pid"]
        assert pid is None or isinstance(pid, int)
        return pid

    def start(self, program: Program) -> int:
        self.supervisor.start(program)
        pid = self.read_pid(program.name)
        assert pid is not None
        return pid

    def poll_until(self, is_true: Callable[[], bool]) -> None:
        def poll() -> bool:
            self.supervisor.poll()
            return is_true()

        wait_until(poll)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path / "state")
    with stage.supervisor:
        yield stage


def test_programs_start_in_order_and_stop_in_reverse(stage: Stage) -> None:
    pids = [stage.start(describe(name)) for name in ("first", "second")]

    stage.supervisor.stop_all()

    assert stage.reports == [
        ("first", "starting"),
        ("first", "ready"),
        ("second", "starting"),
        ("second", "ready"),
        ("second", "stopped"),
        ("first", "stopped"),
    ]
    assert [is_gone(pid) for pid in pids] == [True, True]


def test_the_endpoints_name_what_runs(stage: Stage) -> None:
    pid = stage.start(describe("first"))
    stage.supervisor.start(Given("second", "postgresql://me:secret@db.example:5432/app"))

    running = json.loads(stage.supervisor.endpoints_path.read_text())
    stage.supervisor.stop_all()
    stopped = json.loads(stage.supervisor.endpoints_path.read_text())

    second = {"pid": None, "address": "postgresql://me:***@db.example:5432/app"}
    assert running == {
        "supervisor": {"pid": os.getpid(), "address": None},
        "first": {"pid": pid, "address": "test://first"},
        "second": second,
    }
    assert stopped == {
        "supervisor": {"pid": None, "address": None},
        "first": {"pid": None, "address": "test://first"},
        "second": second,
    }


def test_only_the_owner_reads_the_state(stage: Stage) -> None:
    directory = stage.supervisor.state_dir

    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(stage.supervisor.endpoints_path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("address", "redacted"),
    [
        ("redis://:secret@cache.example/0", "redis://:***@cache.example/0"),
        ("postgresql://me:s%40cret@db.example/app", "postgresql://me:***@db.example/app"),
        (
            "postgresql://db.example/app?user=me&password=secret",
            "postgresql://db.example/app?user=me&password=***",
        ),
        ("host=db.example password='a secret' user=me", "host=db.example password=*** user=me"),
        ("http://127.0.0.1:4566", "http://127.0.0.1:4566"),
    ],
)
def test_a_password_is_redacted(address: str, redacted: str) -> None:
    assert redact_password(address) == redacted


def test_a_program_gets_its_own_environment_and_log(stage: Stage) -> None:
    log = stage.supervisor.state_dir / "logs" / "first.log"

    stage.start(
        describe("first", "/usr/bin/env; echo oops >&2; exec /bin/sleep 600", lambda: "oops" in log.read_text())
    )

    lines = log.read_text().splitlines()
    assert "GREETING=hello" in lines
    assert not {line.split("=")[0] for line in lines} & {"HOME", "USER", "VIRTUAL_ENV"}


def test_what_dies_is_restarted(stage: Stage) -> None:
    pid = stage.start(describe("first"))
    other = stage.start(describe("second"))

    os.kill(pid, signal.SIGKILL)
    stage.poll_until(lambda: ("first", "restarted") in stage.reports)

    assert stage.read_pid("first") not in {pid, None}
    assert stage.read_pid("second") == other
    assert stage.reports.count(("first", "starting")) == 2


def test_what_keeps_dying_is_restarted_less_and_less_often() -> None:
    delays = [0.0]
    for life_seconds in (9.9, 0, 0, 0, 0, 0, 9.9, 10, 0):
        delays.append(plan_delay(delays[-1], life_seconds))

    assert delays[1:] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 0.2, 0.4]


def test_a_program_may_be_watched_from_a_thread_that_ends(stage: Stage) -> None:
    pid = stage.start(describe("first"))
    watcher = threading.Thread(target=stage.supervisor.watch)
    watcher.start()

    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: ("first", "restarted") in stage.reports)
    stage.supervisor.stop_all()
    watcher.join()

    assert stage.reports[-1] == ("first", "stopped")


def test_a_program_that_ends_at_once_is_not_ready(stage: Stage) -> None:
    with pytest.raises(NotReady) as raised:
        stage.supervisor.start(
            describe("first", "for i in $(/usr/bin/seq 30); do echo line $i; done; exit 3", lambda: False)
        )

    lines = str(raised.value).splitlines()
    assert lines[0].startswith("first ended with code 3 before it was ready; the end of ")
    assert lines[1:] == [f"line {number}" for number in range(11, 31)]
    assert stage.read_pid("first") is None


def test_a_program_that_does_not_answer_is_not_ready_and_is_stopped(stage: Stage) -> None:
    pids: list[int | None] = []

    def never() -> bool:
        pids.append(stage.read_pid("first"))
        return False

    with pytest.raises(NotReady, match=r"first was not ready after 0\.1 s; .*\n\(it wrote nothing\)"):
        stage.supervisor.start(describe("first", ready=never, ready_seconds=0.1))

    assert pids[0] is not None
    assert is_gone(pids[0])


def test_the_log_of_the_last_start_is_kept_apart(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "first.log"
    for text in ("one", "two"):
        stage = Stage(tmp_path)
        with stage.supervisor:
            stage.start(describe("first", f"echo {text}; exec /bin/sleep 600", lambda: bool(log.read_text())))

    assert log.read_text() == "two\n"
    assert log.with_suffix(".previous.log").read_text() == "one\n"


def test_a_program_is_stopped_by_its_own_signal(stage: Stage) -> None:
    log = stage.supervisor.state_dir / "logs" / "first.log"
    script = "trap 'echo interrupted; exit' INT; trap '' TERM; echo up; while :; do /bin/sleep 0.02; done"
    stage.start(describe("first", script, lambda: "up" in log.read_text(), stop_signal=signal.SIGINT))

    stage.supervisor.stop_all()

    assert "interrupted" in log.read_text()


def test_what_does_not_stop_is_killed_with_its_descendants(stage: Stage) -> None:
    log = stage.supervisor.state_dir / "logs" / "first.log"
    # The last of them leaves the session, as the children of Postgres do.
    script = (
        "trap '' TERM; /bin/sleep 601 & echo $!; /usr/bin/env setsid /bin/sleep 602 & echo $!; "
        "while :; do /bin/sleep 0.02; done"
    )
    if sys.platform == "darwin":
        script = script.replace("/usr/bin/env setsid ", "")
    pid = stage.start(describe("first", script, lambda: len(log.read_text().split()) == 2, stop_seconds=0.2))
    descendants = [int(word) for word in log.read_text().split()]

    stage.supervisor.stop_all()

    assert [is_gone(each) for each in (pid, *descendants)] == [True, True, True]


def test_what_a_dead_program_leaves_is_killed_before_it_is_restarted(stage: Stage) -> None:
    log = stage.supervisor.state_dir / "logs" / "first.log"
    pid = stage.start(describe("first", "/bin/sleep 601 & echo $!; wait", lambda: bool(log.read_text().strip())))
    child = int(log.read_text())

    os.kill(pid, signal.SIGKILL)
    stage.poll_until(lambda: ("first", "restarted") in stage.reports)

    assert is_gone(child)


def test_a_stop_ends_a_start(stage: Stage) -> None:
    def ask() -> bool:
        stage.supervisor.request_stop()
        return False

    with pytest.raises(StopRequested):
        stage.supervisor.start(describe("first", ready=ask))
    pid = stage.read_pid("first")
    stage.supervisor.stop_all()

    assert pid is not None
    assert is_gone(pid)


def test_a_state_directory_has_one_supervisor(stage: Stage) -> None:
    second = Stage(stage.supervisor.state_dir)

    with pytest.raises(StateDirInUse, match=f"in use by the supervisor with pid {os.getpid()}"):
        second.supervisor.__enter__()


def test_ports_of_the_last_start_are_known(tmp_path: Path) -> None:
    with Stage(tmp_path).supervisor as first:
        first.start(Given("here", "redis://127.0.0.1:7001/0"))
        first.start(Given("elsewhere", "redis://cache.example:7002/0"))

    with Stage(tmp_path).supervisor as second:
        assert second.previous_ports == {"here": 7001}


def test_damaged_endpoints_do_not_prevent_a_start(tmp_path: Path) -> None:
    (tmp_path / "endpoints.json").write_text('{"here": {"pi')

    with Stage(tmp_path).supervisor as supervisor:
        assert supervisor.previous_ports == {}


def test_a_port_that_is_asked_for_must_be_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} of 127.0.0.1, chosen by AWS_PORT, is in use"):
            choose_port("AWS_PORT", requested=port)
        assert choose_port("AWS_PORT", previous=port) != port
    assert choose_port("AWS_PORT", requested=port) == port
    assert choose_port("AWS_PORT", previous=port) == port
    assert choose_port("AWS_PORT", previous=port, avoid=[port]) != port


def test_a_lifeline_that_is_killed_is_replaced(stage: Stage) -> None:
    pid = stage.start(describe("first"))
    old = find_lifeline(os.getpid())

    old.kill()
    stage.poll_until(lambda: any(child.pid != old.pid for child in list_lifelines(os.getpid())))

    assert not is_gone(pid)
    wait_until(lambda: is_gone(old.pid))


def list_lifelines(supervisor: int) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(supervisor).children()
        if child.status() != psutil.STATUS_ZOMBIE and any(word.endswith("lifeline.py") for word in child.cmdline())
    ]


def find_lifeline(supervisor: int) -> psutil.Process:
    wait_until(lambda: bool(list_lifelines(supervisor)))
    return list_lifelines(supervisor)[0]


def test_the_lifeline_is_told_what_starts_and_ends(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[tuple[object, ...]] = []
    monkeypatch.setattr(Lifeline, "note_start", lambda _, *note: notes.append(note))
    monkeypatch.setattr(Lifeline, "note_end", lambda _, pid: notes.append((pid,)))

    pid = stage.start(describe("first", stop_signal=signal.SIGINT, stop_seconds=7.0))
    stage.supervisor.stop_all()

    assert notes == [(pid, signal.SIGINT, 7.0), (pid,)]


def test_a_lifeline_forgets_what_has_ended() -> None:
    with (
        subprocess.Popen(["/bin/sleep", "600"], start_new_session=True) as forgotten,
        subprocess.Popen(["/bin/sleep", "600"], start_new_session=True) as guarded,
    ):
        guard([f"start {forgotten.pid} 15 5", f"start {guarded.pid} 15 5", f"end {forgotten.pid}"])

        assert is_gone(guarded.pid)
        assert not is_gone(forgotten.pid)
        forgotten.kill()


class Process:
    """A supervisor in a process of its own, and all it started."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.popen = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, str(state_dir)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            if line == "parent ready\n":
                break
        started = psutil.Process(self.popen.pid)
        wait_until(lambda: len(started.children(recursive=True)) >= 6)
        self.family = started.children(recursive=True)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    with process.popen:
        yield process
        process.popen.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_all(process: Process, number: signal.Signals) -> None:
    process.popen.send_signal(number)
    output, _ = process.popen.communicate()

    assert output.splitlines()[-3:] == ["parent stopped", "stubborn stopped", "left"]
    assert process.popen.returncode == 0
    assert [child for child in process.family if not is_gone(child.pid)] == []


def test_a_killed_supervisor_takes_all_with_it(process: Process) -> None:
    process.popen.kill()
    process.popen.wait()

    # The next one on the directory waits until they are gone.
    with Stage(process.state_dir).supervisor:
        assert [child for child in process.family if not is_gone(child.pid)] == []
