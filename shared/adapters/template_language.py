"""The language of templates: a small part of Jinja2, bounded in time and memory.

Jinja2's sandbox keeps a template from Python's insides; it does not keep it from ``'a' * 10**9``, from loops in loops
or from a filter that makes much of little. So only what a step's text needs is left of the language, and whatever
makes or walks through something is counted.
https://jinja.palletsprojects.com/en/stable/sandbox/
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from functools import wraps
from itertools import islice
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateRuntimeError, Undefined, nodes, pass_context, pass_environment
from jinja2.compiler import CodeGenerator, Frame, operators
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from shared.domain.prompt import Trusted, fence, is_harmless

MAX_TEXT_CHARACTERS: Final = 200_000
MAX_ITEMS: Final = 10_000
# Of one step: turns of loops, operators, filters and calls, and a part of the characters and items they go through.
MAX_WORK: Final = 200_000
MAX_INTEGER_BITS: Final = 256


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FILTERS: Final = _words(
    "abs capitalize count d default dictsort first float int items last length list lower map max min reject "
    "rejectattr reverse select selectattr sort title trim truncate unique upper urlencode"
)
_TESTS: Final = _words(
    "boolean defined divisibleby eq equalto even false float ge gt greaterthan in integer iterable le lessthan lower "
    "lt mapping ne none number odd sequence string true undefined upper == != > >= < <="
)
METHODS: Final[Mapping[type, frozenset[str]]] = {
    str: _words(
        "capitalize casefold count endswith find isdigit lower lstrip partition removeprefix removesuffix rfind "
        "rpartition rsplit rstrip split splitlines startswith strip title upper"
    ),
    dict: _words("get items keys values"),
    list: _words("count index"),
    LoopContext: _words(
        "changed cycle depth depth0 first index index0 last length nextitem previtem revindex revindex0"
    ),
}


class TooMuch(TemplateRuntimeError):
    """The template makes or does more than it may."""


@dataclass(slots=True)
class Work:
    """One step's rendering under way.

    Attributes:
        names: what its context holds.
        ours: texts of the context that need no fence.
        is_prompt: whether what is filled into the present text is fenced.
        has_fence: whether anything was fenced in it.
        left: what the step's texts may still do.
    """

    names: Sequence[str] = ()
    ours: frozenset[str] = frozenset()
    is_prompt: bool = False
    has_fence: bool = False
    left: int = MAX_WORK


# A rendering's own, in whichever thread. Without one, as when Jinja2 compiles, nothing is computed ahead.
under_way: ContextVar[Work] = ContextVar("under_way")


def _spend(amount: int) -> None:
    work = under_way.get()
    work.left -= amount
    if work.left < 0:
        raise TooMuch(f"it does more than a template may: over {MAX_WORK} operations")


def _bound(value: Any) -> Any:  # noqa: ANN401 - a template's value is anything
    """Counts a value that was made, and returns it; an iterator as a list."""
    if isinstance(value, Iterator):
        value = list(islice(value, MAX_ITEMS + 1))
    if isinstance(value, str):
        if len(value) > MAX_TEXT_CHARACTERS:
            raise TooMuch(f"it makes a text of over {MAX_TEXT_CHARACTERS} characters")
        _spend(1 + len(value) // 64)
    elif isinstance(value, list | tuple):
        if len(value) > MAX_ITEMS:
            raise TooMuch(f"it makes a list of over {MAX_ITEMS} items")
        _spend(1 + len(value) // 64)
    else:
        if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
            raise TooMuch(f"it makes a number of over {MAX_INTEGER_BITS} bits")
        _spend(1)
    return value


def _spend_on(operand: Any) -> None:  # noqa: ANN401 - a template's value is anything
    """Counts what it takes to go through an operand."""
    _spend(1 + (len(operand) // 16 if isinstance(operand, list | tuple | dict) else 0))


def to_text(value: Any) -> str:  # noqa: ANN401 - a template's value is anything
    """Returns a value as templates write it: texts and numbers as they are, the rest as JSON."""
    if isinstance(value, Undefined):
        return str(value)  # raises, but for an `if` without `else`, which is empty
    if isinstance(value, str):
        return value
    if isinstance(value, float | int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, dict | list | tuple | bool | None):
        return str(_bound(json.dumps(value, ensure_ascii=False)))
    raise TooMuch(f"a {type(value).__name__} is no text")


@pass_context
def _finalize(_context: Context, value: Any) -> str:  # noqa: ANN401 - a template's value is anything
    work = under_way.get()
    text = to_text(value)
    if work.is_prompt and not is_harmless(text, work.ours):
        text = _fence(text)
    _spend(1 + len(text) // 64)
    return text


def _fence(value: Any) -> str:  # noqa: ANN401 - a template's value is anything
    under_way.get().has_fence = True
    return fence(to_text(value))


def _trust(value: Any) -> str:  # noqa: ANN401 - a template's value is anything
    under_way.get()
    return Trusted(to_text(value))


@pass_environment
def _join(environment: "TemplateLanguage", value: Any, separator: str = "", attribute: str | None = None) -> str:  # noqa: ANN401 - a template's value is anything
    items = _bound(iter(value))
    if attribute is not None:
        items = [environment.getattr(item, attribute) for item in items]
    return environment.join_texts(items, to_text(separator))


def _replace(value: Any, old: str, new: str, count: int = -1) -> str:  # noqa: ANN401 - a template's value is anything
    text = to_text(value)
    if len(text) + (text.count(old) + 1) * len(new) > 2 * MAX_TEXT_CHARACTERS:
        raise TooMuch(f"it makes a text of over {MAX_TEXT_CHARACTERS} characters")
    return text.replace(old, new, count)


def _indent(value: Any, width: int = 4) -> str:  # noqa: ANN401 - a template's value is anything
    margin = " " * max(0, min(int(width), 40))
    return f"\n{margin}".join(to_text(value).split("\n"))


def _round(value: float, digits: int = 0) -> float:
    return round(value, max(0, min(int(digits), 10)))


def _sum(values: Any) -> float:  # noqa: ANN401 - a template's value is anything
    numbers: list[float] = _bound(iter(values))
    if not all(isinstance(number, int | float) for number in numbers):
        raise TypeError("sum takes numbers only")
    return sum(numbers)


def _range(*bounds: int) -> list[int]:
    numbers = range(*bounds)
    if len(numbers) > MAX_ITEMS:
        raise TooMuch(f"it makes a list of over {MAX_ITEMS} items")
    return list(numbers)


def _each(value: Any) -> list[Any]:  # noqa: ANN401 - a template's value is anything
    items: list[Any] = _bound(iter(value))
    _spend(len(items))
    return items


# What a loop walks through passes here; no template can write a name with a space in it.
_EACH: Final = " each"


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as the filter
        for argument in arguments:
            _spend_on(argument)
        return _bound(function(*arguments, **options))

    return call


class _Missing(StrictUndefined):
    """A name that is not there: an error that names it, and the nearest one that is."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        holder, name = self._undefined_obj, self._undefined_name
        message = super()._undefined_message
        if self._undefined_hint is not None or not isinstance(name, str):
            return message
        known: Sequence[object] = ()
        if holder is missing:
            known = under_way.get().names
        elif isinstance(holder, Mapping):
            known = list(holder)
        near = get_close_matches(name, [each for each in known if isinstance(each, str)], n=1)
        return f"{message}; did you mean {near[0]!r}?" if near else message


