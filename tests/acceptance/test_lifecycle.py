import signal
from pathlib import Path

import pytest

from tests.acceptance.local_stack import LocalStack, wait_until

GOOD = b'{"action":"created","repository":{"full_name":"octo-org/hello"}}'
NAMES = {"supervisor", "front", "workers", "postgres", "valkey", "aws", "github", "codegen", "metrics"}
STOPPED_BEFORE_READY = 143


def test_endpoints_name_everything_that_runs(stack: LocalStack) -> None:
    assert stack.endpoints.keys() == NAMES
    assert all(endpoint["pid"] for endpoint in stack.endpoints.values())
    assert {name for name, endpoint in stack.endpoints.items() if not endpoint["address"]} == {"supervisor", "workers"}


def test_a_killed_front_is_started_again_and_answers(stack: LocalStack) -> None:
    killed = stack.signal("front", signal.SIGKILL)

    wait_until(lambda: stack.endpoints["front"]["pid"] not in {None, killed}, "the front is started again")
    wait_until(lambda: "\n  front      restarted\n" in stack.output, "the front is said to be back")
    assert stack.follow(stack.send("star", GOOD))["status"] == "succeeded"


def test_a_second_start_finds_the_data_of_the_first_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with LocalStack(tmp_path / "state") as own:
        own.start()
        first = own.send("pull_request", own.open_pull_request()[1])
        document = own.follow(first)
        addresses = {name: endpoint["address"] for name, endpoint in own.endpoints.items()}
        assert own.stop(signal.SIGTERM) == 0
        assert {endpoint["pid"] for endpoint in own.endpoints.values()} == {None}

        own.start()
        assert {name: endpoint["address"] for name, endpoint in own.endpoints.items()} == addresses
        assert own.follow(first) == document
        assert own.follow(own.send("star", GOOD))["status"] == "succeeded"
        assert own.stop(signal.SIGINT) == 0


def test_ctrl_c_during_the_start_leaves_nothing(tmp_path: Path) -> None:
    with LocalStack(tmp_path / "state") as own:
        own.launch()
        wait_until(lambda: "aws        starting" in own.output, "the third server is being started")
        assert own.stop(signal.SIGINT) == STOPPED_BEFORE_READY
        assert "Traceback" not in own.output


@pytest.mark.parametrize("taken", ["port", "state directory"])
def test_what_is_taken_is_named_and_nothing_is_started(stack: LocalStack, tmp_path: Path, taken: str) -> None:
    with LocalStack(tmp_path / "state") as own:
        if taken == "port":
            own.port = stack.port
            named = f"port {stack.port} of 127.0.0.1, chosen by PORT, is in use"
        else:
            own.settings["STATE_DIR"] = str(stack.state_dir)
            named = f"{stack.state_dir} is in use by the supervisor"

        assert own.run_to_end() == 1
        assert own.output.splitlines()[-1].startswith(f"Error: {named}")
        assert "Traceback" not in own.output
    assert stack.follow(stack.send("star", GOOD))["status"] == "succeeded"
