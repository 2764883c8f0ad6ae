"""An argument of an action: how it is declared, and how its value is read.

A value is JSON after its templates are rendered, so what stands for a number or a flag may also be a text that
says it. An argument that is null or an empty text is as good as absent.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

from shared.domain.errors import Permanent

Kind = Literal["text", "number", "flag", "texts", "object", "json"]

# How a message names each kind.
KIND_WORDS: dict[Kind, str] = {
    "text": "a text",
    "number": "a whole number",
    "flag": "true or false",
    "texts": "a list of texts",
    "object": "an object",
    "json": "any JSON",
}
MAX_NUMBER = 2**53


class Argument(NamedTuple):
    """One argument of an action.

    Attributes:
        name: its key below ``with``.
        description: for a person; the default, where there is one, is part of it.
        kind: what its value is. ``texts`` is a list, or one text with commas between.
        is_required: the action cannot do without it.
        is_from_subject: the subject's own value stands in for one that is absent; a step must give a required one
            only where the subject has none.
        choices: the only values there are; none when it is free.
    """

    name: str
    description: str
    kind: Kind = "text"
    is_required: bool = False
    is_from_subject: bool = False
    choices: tuple[str, ...] = ()


class Output(NamedTuple):
    """What later steps may use: ``{{ steps.<id>.<name> }}``."""

    name: str
    description: str


class ActionDeclaration(NamedTuple):
    """An action as its users see it.

    Attributes:
        summary: what it does, a line.
        arguments: what it takes, the important first.
        once: how it is kept from happening twice.
        outputs: what it gives, beside the ``url``, ``status`` and ``error`` that every step has.
        one_of: at least one of these arguments must be given.
    """

    summary: str
    arguments: tuple[Argument, ...]
    once: str
    outputs: tuple[Output, ...] = ()
    one_of: tuple[str, ...] = ()

    def find(self, name: str) -> Argument | None:
        """Returns the argument of that name, or None."""
        return next((each for each in self.arguments if each.name == name), None)


def is_absent(value: object) -> bool:
    """Tells whether a value counts as not given: null, or an empty text."""
    return value is None or (isinstance(value, str) and not value.strip())


def read_value(action: str, argument: Argument, value: Any) -> Any:  # noqa: ANN401 - JSON is anything
    """Returns the value as the argument's kind has it. Raises Permanent."""
    read = _READERS[argument.kind](value)
    if read is None or (argument.choices and read not in argument.choices):
        expected = f"one of {', '.join(argument.choices)}" if argument.choices else KIND_WORDS[argument.kind]
        hint = suggest(value, argument.choices) if isinstance(value, str) else ""
        raise Permanent(f"{action} wants {expected} as {argument.name!r}, not {_shorten(value)}{hint}")
    return read


def suggest(name: str, known: Sequence[str]) -> str:
    """Returns ``: did you mean 'labels'?``, or nothing when no known name is near."""
    near = get_close_matches(name, known, n=1)
    return f": did you mean {near[0]!r}?" if near else ""


def _read_text(value: object) -> str | None:
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _read_number(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        value = int(value.strip()[:17])
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and 0 < value <= MAX_NUMBER else None  # type: ignore[operator,return-value] # just tested


def _read_flag(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _read_texts(value: object) -> list[str] | None:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        return None
    texts = [_read_text(part) for part in parts]
    if None in texts:
        return None
    named = [text for text in texts if text]
    # In order, each once; none at all is no list worth giving.
    return list(dict.fromkeys(named)) or None


def _read_object(value: object) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _read_json(value: object) -> object:
    return value


_READERS = {
    "text": _read_text,
    "number": _read_number,
    "flag": _read_flag,
    "texts": _read_texts,
    "object": _read_object,
    "json": _read_json,
}


def _shorten(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."  # noqa: PLR2004 - a line in a log
