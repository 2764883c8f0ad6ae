"""The recipes: sound, and with templates that real payloads fill."""

import copy
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.templates import JinjaTemplates
from shared.adapters.workflow_files import read_sound_file
from shared.domain.action_arguments import ACTIONS, find_faults
from shared.domain.workflow import Workflow
from tests.support.factories import build_delivery, read_payloads

RECIPES = sorted((Path(__file__).parents[2] / "docs/recipes").glob("*.yml"))
WORKFLOWS = [
    pytest.param(workflow, id=workflow.name)
    for path in RECIPES
    for workflow in read_sound_file(path.read_bytes(), path.name)
]


def list_documents(event: str) -> list[dict[str, Any]]:
    """Returns documents of real deliveries; their comments are commands."""
    documents = []
    for payload in copy.deepcopy(read_payloads()[event]):
        if "comment" in payload:
            payload["comment"]["body"] = "/fix the tests"
        documents.append(build_delivery(payload, event=event).document)
    return documents


def build_steps(workflow: Workflow) -> dict[str, dict[str, Any]]:
    """Returns what the steps before have said, as if all had succeeded."""
    return {
        workflow.step_name(position): {
            **{output.name: "said" for output in ACTIONS[step.uses].outputs},
            "url": "https://example.com/1",
            "status": "succeeded",
            "error": None,
        }
        for position, step in enumerate(workflow.steps)
    }


def test_there_are_ten() -> None:
    assert len(RECIPES) == 10


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_real_payloads_fill_its_templates(workflow: Workflow) -> None:
    templates = JinjaTemplates()
    run = {"id": "0", "workflow": workflow.name}
    for event in workflow.on:
        documents = list_documents(event)
        assert documents
        for document in documents:
            for step in workflow.steps:
                context = {**document, "steps": build_steps(workflow), "run": run}
                rendered = templates.render(step.arguments, context)
                assert find_faults(step.uses, rendered) == []
