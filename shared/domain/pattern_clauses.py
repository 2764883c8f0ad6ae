"""A compiled pattern's clauses as a tree: held against a document, and what they saw there.

Each part answers two questions: ``find_failure``, quickly, which leaf is the first that fails, if one does;
``inspect``, what every leaf sees.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.domain.pattern_operators import Test, iterate_elements, show_value

_SHOWN_ALTERNATIVES: Final = 3
_MISSING: Final = object()
_NO_FIELDS: Final[Mapping[str, object]] = {}


@dataclass(frozen=True, slots=True)
class Leaf:
    """The list of values and operators that one field is compared with."""

    key: str
    path: str
    wants: str
    literals: Mapping[type, frozenset[object]]
    tests: tuple[Test, ...]
    absent: bool
    alternatives: tuple[str, ...]

    def find_failure(self, document: Mapping[str, object]) -> "Finding | None":
        """Returns what the leaf sees in the object's field; None when that satisfies it."""
        value = document.get(self.key, _MISSING)
        return None if self.accepts(value) else Finding(self, value, matched=False)

    def inspect(self, document: Mapping[str, object]) -> "Finding":
        """Returns what the leaf sees in the object's field."""
        value = document.get(self.key, _MISSING)
        return Finding(self, value, self.accepts(value))

    def accepts(self, value: object) -> bool:
        """Tells whether a field's value, of any type or missing, satisfies the leaf."""
        kind = type(value)
        # By type first: True equals 1 in Python and not in JSON.
        literals = self.literals.get(kind)
        if literals is not None and value in literals:
            return True
        if kind is list:
            # One element is enough, for anything-but as well: ["a", "b"] is anything but "a". AWS's page
            # eb-event-patterns-arrays.html states it for values ("if the intersection ... is non-empty"); the
            # Ruler does it for all operators, since each element is a field of its own (Event.java).
            plain = [each for each in iterate_elements(value) if not isinstance(each, dict)]  # type: ignore[arg-type]
            return any(map(self.accepts, plain)) if plain else self.absent
        if kind is dict or value is _MISSING:
            return self.absent
        for test in self.tests:  # noqa: SIM110 - any() with a generator takes twice the time
            if test(value):
                return True
        return False


@dataclass(frozen=True, slots=True)
class Every:
    """The fields of one object: all must hold."""

    parts: tuple["Part", ...]

    def find_failure(self, document: Mapping[str, object]) -> "Finding | Findings | None":
        """Returns what the first part that fails sees; None when all hold."""
        for part in self.parts:
            failure = part.find_failure(document)
            if failure is not None:
                return failure
        return None

    def inspect(self, document: Mapping[str, object]) -> "Findings":
        """Returns what all parts see in the object."""
        parts = tuple(part.inspect(document) for part in self.parts)
        return Findings(parts, all(part.matched for part in parts))


@dataclass(frozen=True, slots=True)
class Nested:
    """A field whose value is an object, or an array of objects of which one must hold."""

    key: str
    fields: Every

    def find_failure(self, document: Mapping[str, object]) -> "Finding | Findings | None":
        """Returns what the first part that fails sees, of several objects in the closest; None when one holds."""
        value = document.get(self.key)
        if type(value) is dict:
            return self.fields.find_failure(value)
        objects = _list_objects(value)
        failure = None
        for each in objects:
            failure = self.fields.find_failure(each)
            if failure is None:
                return None
        return failure if len(objects) == 1 else self.inspect(document)

    def inspect(self, document: Mapping[str, object]) -> "Findings":
        """Returns what is seen in the field's object, of several in the closest."""
        return _merge([self.fields.inspect(element) for element in _list_objects(document.get(self.key))])


@dataclass(frozen=True, slots=True)
class Either:
    """The alternatives of a ``$or``: one must hold."""

    path: str
    parts: tuple[Every, ...]

    def find_failure(self, document: Mapping[str, object]) -> "Findings | None":
        """Returns the first failure of each alternative; None when one holds."""
        failures = []
        for part in self.parts:
            failure = part.find_failure(document)
            if failure is None:
                return None
            failures.append(failure)
        return Findings(tuple(failures), matched=False, either=self.path)

    def inspect(self, document: Mapping[str, object]) -> "Findings":
        """Returns what all alternatives see in the object."""
        parts = tuple(part.inspect(document) for part in self.parts)
        return Findings(parts, any(part.matched for part in parts), self.path)


Part = Leaf | Nested | Either


def _list_objects(value: object) -> list[Mapping[str, object]]:
    """Returns the objects in a value; what has none is an object without fields."""
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list):
        return [element for element in iterate_elements(value) if isinstance(element, dict)] or [_NO_FIELDS]
    return [_NO_FIELDS]


class Finding(NamedTuple):
    """What a leaf saw; in an array of several objects, in the one element that comes closest."""

    leaf: Leaf
    value: object
    matched: bool
    elements: int = 1

    def show_seen(self) -> str:
        """Returns the value seen, in ASCII."""
        seen = "missing" if self.value is _MISSING else show_value(self.value)
        return seen if self.elements == 1 else f"{seen} in the closest of {self.elements} elements"


class Findings(NamedTuple):
    """What an object's fields saw or, under ``either``, what the alternatives of that ``$or`` saw."""

    parts: tuple["Finding | Findings", ...]
    matched: bool
    either: str = ""


def iterate_findings(findings: Findings) -> Iterator[Finding]:
    """Yields what each leaf saw, in the pattern's order."""
    for part in findings.parts:
        if isinstance(part, Findings):
            yield from iterate_findings(part)
        else:
            yield part


def _merge(elements: Sequence[Findings]) -> Findings:
    """Returns the findings of the element that matches or comes closest, the first of several."""
    if len(elements) == 1:
        return elements[0]
    closest = max(elements, key=_rate)
    return closest if closest.matched else _blend(closest, elements)


def _rate(findings: Findings) -> tuple[bool, int]:
    return findings.matched, sum(finding.matched for finding in iterate_findings(findings))


def _blend(closest: Findings, elements: Sequence[Findings]) -> Findings:
    """Adds to the closest element's failed leaves what the other elements hold there."""
    parts: list[Finding | Findings] = []
    for part, others in zip(closest.parts, zip(*(element.parts for element in elements), strict=True), strict=True):
        if part.matched:
            parts.append(part)
        elif isinstance(part, Findings):
            parts.append(_blend(part, [other for other in others if isinstance(other, Findings)]))
        elif any(other.matched for other in others):
            parts.append(part._replace(elements=len(elements)))
        else:
            values = [other.value for other in others if isinstance(other, Finding)]
            present = [value for value in values if value is not _MISSING]
            parts.append(part._replace(value=present or _MISSING))
    return closest._replace(parts=tuple(parts))


def describe_failure(findings: Finding | Findings) -> str:
    """Returns the sentence that names the first failure."""
    if isinstance(findings, Finding):
        return f"{findings.leaf.path} is {findings.show_seen()}, wants {findings.leaf.wants}"
    failed = [part for part in findings.parts if not part.matched]
    if not findings.either:
        return describe_failure(failed[0])
    sentences = [describe_failure(part) for part in failed[:_SHOWN_ALTERNATIVES]]
    if len(failed) > len(sentences):
        sentences.append(f"{len(failed) - len(sentences)} more")
    return f"no alternative of {findings.either} matched: {'; '.join(sentences)}"
