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
    last = text.count("\n") + 1
    assert all(fault.message and 1 <= fault.line <= last for fault in reading.faults)


def test_what_cannot_be_kept_is_named_with_its_line() -> None:
    later = (
        GOOD
        + "  part:\n    on: {push: {match: {size: [1.0e+30]}}}\n    steps: [{uses: github.comment, with: {body: Hi}}]\n"
    )
    [fault] = read_text(later).faults
    assert fault == (6, "workflows.part: the value 1e+30 cannot be kept: write it as a text")


def test_what_is_no_text_is_a_fault_too() -> None:
    [fault] = read_text(None).faults
    assert "expected a text file in UTF-8" in fault.message
