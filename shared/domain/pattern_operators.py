"""The operators of an event pattern: each becomes one test of a value and the words that name it.

What they mean: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
What makes one faulty: ``JsonRuleCompiler`` in https://github.com/aws/event-ruler
"""

import difflib
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Final, NamedTuple

SHOWN_CHARACTERS: Final = 80

# The longest IPv6 address with a zone is shorter; what is longer is not worth parsing.
_ADDRESS_CHARACTERS: Final = 64
_COMPARISONS: Final = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_WORD: Final = re.compile(r"[\w /.:@#-]{,78}", re.ASCII).fullmatch

Test = Callable[[object], bool]


class PatternError(ValueError):
    """A pattern is faulty and whoever wrote it must mend it.

    Attributes:
        path: the dotted key path of the fault, as in ``match.check_run.name[0].wildcard``; empty: all of it.
        expected: what is wanted there.
        found: what is there, in at most 80 ASCII characters.
        suggestion: what was probably meant, or an empty string.
    """

    def __init__(self, path: str, expected: str, found: str, suggestion: str = "") -> None:
        hint = f"; did you mean {suggestion}?" if suggestion else ""
        place = f"{path}: " if path else ""
        super().__init__(f"{place}expected {expected}, found {found}{hint}")
        self.path = path
        self.expected = expected
        self.found = found
        self.suggestion = suggestion


class Condition(NamedTuple):
    """One compiled operator.

    Attributes:
        wants: the words that name it, ASCII.
        test: tells whether a plain value (no array, no object) satisfies it.
        absent: whether a field without any plain value satisfies it.
    """

    wants: str
    test: Test
    absent: bool = False


def compile_operator(expression: Mapping[object, object], path: str) -> Condition:
    """Compiles an operator such as ``{"prefix": "feat/"}``.

    Raises:
        PatternError: the operator is unknown or its argument is faulty.
    """
    if len(expression) != 1:
        raise PatternError(path, "an object with exactly one operator", show_source(expression))
    name, argument = next(iter(expression.items()))
    if not isinstance(name, str) or name not in OPERATORS:
        expected = f"one of the operators {', '.join(OPERATORS)}"
        raise PatternError(path, expected, show_source(name), find_nearest(name, OPERATORS))
    return OPERATORS[name](argument, f"{path}.{name}")


def show_value(value: object) -> str:
    """Returns a document's value as ASCII JSON of at most 80 characters, an array as its plain values."""
    if isinstance(value, dict):
        return "an object"
    if not isinstance(value, list):
        return _show_plain(value)
    shown = ""
    for element in iterate_elements(value):
        if isinstance(element, dict):
            continue
        shown += f", {_show_plain(element)}" if shown else _show_plain(element)
        if len(shown) > SHOWN_CHARACTERS:
            break
    if value and not shown:
        return "an array without plain values"
    return cut_text(f"[{shown}]", SHOWN_CHARACTERS)


def show_source(value: object) -> str:
    """Returns a part of a pattern for an error message, ASCII and at most 80 characters."""
    if isinstance(value, Mapping):
        keys = ", ".join(map(show_source, value))
        return cut_text(f"an object with {keys}" if keys else "an empty object", SHOWN_CHARACTERS)
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None or isinstance(value, str | int | float):
        return _show_plain(value)
    return cut_text(f"{type(value).__name__} {_show_plain(str(value))}", SHOWN_CHARACTERS)


def cut_text(text: str, characters: int) -> str:
    """Returns the text, or its beginning and three dots when it has more characters than that."""
    return text if len(text) <= characters else text[: characters - 3] + "..."


def iterate_elements(array: list[object]) -> Iterator[object]:
    """Yields an array's elements and, in their place, those of the arrays in it, at any depth.

    EventBridge ignores how arrays nest: "JSON Array Matching" in the Ruler's README.
    """
    stack = [iter(array)]
    while stack:
        for element in stack[-1]:
            if isinstance(element, list):
                stack.append(iter(element))
                break
            yield element
        else:
            stack.pop()


def is_number(value: object) -> bool:
    """Tells whether a pattern's value is a number that JSON can write: finite and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_comparison(value: object) -> bool:
    """Tells whether a pattern's value is a comparison of the numeric operator."""
    return isinstance(value, str) and value in _COMPARISONS


