"""Workflow files: what is in them, and every fault at once. A faulty workflow does not stop the others."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared import workflows
from shared.adapters.workflow_checks import check_workflow
from shared.adapters.yaml_source import Path, Unusable, YamlSource
from shared.domain.fault import Fault
from shared.domain.pattern import find_pattern_faults
from shared.domain.pattern_operators import PatternError, find_nearest, show_source, show_value
from shared.domain.workflow import Workflow

VERSION: Final = 1
MAX_WORKFLOWS: Final = 200
MAX_FAULTS: Final = 200

_KEYS: Final = ("version", "workflows")
# The model's words where they are not a file's.
_WORDS: Final = {
    "dict_type": "a mapping",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "model_type": "a mapping",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "a text",
    "string_pattern_mismatch": "a name: lower-case letters, digits, - and _, a letter first, at most 64",
    "too_long": "at most {max_length}",
    "too_short": "at least {min_length}",
    "tuple_type": "a list",
}


class WorkflowFileError(ValueError):
    """A workflow file that must be free of faults is not; the message names each, with its place and its mend."""


class WorkflowFile(NamedTuple):
    """What a file holds.

    Attributes:
        workflows: those without a fault, in the file's order.
        faults: what has to be mended, in the file's order; the first 200.
    """

    workflows: tuple[Workflow, ...]
    faults: tuple[Fault, ...]


def read_workflow_file(content: str | bytes, file: str) -> WorkflowFile:
    """Reads a file; never raises on its content."""
    try:
        source = YamlSource(content, file)
        named = _read_head(source)
        read = {name: _read_workflow(source, name, body) for name, body in named.items()}
    except Unusable as error:
        return WorkflowFile((), (error.fault,))
    except RecursionError:
        return WorkflowFile((), (Fault(file, 1, 1, "", "less nesting", "more than can be read"),))
    good = tuple(each for name, each in read.items() if each is not None and ("workflows", name) not in source.faulty)
    return WorkflowFile(good, tuple(sorted(set(source.faults))[:MAX_FAULTS]))


def read_sound_file(content: str | bytes, file: str) -> tuple[Workflow, ...]:
    """Returns the workflows of a file without faults. Raises WorkflowFileError."""
    found = read_workflow_file(content, file)
    if found.faults:
        raise WorkflowFileError("\n".join(map(str, found.faults)))
    return found.workflows


def read_default_workflows() -> tuple[Workflow, ...]:
    """Returns the workflows that ship with the bundle."""
    return read_sound_file(files(workflows).joinpath("defaults.yml").read_bytes(), "defaults.yml")


def _read_head(source: YamlSource) -> Mapping[str, Any]:
    """Returns the bodies of the workflows by their names."""
    content = source.value
    if not isinstance(content, dict):
        raise _refuse(source, (), "a mapping that begins with 'version: 1'", _show(content))
    for name in content:
        if name not in _KEYS:
            source.add((name,), _one_of(_KEYS), show_value(name), find_nearest(name, _KEYS), key=True)
    version = content.get("version")
    if version != VERSION or isinstance(version, bool):
        found = _show(version) if "version" in content else "nothing"
        raise _refuse(source, ("version",), f"'version: {VERSION}'", found)
    named = content.get("workflows")
    if not isinstance(named, dict) or not named:
        found = _show(named) if "workflows" in content else "nothing"
        raise _refuse(source, ("workflows",), "a mapping of names to workflows", found)
    if len(named) > MAX_WORKFLOWS:
        raise _refuse(source, ("workflows",), f"at most {MAX_WORKFLOWS} workflows", str(len(named)))
    return named


def _refuse(source: YamlSource, path: Path, expected: str, found: str) -> Unusable:
    line, column = source.locate(path)
    return Unusable(Fault(source.file, line, column, ".".join(map(str, path)), expected, found))


def _read_workflow(source: YamlSource, name: str, body: object) -> Workflow | None:
    base: Path = ("workflows", name)
    if not isinstance(body, dict):
        source.add(base, "a mapping with 'on' and 'steps'", _show(body))
        return None
    check_workflow(source, base, body)
    try:
        if "name" in body:
            source.add((*base, "name"), _one_of(_keys_at(())), '"name"', key=True)
        return Workflow.model_validate({**body, "name": name})
    except ValidationError as error:
        for each in error.errors(include_url=False):
            _add_error(source, base, body, each)
        return None


def _add_error(source: YamlSource, base: Path, body: Mapping[str, Any], error: ErrorDetails) -> None:
    """Notes what the model says, in our words."""
    kind, loc = error["type"], error["loc"]
    path = (*base, *loc)
    context = error.get("ctx", {})
    fault = context.get("error")
    if loc == ("name",):
        source.add(base, _WORDS[kind], show_value(base[1]), key=True)
    elif kind == "extra_forbidden":
        known = _keys_at(loc[:-1])
        source.add(path, _one_of(known), show_value(loc[-1]), find_nearest(loc[-1], known), key=True)
    elif kind == "missing":
        source.add(path, f"the key {loc[-1]!r}", "nothing")
    elif isinstance(fault, PatternError) and loc[-1] == "match":
        for each in find_pattern_faults(error["input"]):
            rest = each.path.removeprefix("match")
            source.add(source.follow(path, rest), each.expected, each.found, each.suggestion)
    elif isinstance(fault, PatternError):
        source.add(source.follow(path, fault.path), fault.expected, fault.found, fault.suggestion)
    elif kind == "literal_error":
        given = error["input"]
        choices = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        source.add(path, _one_of(choices), _show(given), find_nearest(given, choices))
    elif kind == "too_short" and len(error["input"]) >= context["min_length"]:
        pass  # what is in it is faulty, and was left out of the count
    elif kind in _WORDS:
        source.add(path, _WORDS[kind].format(**context), _show(error["input"]))
    elif loc or base not in source.faulty:  # what is wrong with the whole has its place already, as a rule
        expected = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        source.add(path, f"{expected[0].lower()}{expected[1:]}", _show(error["input"]))


@cache
def _schema() -> dict[str, Any]:
    return Workflow.model_json_schema()


def _keys_at(loc: tuple[str | int, ...]) -> tuple[str, ...]:
    """Returns the keys that the model knows at a place."""
    node = _schema()
    for part in loc:
        if isinstance(part, int):
            node = node["items"]
        else:
            node = node.get("properties", {}).get(part) or node["additionalProperties"]
        for option in node.get("anyOf", ()):
            if option.get("type") != "null":
                node = option
        while "$ref" in node:
            node = _schema()["$defs"][node["$ref"].rpartition("/")[2]]
    return tuple(name for name in node["properties"] if loc or name != "name")


def _one_of(known: tuple[str, ...] | list[str]) -> str:
    return f"one of {', '.join(known)}" if len(known) > 1 else known[0]


def _show(value: object) -> str:
    return "nothing" if value is None else show_source(value)
