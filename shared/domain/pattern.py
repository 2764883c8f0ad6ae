"""Event patterns in Amazon EventBridge's language, matched against a parsed payload and explained.

The language is documented at
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html (beside it
``eb-event-patterns-arrays.html`` and ``eb-event-patterns-null-values.html``); where that is silent, by
https://github.com/aws/event-ruler, the matcher that EventBridge runs. In short: all fields of an object must
hold; a leaf is a list of values and operators, of which one must hold; of an array in the document one
element must; a missing field satisfies ``exists: false`` and nothing else. Operators see plain values: a
field with an object or an empty array in it is no leaf, so it counts as missing.

Known differences:

* Numbers are compared by value. EventBridge compares a literal's text, so that 300 and 3.0e2 are not equal
  there; a parsed document no longer has that text. Nor are numbers held to 5e9: GitHub's ids are larger.
* One element of an array of objects must satisfy the whole nested pattern. The Ruler does the same, except
  that it may look for a missing field in all elements, depending on how the fields are named.
* A dot in a field's name is a part of the name; the Ruler takes it for nesting, and advises against its use.
* A pattern without any field is an error at EventBridge; here it matches everything.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Final, NamedTuple

from shared.domain.pattern_clauses import (
    Either,
    Every,
    Leaf,
    Nested,
    Part,
    describe_failure,
    iterate_findings,
)
from shared.domain.pattern_operators import (
    OPERATORS,
    Condition,
    PatternError,
    compile_operator,
    cut_text,
    is_comparison,
    is_number,
    show_source,
    show_value,
)

__all__ = ["Answer", "Clause", "Pattern", "PatternError", "compile_pattern", "find_pattern_faults"]

# Far above any real pattern; they stop a file whose YAML aliases unfold without end.
MAX_DEPTH: Final = 100
MAX_CLAUSES: Final = 1_000
MAX_FAULTS: Final = 50

_BECAUSE_CHARACTERS: Final = 500
_WANTS_CHARACTERS: Final = 200
_PLAIN: Final = (str, int, float, bool, type(None))


class Answer(NamedTuple):
    """Whether a document matches, and in ASCII why: the first clause that failed with the value seen."""

    matched: bool
    because: str


class Clause(NamedTuple):
    """One leaf of a pattern held against a document; all texts are ASCII.

    Attributes:
        path: the field's dotted path, without array indexes.
        wants: what the pattern wants there.
        seen: the value as JSON, of at most 80 characters, or in words (``missing``, ``an object``).
        matched: whether it is what is wanted.
        alternatives: the alternatives of ``$or`` around the leaf, outermost first: ``("$or[1]",)``.
    """

    path: str
    wants: str
    seen: str
    matched: bool
    alternatives: tuple[str, ...] = ()


class Pattern:
    """A compiled pattern; immutable, so it may be kept and shared."""

    __slots__ = ("_clauses", "_success")

    def __init__(self, clauses: Every) -> None:
        self._clauses = clauses
        self._success = Answer(matched=True, because="all clauses matched" if clauses.parts else "no clauses")

    def explain(self, document: Mapping[str, object]) -> Answer:
        """Tells whether a document from ``json.loads`` matches and, if not, which clause failed first."""
        failure = self._clauses.find_failure(document)
        if failure is None:
            return self._success
        return Answer(matched=False, because=cut_text(describe_failure(failure), _BECAUSE_CHARACTERS))

    def clauses(self, document: Mapping[str, object]) -> list[Clause]:
        """Returns every leaf held against the document, in the pattern's order.

        Of an array of objects it is the first element that matches, else the one that comes closest.
        """
        return [
            Clause(
                finding.leaf.path,
                finding.leaf.wants,
                finding.show_seen(),
                finding.matched,
                finding.leaf.alternatives,
            )
            for finding in iterate_findings(self._clauses.inspect(document))
        ]


def compile_pattern(pattern: Mapping[str, object], *, path: str = "match") -> Pattern:
    """Compiles a pattern as it comes from JSON or YAML.

    Args:
        pattern: the pattern.
        path: where it stands in its file, for errors.

    Raises:
        PatternError: the pattern is faulty; the first fault is named.
    """
    compiler = _Compiler()
    clauses = compiler.compile(pattern, path)
    for fault in compiler.faults:
        raise fault
    return Pattern(clauses)


def find_pattern_faults(pattern: object, *, path: str = "match") -> list[PatternError]:
    """Returns every fault of a pattern, in its order; none when it can be compiled."""
    compiler = _Compiler()
    compiler.compile(pattern, path)
    return compiler.faults


class _Endless(PatternError):
    """The pattern is beyond a limit, and is not looked at any further."""


class _Place(NamedTuple):
    """Where a part of a pattern looks in documents, the alternatives around it, and how deep it is nested."""

    path: str = ""
    alternatives: tuple[str, ...] = ()
    depth: int = 0

    def name(self, key: str) -> str:
        shown = show_value(key)[1:].removesuffix('"')
        return f"{self.path}.{shown}" if self.path else shown


class _Compiler:
    """Compiles one pattern; `path` is always the place in its file and `place` the one in documents.

    A faulty part is left out and its fault kept, so that all are found at once.
    """

    def __init__(self) -> None:
        self.faults: list[PatternError] = []
        self._clauses = 0

    def compile(self, pattern: object, path: str) -> Every:
        if not isinstance(pattern, Mapping):
            self.faults.append(PatternError(path, "an object of fields", show_source(pattern)))
            return Every(())
        try:
            return self.compile_fields(pattern, path, _Place())
        except _Endless as fault:
            self.faults.append(fault)
            return Every(())

    def compile_fields(self, fields: Mapping[str, object], path: str, place: _Place) -> Every:
        if place.depth > MAX_DEPTH:
            raise _Endless(cut_text(path, _BECAUSE_CHARACTERS), f"at most {MAX_DEPTH} levels", "more")
        parts = []
        for key, value in fields.items():
            with self._keeping_faults():
                parts.append(self._compile_field(key, value, path, place))
        return Every(tuple(parts))

    @contextmanager
    def _keeping_faults(self) -> Iterator[None]:
        try:
            yield
        except _Endless:
            raise
        except PatternError as fault:
            self.faults.append(fault)
            if len(self.faults) > MAX_FAULTS:
                raise _Endless(fault.path, f"at most {MAX_FAULTS} faults", "more") from None

    def _compile_field(self, key: object, value: object, path: str, place: _Place) -> Part:
        if not isinstance(key, str):
            raise PatternError(path, "field names in quotes", show_source(key))
        name = place.name(key)
        if key == "$or":
            return self._compile_either(value, f"{path}.$or", place)
        if _is_operator(key, value):
            suggestion = f'[{{"{key}": {show_source(value) if isinstance(value, _PLAIN) else "..."}}}]'
            expected = "a list of values and operators"
            raise PatternError(path, expected, f'the operator "{key}" without a list', suggestion)
        path = f"{path}.{_Place().name(key)}"
        if place.alternatives and key in OPERATORS:
            raise PatternError(path, "a field; EventBridge reserves the operators' names in $or", "an operator")
        if isinstance(value, list):
            return self._compile_leaf(key, value, path, place._replace(path=name))
        if isinstance(value, Mapping):
            return Nested(key, self._compile_object(value, path, place._replace(path=name)))
        suggestion = f"[{show_source(value)}]" if isinstance(value, _PLAIN) else ""
        raise PatternError(path, "a list of values or an object of fields", show_source(value), suggestion)

    def _compile_object(self, value: object, path: str, place: _Place) -> Every:
        if not isinstance(value, Mapping) or not value:
            raise PatternError(path, "an object with at least one field", show_source(value))
        return self.compile_fields(value, path, place._replace(depth=place.depth + 1))

    def _compile_either(self, value: object, path: str, place: _Place) -> Either:
        if not isinstance(value, list) or len(value) < 2:  # noqa: PLR2004 - one alternative is none
            found = "a list of one" if isinstance(value, list) and value else show_source(value)
            raise PatternError(path, "a list of at least two patterns", found)
        name = place.name("$or")
        parts = []
        for index, alternative in enumerate(value):
            inner = place._replace(alternatives=(*place.alternatives, f"{name}[{index}]"))
            with self._keeping_faults():
                parts.append(self._compile_object(alternative, f"{path}[{index}]", inner))
        return Either(name, tuple(parts))

    def _compile_leaf(self, key: str, values: list[object], path: str, place: _Place) -> Leaf:
        self._clauses += 1
        if self._clauses > MAX_CLAUSES:
            raise _Endless(path, f"at most {MAX_CLAUSES} clauses", "more")
        if not values:
            raise PatternError(path, "at least one value", "an empty list")
        literals: list[object] = []
        conditions: list[Condition] = []
        for index, value in enumerate(values):
            with self._keeping_faults():
                if isinstance(value, Mapping):
                    conditions.append(compile_operator(value, f"{path}[{index}]"))
                elif value is None or isinstance(value, str | bool) or is_number(value):
                    literals.append(value)
                else:
                    expected = "a string, a number, true, false, null or an operator"
                    # YAML reads a bare 2017-10-02 as a date.
                    suggestion = show_value(value.isoformat()) if isinstance(value, date) else ""
                    raise PatternError(f"{path}[{index}]", expected, show_source(value), suggestion)
        return Leaf(
            key=key,
            path=place.path,
            wants=_name_wants(literals, conditions),
            literals=_group_literals(literals),
            tests=tuple(condition.test for condition in conditions),
            absent=any(condition.absent for condition in conditions),
            alternatives=place.alternatives,
        )


def _is_operator(key: str, value: object) -> bool:
    """Tells whether a field is rather an operator whose list was forgotten."""
    if key == "numeric":
        return isinstance(value, list) and bool(value) and is_comparison(value[0])
    return key == "anything-but" or (key in OPERATORS and not isinstance(value, list | Mapping))


def _name_wants(literals: list[object], conditions: list[Condition]) -> str:
    shown = ", ".join(map(show_value, literals))
    words = [f"one of {shown}" if len(literals) > 1 else shown] if literals else []
    return cut_text(" or ".join([*words, *(condition.wants for condition in conditions)]), _WANTS_CHARACTERS)


def _group_literals(literals: list[object]) -> dict[type, frozenset[object]]:
    """Returns the literals by the type of the values they equal."""
    numbers = frozenset(value for value in literals if is_number(value))
    kinds: dict[type, frozenset[object]] = {int: numbers, float: numbers}
    for kind in (str, bool, type(None)):
        kinds[kind] = frozenset(value for value in literals if isinstance(value, kind))
    return {kind: values for kind, values in kinds.items() if values}