def _show_plain(value: object) -> str:
    # Most values are a plain word, which need not go through the encoder.
    if isinstance(value, str) and _WORD(value):
        return f'"{value}"'
    text = json.dumps(value[:SHOWN_CHARACTERS] if isinstance(value, str) else value)
    return cut_text(text, SHOWN_CHARACTERS)


def find_nearest(name: object, names: Iterable[str]) -> str:
    """Returns the name that was probably meant, in quotes, or an empty text when none is near."""
    near = difflib.get_close_matches(str(name), names, n=1)
    return show_value(near[0]) if near else ""


def _require_text(argument: object, path: str) -> str:
    if not isinstance(argument, str):
        raise PatternError(path, "a string", show_source(argument))
    return argument


def _compile_affix(name: str, has_affix: Callable[[str, str], bool], argument: object, path: str) -> Condition:
    if not isinstance(argument, Mapping):
        text = _require_text(argument, path)
        return Condition(f"{name} {show_value(text)}", lambda value: isinstance(value, str) and has_affix(value, text))
    if list(argument) != ["equals-ignore-case"]:
        expected = 'a string or {"equals-ignore-case": a string}'
        suggestion = find_nearest(next(iter(argument), ""), ["equals-ignore-case"])
        raise PatternError(path, expected, show_source(argument), suggestion)
    text = _require_text(argument["equals-ignore-case"], f"{path}.equals-ignore-case")
    folded = text.casefold()
    return Condition(
        f"{name} {show_value(text)} ignoring case",
        lambda value: isinstance(value, str) and has_affix(value.casefold(), folded),
    )


def _compile_prefix(argument: object, path: str) -> Condition:
    return _compile_affix("prefix", str.startswith, argument, path)


def _compile_suffix(argument: object, path: str) -> Condition:
    return _compile_affix("suffix", str.endswith, argument, path)


def _compile_equals_ignore_case(argument: object, path: str) -> Condition:
    text = _require_text(argument, path)
    folded = text.casefold()
    return Condition(
        f"{show_value(text)} ignoring case",
        lambda value: isinstance(value, str) and value.casefold() == folded,
    )


def _compile_wildcard(argument: object, path: str) -> Condition:
    text = _require_text(argument, path)
    pieces = re.findall(r"\\[*\\]|\*+|[^*\\]+|\\", text)
    mended = "".join("\\\\" if piece == "\\" else "*" if piece[0] == "*" else piece for piece in pieces)
    if mended != text:
        expected = "no two * in a row and no backslash but in \\* or \\\\"
        raise PatternError(path, expected, show_value(text), show_value(mended))
    segments = [""]
    for piece in pieces:
        if piece == "*":
            segments.append("")
        else:
            segments[-1] += piece.removeprefix("\\")
    return Condition(f"wildcard {show_value(text)}", match_segments(segments))


def match_segments(segments: list[str]) -> Test:
    """Returns a test that finds the texts between the wildcards in order, each at its first place.

    The first place is never worse than a later one, so nothing is tried twice and the time is linear.
    """
    first, last, middle = segments[0], segments[-1], segments[1:-1]
    if len(segments) == 1:
        return lambda value: value == first
    shortest = sum(map(len, segments))

    def test(value: object) -> bool:
        if not isinstance(value, str) or len(value) < shortest:
            return False
        if not value.startswith(first) or not value.endswith(last):
            return False
        position, end = len(first), len(value) - len(last)
        for segment in middle:
            position = value.find(segment, position, end)
            if position < 0:
                return False
            position += len(segment)
        return True

    return test


def _compile_anything_but(argument: object, path: str) -> Condition:
    if isinstance(argument, Mapping):
        return _compile_anything_but_operator(argument, path)
    excluded = argument if isinstance(argument, list) else [argument]
    texts = [item for item in excluded if isinstance(item, str)]
    numbers = [item for item in excluded if is_number(item)]
    if not excluded or excluded not in (texts, numbers):
        expected = f"a string, a number, a list of only one of them, or one of {', '.join(_EXCLUDABLE)}"
        found = "a list of something else" if len(excluded) > 1 else show_source(argument)
        raise PatternError(path, expected, found)
    wants = f"anything but {', '.join(map(show_value, excluded))}"
    values = frozenset(excluded)
    if texts:
        return Condition(wants, lambda value: value not in values)
    # True equals 1 in Python and not in JSON.
    return Condition(wants, lambda value: isinstance(value, bool) or value not in values)


