"""The tables of docs/workflows.md, made from the code: ``python -m tests.support.reference`` renews them."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from shared.adapters.template_language import METHODS, TemplateLanguage
from shared.domain.action_arguments import ACTIONS
from shared.domain.argument import KIND_WORDS, Argument
from shared.domain.events import EVENTS
from shared.domain.shorthands import BRANCH_PLACES, SHORTHAND_EVENTS
from shared.domain.trigger import Strict, Trigger
from shared.domain.workflow import Caps, Concurrency, Guard, Retry, Step, Workflow
from shared.domain.workflow_schema import build_schema, describe_attributes

PAGE = Path(__file__).parents[2] / "docs" / "workflows.md"

_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_TYPES = {
    "boolean": "true or false",
    "integer": "a number",
    "array": "a list",
    "object": "an object",
    "string": "a text",
}


def build_tables() -> dict[str, str]:
    """Returns every table by its name."""
    return {
        "workflow": _describe_model(Workflow),
        "trigger": _describe_model(Trigger),
        "branches": _table(
            ("event", "its branch"), ((f"`{event}`", f"`{'.'.join(place)}`") for event, place in BRANCH_PLACES.items())
        ),
        "shorthands": _table(
            ("shorthand", "events that know it"),
            (
                (f"`{name}`", "all" if len(events) == len(EVENTS) else _code(sorted(events)))
                for name, events in SHORTHAND_EVENTS.items()
            ),
        ),
        "guard": _describe_model(Guard),
        "caps": _describe_model(Caps),
        "concurrency": _describe_model(Concurrency),
        "step": _describe_model(Step),
        "retry": _describe_model(Retry),
        "actions": _describe_actions(),
        "language": _describe_language(),
        "events": _table(
            ("event", "actions", "members beside the common ones"),
            ((f"`{name}`", _code(event.actions), _code(event.members)) for name, event in EVENTS.items()),
        ),
    }


def fill_page(text: str) -> str:
    """Returns the page with its tables renewed."""
    tables = build_tables()
    return _BLOCK.sub(lambda block: f"{block[1]}{tables[block[2]]}\n{block[4]}", text)


def _describe_model(model: type[Strict]) -> str:
    definitions = build_schema()["definitions"]
    schema = definitions.get(model.__name__, {}).get("properties", {})
    descriptions = describe_attributes(model)
    rows = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        if model is Workflow and key == "name":
            continue
        needed = "needed" if field.is_required() else _show_default(field.get_default(call_default_factory=True))
        rows.append((f"`{key}`", _show_type(key, schema.get(key, {}), model), needed, descriptions[key]))
    return _table(("key", "value", "default", "meaning"), rows)


def _show_type(key: str, schema: dict[str, Any], model: type[Strict]) -> str:
    named = {"uses": "an action", "on": "events, see below", "match": "a pattern"}
    schema = next((each for each in schema.get("anyOf", ()) if each.get("type") != "null"), schema)
    if key in ("timeout", "debounce"):
        most = schema["maximum"]
        return (
            f"a duration: `30s`, `5m`, `2h`, `1d`; at most {f'{most // 86400}d' if most >= 86400 else f'{most // 60}m'}"
        )
    if key in named or model is Trigger:
        return named.get(key, "a text or a list")
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    bounds = f", {schema['minimum']} to {schema['maximum']}" if "maximum" in schema else ""
    return "a name" if "pattern" in schema else _TYPES[schema.get("type", "object")] + bounds


def _show_default(value: object) -> str:
    if value is None or value == {} or isinstance(value, Strict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _describe_actions() -> str:
    sections = []
    for name, declared in ACTIONS.items():
        rows = [
            (f"`{each.name}`", _show_kind(each), _show_need(each, declared.one_of), each.description)
            for each in declared.arguments
        ]
        outputs = "; ".join(f"`{each.name}`: {_unfinish(each.description)}" for each in declared.outputs)
        parts = [f"### `{name}`", f"{declared.summary} {declared.once}"]
        parts += [_table(("argument", "value", "needed", "meaning"), rows)] if rows else []
        parts += [f"Outputs beside `url`, `status` and `error`: {outputs}."] if outputs else []
        sections.append("\n\n".join(parts))
    return "\n" + "\n\n".join(sections) + "\n"


def _show_kind(argument: Argument) -> str:
    return " or ".join(f"`{each}`" for each in argument.choices) if argument.choices else KIND_WORDS[argument.kind]


def _show_need(argument: Argument, one_of: Sequence[str]) -> str:
    if argument.name in one_of:
        return "one of these"
    if argument.is_from_subject:
        return "default: the subject's"
    return "yes" if argument.is_required else ""


def _unfinish(sentence: str) -> str:
    """Returns a sentence as part of another."""
    return f"{sentence[:1].lower()}{sentence[1:]}".rstrip(".")


def _describe_language() -> str:
    language = TemplateLanguage()
    methods = {kind.__name__: names for kind, names in METHODS.items() if kind in (str, list, dict)}
    rows = [
        ("statements", _code(("if", "for", "set", "with", "raw"))),
        ("operators", _code(("+ - * / // %", "~", "== != < <= > >=", "and or not", "in", "is", "x if y else z"))),
        ("filters", _code(sorted(language.filter_names))),
        ("tests (`is`)", _code(sorted(name for name in language.tests if name.isalpha()))),
        ("methods of a text", _code(sorted(methods["str"]))),
        ("of an object", _code(sorted(methods["dict"]))),
        ("of a list", _code(sorted(methods["list"]))),
        ("function", "`range`"),
    ]
    return _table(("what", "which"), rows)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(fill_page(PAGE.read_text("utf-8")), "utf-8")
