"""The published JSON Schema: as the code has it, and at one with the checks."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped] # it brings no types

from shared.adapters.workflow_files import read_workflow_file
from shared.adapters.yaml_source import YamlSource
from shared.domain.workflow_schema import build_schema
from tests.unit.test_workflow_files import FAULTS, GOOD

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "shared/workflows/defaults.yml", *sorted((ROOT / "docs/recipes").glob("*.yml"))]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return build_schema()


def test_the_published_schema_is_the_code_s(schema: dict[str, Any]) -> None:
    Draft7Validator.check_schema(schema)
    published = (ROOT / "docs/workflow.schema.json").read_text("utf-8")
    # `orchestrator workflows schema > docs/workflow.schema.json` renews it.
    assert json.loads(published) == schema


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_sound_satisfies_it(schema: dict[str, Any], path: Path) -> None:
    content = YamlSource(path.read_bytes(), path.name).value
    assert [error.message for error in Draft7Validator(schema).iter_errors(content)] == []
    assert read_workflow_file(path.read_bytes(), path.name).faults == ()


def test_an_editor_sees_most_faults(schema: dict[str, Any]) -> None:
    # The rest crosses lines, such as the ids of steps, or is in the text of a template or a glob.
    validator = Draft7Validator(schema)
    seen = 0
    for body, *_ in FAULTS:
        indented = "".join(f"    {line}\n" for line in body.splitlines())
        content = YamlSource(f"version: 1\nworkflows:\n  fix:\n{indented}{GOOD}", "mine.yml").value
        seen += not validator.is_valid(content)
    assert seen >= 40