def _compile_anything_but_operator(expression: Mapping[object, object], path: str) -> Condition:
    name = next(iter(expression), None)
    if len(expression) != 1 or not isinstance(name, str) or name not in _EXCLUDABLE:
        expected = f"exactly one of {', '.join(_EXCLUDABLE)}"
        raise PatternError(path, expected, show_source(expression), find_nearest(name, _EXCLUDABLE))
    path = f"{path}.{name}"
    argument = expression[name]
    excluded = argument if isinstance(argument, list) else [argument]
    if not excluded:
        raise PatternError(path, "a string or a list of strings", "an empty list")
    texts = [_require_text(item, path) for item in excluded]
    if "" in texts and name in ("prefix", "suffix"):
        raise PatternError(path, f"a {name} of at least one character", '""')
    tests = [_EXCLUDABLE[name](text, path).test for text in texts]
    return Condition(
        f"anything but {name} {', '.join(map(show_value, texts))}",
        lambda value: not any(test(value) for test in tests),
    )


def _compile_numeric(argument: object, path: str) -> Condition:
    if not isinstance(argument, list) or len(argument) not in (2, 4):
        expected = 'one or two comparisons with a number, as in [">", 0, "<=", 5]'
        raise PatternError(path, expected, show_source(argument))
    pairs = list(zip(argument[::2], argument[1::2], strict=True))
    for comparison, bound in pairs:
        if not is_comparison(comparison):
            raise PatternError(path, "one of = < <= > >=", show_source(comparison))
        if not is_number(bound):
            raise PatternError(path, "a number", show_source(bound))
    texts = [f"{comparison} {show_value(bound)}" for comparison, bound in pairs]
    if len(pairs) > 1 and not (pairs[0][0] in (">", ">=") and pairs[1][0] in ("<", "<=") and pairs[0][1] < pairs[1][1]):
        expected = "a lower bound with > or >=, then a larger upper bound with < or <="
        raise PatternError(path, expected, " ".join(texts))
    checks = [(_COMPARISONS[comparison], bound) for comparison, bound in pairs]

    def test(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return all(compare(value, bound) for compare, bound in checks)

    return Condition(f"numeric {' and '.join(texts)}", test)


def _compile_exists(argument: object, path: str) -> Condition:
    if not isinstance(argument, bool):
        raise PatternError(path, "true or false", show_source(argument))
    return Condition("exists" if argument else "missing", lambda _: argument, absent=not argument)


def _compile_cidr(argument: object, path: str) -> Condition:
    text = _require_text(argument, path)
    expected = "an IPv4 or IPv6 network, as in 10.0.0.0/24"
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise PatternError(path, expected, show_value(text)) from None
    address, _, bits = text.partition("/")
    # The Ruler lets 10.0.0.5/24 begin at .5 and most tools at .0: only what all read alike is taken.
    if not bits.isdecimal() or ip_address(address) != network.network_address:
        raise PatternError(path, expected, show_value(text), show_value(str(network)))

    def test(value: object) -> bool:
        if not isinstance(value, str) or len(value) > _ADDRESS_CHARACTERS:
            return False
        try:
            return ip_address(value) in network
        except ValueError:
            return False

    return Condition(f"cidr {network}", test)


OPERATORS: Final[Mapping[str, Callable[[object, str], Condition]]] = {
    "prefix": _compile_prefix,
    "suffix": _compile_suffix,
    "equals-ignore-case": _compile_equals_ignore_case,
    "wildcard": _compile_wildcard,
    "anything-but": _compile_anything_but,
    "numeric": _compile_numeric,
    "exists": _compile_exists,
    "cidr": _compile_cidr,
}
_EXCLUDABLE: Final = {name: OPERATORS[name] for name in ("prefix", "suffix", "equals-ignore-case", "wildcard")}
