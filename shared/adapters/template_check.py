"""What is wrong with a template, found before it is rendered."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from jinja2 import TemplateSyntaxError, nodes

from shared.adapters.template_language import TemplateLanguage
from shared.domain.pattern_operators import find_nearest, show_value

MAX_SOURCE_CHARACTERS: Final = 100_000
MAX_NODES: Final = 5_000

_LANGUAGE: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Assign, nodes.With, nodes.Name,
    nodes.Const, nodes.List, nodes.Tuple, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test,
    nodes.Call, nodes.Keyword, nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add,
    nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat, nodes.Compare, nodes.Operand,
)  # fmt: skip
_NAMES_OF_JINJA: Final = ("self", "super", "caller", "varargs", "kwargs")


class TemplateFault(NamedTuple):
    """A fault of a template; ``line`` is counted from 1 in the template itself."""

    line: int
    expected: str
    found: str
    suggestion: str = ""


def parse_template(language: TemplateLanguage, text: str) -> nodes.Template:
    """Returns a template ready to be compiled. Raises TemplateSyntaxError."""
    parsed = _parse(language, text)
    for fault in _find_strange(language, parsed):
        hint = f"; did you mean {fault.suggestion}?" if fault.suggestion else ""
        raise TemplateSyntaxError(f"expected {fault.expected}, found {fault.found}{hint}", fault.line)
    language.count_loops(parsed)
    return parsed


def find_template_faults(
    language: TemplateLanguage,
    text: str,
    names: Collection[str],
    steps: Mapping[str, Collection[str] | None],
    later: Collection[str] = (),
) -> list[TemplateFault]:
    """Returns every fault of a template.

    Args:
        language: what it is written in.
        text: the template.
        names: what its context holds.
        steps: the steps before with their outputs; None: not known.
        later: names of the steps that are not before.
    """
    if "{" not in text:
        return []
    try:
        parsed = _parse(language, text)
    except TemplateSyntaxError as error:
        return [TemplateFault(error.lineno, "a template", error.message or "something else")]
    faults = list(_find_strange(language, parsed))
    faults += _find_unknown_names(language, parsed, names)
    faults += _find_unknown_steps(parsed, steps, later)
    return sorted(set(faults))


def _parse(language: TemplateLanguage, text: str) -> nodes.Template:
    if len(text) > MAX_SOURCE_CHARACTERS:
        raise TemplateSyntaxError(f"a template of over {MAX_SOURCE_CHARACTERS} characters", 1)
    try:
        return language.parse(text)
    except RecursionError:
        raise TemplateSyntaxError("a template that is nested too deep", 1) from None


def _find_strange(language: TemplateLanguage, parsed: nodes.Template) -> Iterator[TemplateFault]:
    """Yields what is not in the language."""
    for count, node in enumerate(_walk(parsed)):
        if count >= MAX_NODES:
            yield TemplateFault(1, f"at most {MAX_NODES} parts", "more")
            return
        if not isinstance(node, _LANGUAGE) or (isinstance(node, nodes.For) and node.recursive):
            word = type(node).__name__.lower()
            yield TemplateFault(node.lineno, "text, {{ ... }}, if, for, set or with", f"Jinja2's {word}")
        elif isinstance(node, nodes.Name) and node.name in _NAMES_OF_JINJA:
            yield TemplateFault(node.lineno, "a name of the delivery's document", show_value(node.name))
        elif isinstance(node, nodes.Filter) and node.name not in language.filter_names:
            yield _unknown(node.lineno, "filter", node.name, language.filter_names)
        elif isinstance(node, nodes.Test) and node.name not in language.tests:
            yield _unknown(node.lineno, "test", node.name, language.tests)


def _unknown(line: int, kind: str, name: str, known: Collection[str]) -> TemplateFault:
    article = "one of the " + kind + "s"
    return TemplateFault(line, f"{article} {', '.join(known)}", show_value(name), find_nearest(name, known))


def _find_unknown_names(
    language: TemplateLanguage, parsed: nodes.Template, names: Collection[str]
) -> Iterator[TemplateFault]:
    known = {*names, *language.globals, "loop"}
    known |= {name.name for name in parsed.find_all(nodes.Name) if name.ctx != "load"}
    # Who asks whether a name is there, or says what stands in for it, knows that it may be missing.
    for asked in (*parsed.find_all(nodes.Test), *parsed.find_all(nodes.Filter)):
        if asked.name in ("defined", "undefined", "default", "d") and isinstance(asked.node, nodes.Name):
            known.add(asked.node.name)
    for name in parsed.find_all(nodes.Name):
        if name.name not in known and name.name not in _NAMES_OF_JINJA:
            expected = f"one of {', '.join(sorted(names))}"
            yield TemplateFault(name.lineno, expected, show_value(name.name), find_nearest(name.name, names))


def _find_unknown_steps(
    parsed: nodes.Template, steps: Mapping[str, Collection[str] | None], later: Collection[str]
) -> Iterator[TemplateFault]:
    for node in parsed.find_all((nodes.Getattr, nodes.Getitem)):
        match _split(node):
            case nodes.Name(name="steps"), step if step not in steps:
                expected = f"a step before this one: {', '.join(steps) or 'there is none'}"
                found = f"the later step {show_value(step)}" if step in later else f"no step {show_value(step)}"
                yield TemplateFault(node.lineno, expected, found, find_nearest(step, steps))
            case (nodes.Getattr() | nodes.Getitem()) as holder, output:
                match _split(holder):
                    case nodes.Name(name="steps"), step:
                        outputs = steps.get(step)
                        if outputs is not None and output not in outputs:
                            expected = f"one of the outputs {', '.join(outputs)}"
                            suggestion = find_nearest(output, outputs)
                            yield TemplateFault(node.lineno, expected, show_value(output), suggestion)


def _split(node: nodes.Node) -> tuple[nodes.Node, str] | None:
    """Returns what a member is taken of, and the member's name where it is written out."""
    if isinstance(node, nodes.Getattr):
        return node.node, node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return node.node, node.arg.value
    return None


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack += node.iter_child_nodes()
