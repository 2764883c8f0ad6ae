"""Whatever stands in a workflow file from outside, it is read or refused, never more."""

import json

import pytest

from shared.adapters.workflow_reading import read_text
from shared.domain.workflow import Workflow
from tests.support.faulty_files import FAULTS, GOOD


def test_a_good_file_is_its_workflows() -> None:
    reading = read_text(GOOD)
    assert reading.faults == ()
    [workflow] = reading.workflows
    assert workflow.name == "greet"
    assert Workflow.model_validate(json.loads(json.dumps(workflow.definition))).version == workflow.version


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_a_faulty_file_is_refused_whole(text: str) -> None:
    reading = read_text(text)
    assert reading.workflows == ()
    assert reading.faults
    assert all(fault.message for fault in reading.faults)


def test_what_is_no_text_is_a_fault_too() -> None:
    [fault] = read_text(None).faults
    assert "must be a text file in UTF-8" in fault.message
