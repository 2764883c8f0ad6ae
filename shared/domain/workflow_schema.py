"""The JSON Schema of workflow files, for editors: made from the model, GitHub's events and the actions.

Draft 7, which the YAML language server knows best. It says what an editor can use and no more: what crosses lines (the
steps before, a template's names) is found by ``orchestrator workflows check``.
https://json-schema.org/draft-07
"""

import inspect
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from shared.domain.action_arguments import ACTIONS
from shared.domain.argument import ActionDeclaration, Argument
from shared.domain.events import EVENTS, FREE_ACTIONS, Event
from shared.domain.pattern_operators import OPERATORS
from shared.domain.shorthands import SHORTHAND_EVENTS
from shared.domain.trigger import DURATION, Strict, Trigger
from shared.domain.workflow import Workflow

Schema = dict[str, Any]

_TEXTS: Final[Schema] = {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1, "maxItems": 100}
_TEMPLATE: Final[Schema] = {"type": "string", "pattern": r"\{[{%]"}
_KINDS: Final[Mapping[str, Schema]] = {
    "text": {"type": ["string", "number"]},
    "number": {"type": ["integer", "string"], "minimum": 1, "pattern": r"^\s*\d+\s*$|\{[{%]"},
    "flag": {"type": ["boolean", "string"], "pattern": r"^\s*([Tt]rue|[Ff]alse)\s*$|\{[{%]"},
    "texts": {"type": ["array", "string"], "items": {"type": ["string", "number"]}, "minItems": 1},
    "object": {"type": "object"},
    "json": {},
}
_PLAIN: Final[Schema] = {"type": ["string", "number", "boolean", "null"]}
_STRINGS: Final[Schema] = {"type": ["string", "array"], "items": {"type": "string"}}
_IGNORING_CASE: Final[Schema] = {
    "type": ["string", "object"],
    "properties": {"equals-ignore-case": {"type": "string"}},
    "required": ["equals-ignore-case"],
    "additionalProperties": False,
}
_ARGUMENTS: Final[Mapping[str, Schema]] = {
    "prefix": _IGNORING_CASE,
    "suffix": _IGNORING_CASE,
    "equals-ignore-case": {"type": "string"},
    "wildcard": {"type": "string"},
    "anything-but": {
        "type": ["string", "number", "array", "object"],
        "items": {"type": ["string", "number"]},
        "minItems": 1,
        "properties": dict.fromkeys(("prefix", "suffix", "equals-ignore-case", "wildcard"), _STRINGS),
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    },
    "numeric": {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 2, "maxItems": 4},
    "exists": {"type": "boolean"},
    "cidr": {"type": "string"},
}


def build_schema() -> Schema:
    """Returns the schema of a workflow file."""
    described = Workflow.model_json_schema(ref_template="#/definitions/{model}")
    definitions: Schema = described.pop("$defs")
    definitions.pop("Trigger")
    name = described["properties"].pop("name")
    needed = [each for each in described.pop("required") if each != "name"]
    is_off = {"properties": {"enabled": {"const": False}}, "required": ["enabled"]}
    described["anyOf"] = [{"required": needed}, is_off]
    definitions["Workflow"] = described
    models = Strict.__subclasses__()
    for model in models:
        if model.__name__ in definitions:
            _describe(definitions[model.__name__], model)
    described["properties"]["on"] = {
        "description": described["properties"]["on"]["description"],
        "anyOf": _describe_on(),
    }
    definitions["Step"] = _describe_step(definitions["Step"])
    definitions |= _describe_patterns()
    for schema in definitions.values():
        for key in ("timeout", "debounce"):
            if key in schema.get("properties", {}):
                schema["properties"][key] = _describe_duration(schema["properties"][key])
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Workflows of Webhook Orchestrator",
        "type": "object",
        "required": ["version", "workflows"],
        "additionalProperties": False,
        "properties": {
            "version": {"const": 1},
            "workflows": {
                "description": "The workflows by their names.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": name["pattern"]},
                "additionalProperties": {"$ref": "#/definitions/Workflow"},
            },
        },
        "definitions": dict(sorted(definitions.items())),
    }


def describe_attributes(model: type[BaseModel]) -> dict[str, str]:
    """Returns what a model's docstring says of each of its attributes."""
    _, _, attributes = (inspect.getdoc(model) or "").partition("Attributes:")
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", attributes, re.DOTALL | re.MULTILINE)
    return {name: _flow(description) for name, description in found}


