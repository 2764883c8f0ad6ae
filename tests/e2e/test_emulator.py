"""What the shim takes for granted of ministack, so that another version fails here and says what to look at."""

import importlib.metadata
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from ministack import app  # type: ignore[import-untyped]  # it ships no types
from ministack.core import iam_actions, lambda_runtime  # type: ignore[import-untyped]
from ministack.services import lambda_svc, rds, ssm  # type: ignore[import-untyped]
from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]

from shared.sql import migrations
from tests.e2e.assets import read_released_migrations


@pytest.fixture(scope="module")
def emulator() -> ModuleType:
    """The shim, as a module that is not started."""
    spec = importlib.util.spec_from_file_location("emulator", Path(__file__).with_name("emulator.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_the_version_that_the_shim_was_written_for(emulator: ModuleType) -> None:
    assert importlib.metadata.version("ministack") == emulator.VERSION


def test_what_is_stubbed_is_still_missing(emulator: ModuleType) -> None:
    known = provisioners._RESOURCE_HANDLERS

    assert [kind for kind in emulator.STUBBED if kind in known and kind != "AWS::CloudWatch::Alarm"] == []
    assert known[emulator.DATABASE].keys() >= {"create", "delete"}
    assert emulator.IMAGE_PARAMETER not in ssm._PUBLIC_AMI_PARAMETERS


def test_what_is_touched_is_still_there() -> None:
    assert isinstance(rds._instances, object)
    assert callable(app._port_is_bindable)
    assert lambda_svc.invalidate_worker.__globals__["kill_workers"] is lambda_runtime.kill_workers
    worker = lambda_runtime.Worker("name", {}, b"")
    assert (worker.in_use, worker._lock.locked()) == (False, False)


def test_a_batch_is_still_checked_by_a_right_that_aws_has_not(emulator: ModuleType) -> None:
    for action in emulator.BATCHES:
        headers = {
            "x-amz-target": f"AmazonSQS.{action.partition(':')[2]}",
            "content-type": "application/x-amz-json-1.0",
        }
        assert iam_actions.extract_iam_action("sqs", "POST", "/", headers, json.dumps({}).encode(), {}) == action


def test_a_migration_that_was_released_is_not_changed() -> None:
    [folder] = migrations.__path__
    released = read_released_migrations()

    assert released
    assert {name for name, text in released.items() if (Path(folder) / "versions" / name).read_bytes() != text} == set()