class _Generator(CodeGenerator):
    """Jinja2's compiler, with what it leaves uncounted passing through the environment."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja2's name
        self.write("environment.join_texts((")
        for each in node.nodes:
            self.visit(each, frame)
            self.write(", ")
        self.write("))")

    def visit_Operand(self, node: nodes.Operand, frame: Frame) -> None:  # noqa: N802 - Jinja2's name
        self.write(f" {operators[node.op]} environment.count_operand({node.op in ('in', 'notin')}, ")
        self.visit(node.expr, frame)
        self.write(")")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802 - Jinja2's name
        self.write("environment.count_value(")
        super().visit_Getitem(node, frame)
        self.write(")")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802 - Jinja2's name
        self.write("environment.check_flat(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802 - Jinja2's name
        if node.ctx != "load":
            super().visit_Tuple(node, frame)
            return
        self.write("environment.check_flat(")
        super().visit_Tuple(node, frame)
        self.write(")")


class TemplateLanguage(ImmutableSandboxedEnvironment):
    """The environment that templates are compiled and rendered in."""

    code_generator_class = _Generator
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def __init__(self) -> None:
        # Nothing is escaped: what is written is Markdown and prompts, never HTML of ours.
        super().__init__(undefined=_Missing, autoescape=False, finalize=_finalize, cache_size=0)
        own = {"indent": _indent, "join": _join, "replace": _replace, "round": _round, "string": to_text, "sum": _sum}
        own |= {"tojson": lambda value: json.dumps(value, ensure_ascii=False), "fence": _fence, "trusted": _trust}
        known = {name: self.filters[name] for name in _FILTERS} | own
        self.filters = {name: _bounded(each) for name, each in sorted(known.items())} | {_EACH: _each}
        tests: Mapping[str, Any] = self.tests
        self.tests = {name: _bounded(tests[name]) for name in sorted(_TESTS)}
        self.globals = {"range": _range}

    @property
    def filter_names(self) -> list[str]:
        """The filters that templates may use."""
        return [name for name in self.filters if name != _EACH]

    def count_loops(self, template: nodes.Template) -> None:
        """Has every loop of a parsed template counted."""
        for loop in template.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, _EACH, [], [], None, None, lineno=loop.lineno)

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - a template's value is anything
        """Returns a member; of an object its data first, which may have names such as ``items``."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ANN401 - a template's value is anything
        """Tells whether a method may be used: those named here and no other."""
        return any(attr in names for kind, names in METHODS.items() if isinstance(obj, kind))

    def wrap_str_format(self, value: Any) -> None:  # noqa: ANN401 - a template's value is anything
        """Keeps ``format`` a method like any other, which is not among those that may be used."""

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, N805 - Jinja2's names, so that none is taken from a keyword
        """Calls a method or ``range``, and counts what it makes."""
        _spend(1)
        return _bound(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - a template's value is anything
        """Applies an operator to what is small enough for its result."""
        if operator == "%" and isinstance(left, str):
            raise TypeError("% takes numbers only; texts are joined with ~")
        if operator == "*":
            for one, times in ((left, right), (right, left)):
                if isinstance(one, list | tuple):
                    raise TypeError("* takes no lists")
                if isinstance(one, str) and isinstance(times, int) and len(one) * times > MAX_TEXT_CHARACTERS:
                    raise TooMuch(f"it makes a text of over {MAX_TEXT_CHARACTERS} characters")
        return _bound(super().call_binop(context, operator, left, right))

    def join_texts(self, values: Sequence[Any], separator: str = "") -> str:
        """Joins what stands between ``~``."""
        texts = [to_text(value) for value in values]
        if sum(map(len, texts)) + len(separator) * len(texts) > 2 * MAX_TEXT_CHARACTERS:
            raise TooMuch(f"it makes a text of over {MAX_TEXT_CHARACTERS} characters")
        return str(_bound(separator.join(texts)))

    def count_operand(self, is_looked_into: bool, operand: Any) -> Any:  # noqa: ANN401, FBT001 - as compiled
        """Returns what something is compared with; two objects may be compared as deep as they go."""
        _spend_on(operand)
        if isinstance(operand, list | tuple | dict) and not is_looked_into:
            _spend(1_000)
        return operand

    def count_value(self, value: Any) -> Any:  # noqa: ANN401 - a template's value is anything
        """Returns what a subscript gave: a slice is a copy."""
        return _bound(value) if isinstance(value, str | list | tuple) else value

    def check_flat(self, values: Any) -> Any:  # noqa: ANN401 - a list or a tuple
        """Returns a list that was written, which holds no lists: they could be made to unfold without end."""
        if any(isinstance(value, list | tuple) for value in values):
            raise TypeError("a list of lists cannot be written")
        return _bound(values)