def _describe(schema: Schema, model: type[BaseModel]) -> None:
    """Puts a docstring where an editor shows it: its summary, and its attributes at their keys."""
    schema["description"] = _flow((inspect.getdoc(model) or "").partition("Attributes:")[0])
    for name, description in describe_attributes(model).items():
        if name in schema["properties"]:
            schema["properties"][name]["description"] = description
    schema.pop("title", None)
    for each in schema["properties"].values():
        each.pop("title", None)
        if not isinstance(each.get("default"), str | int):
            each.pop("default", None)
        if "$ref" in each:  # beside which draft 7 reads nothing
            each["allOf"] = [{"$ref": each.pop("$ref")}]


def _flow(text: str) -> str:
    """Returns a docstring's text in one line, as it is read: a sentence, without the marks of code."""
    text = " ".join(text.replace("``", "`").split())
    return text[:1].upper() + text[1:]


def _describe_on() -> list[Schema]:
    names = sorted(EVENTS)
    return [
        {"enum": names},
        {"type": "array", "items": {"enum": names}, "minItems": 1},
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {name: _describe_trigger(name, event) for name, event in sorted(EVENTS.items())},
        },
    ]


def _describe_trigger(name: str, event: Event) -> Schema:
    known: Schema = {"properties": {key: {} for key in Trigger.model_fields}}
    _describe(known, Trigger)
    properties: Schema = {}
    if event.actions or name in FREE_ACTIONS:
        actions = {"type": "string"} if name in FREE_ACTIONS else {"enum": list(event.actions)}
        properties["actions"] = {"anyOf": [actions, {"type": "array", "items": actions, "minItems": 1}]}
    properties |= {key: dict(_TEXTS) for key, events in SHORTHAND_EVENTS.items() if name in events}
    properties["match"] = {"allOf": [{"$ref": "#/definitions/Pattern"}]}
    for key, schema in properties.items():
        schema["description"] = known["properties"][key]["description"]
    return {"type": ["object", "null"], "additionalProperties": False, "properties": properties}


def _describe_step(step: Schema) -> Schema:
    step["properties"]["uses"] = {
        "description": "The action.",
        "oneOf": [{"const": name, "description": declared.summary} for name, declared in ACTIONS.items()],
    }
    step["allOf"] = [
        {
            "if": {"properties": {"uses": {"const": name}}, "required": ["uses"]},
            "then": _describe_arguments(declared),
        }
        for name, declared in ACTIONS.items()
    ]
    return step


def _describe_arguments(declared: ActionDeclaration) -> Schema:
    required = [each.name for each in declared.arguments if each.is_required and not each.is_from_subject]
    arguments: Schema = {
        "additionalProperties": False,
        "properties": {each.name: _describe_argument(each) for each in declared.arguments},
    }
    if required:
        arguments["required"] = required
    if declared.one_of:
        arguments["anyOf"] = [{"required": [name]} for name in declared.one_of]
    described: Schema = {"properties": {"with": arguments}}
    if required or declared.one_of:
        described["required"] = ["with"]
    return described


def _describe_argument(argument: Argument) -> Schema:
    if argument.choices:
        schema: Schema = {"anyOf": [{"enum": list(argument.choices)}, _TEMPLATE]}
    else:
        schema = dict(_KINDS[argument.kind])
    return {**schema, "description": argument.description}


def _describe_duration(schema: Schema) -> Schema:
    number = next(each for each in schema["anyOf"] if each["type"] == "integer")
    seconds = {"type": "integer", "minimum": 1, "maximum": number.get("le", number.get("maximum"))}
    kept = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**kept, "anyOf": [seconds, {"type": "string", "pattern": f"^{DURATION}$"}]}


def _describe_patterns() -> Schema:
    pattern = {"$ref": "#/definitions/Pattern"}
    return {
        "Pattern": {
            "description": "A pattern of Amazon EventBridge: all fields must hold.",
            "type": "object",
            "properties": {
                "$or": {"description": "One of these must hold.", "type": "array", "minItems": 2, "items": pattern}
            },
            "additionalProperties": {
                "anyOf": [
                    {"type": "array", "minItems": 1, "items": {"anyOf": [_PLAIN, {"$ref": "#/definitions/Operator"}]}},
                    {"allOf": [pattern], "minProperties": 1},
                ]
            },
        },
        "Operator": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "properties": {name: _ARGUMENTS[name] for name in OPERATORS},
        },
    }
