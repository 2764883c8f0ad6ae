"""Workflow files: YAML 1.2, so that the key ``on`` is a word and not a truth value.

https://yaml.dev/doc/ruamel.yaml/
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from shared import workflows
from shared.domain.workflow import Workflow

VERSION = 1


class WorkflowFileError(ValueError):
    """A workflow file cannot be used; the message names the file, the place and the mend."""


def read_workflow_file(text: str, file_name: str) -> list[Workflow]:
    """Returns the workflows in a file. Raises WorkflowFileError."""
    try:
        content = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise WorkflowFileError(f"{file_name}: {error}") from None
    if not isinstance(content, Mapping) or content.get("version") != VERSION:
        raise WorkflowFileError(f"{file_name}: must begin with 'version: {VERSION}'")
    named: Any = content.get("workflows")
    if not isinstance(named, Mapping) or not named:
        raise WorkflowFileError(f"{file_name}: needs 'workflows', a mapping of names to workflows")
    return [_read_workflow(file_name, str(name), body) for name, body in named.items()]


def _read_workflow(file_name: str, name: str, body: object) -> Workflow:
    if not isinstance(body, Mapping):
        raise WorkflowFileError(f"{file_name}: workflows.{name} must be a mapping with 'on' and 'steps'")
    try:
        return Workflow.model_validate({"name": name, **body})
    except ValidationError as error:
        faults = "; ".join(
            f"workflows.{name}.{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        )
        raise WorkflowFileError(f"{file_name}: {faults}") from None


def read_default_workflows() -> list[Workflow]:
    """Returns the workflows that ship with the bundle."""
    return read_workflow_file(files(workflows).joinpath("defaults.yml").read_text("utf-8"), "defaults.yml")
