"""A YAML file as values that know their places; read safely, whatever somebody wrote.

YAML 1.2, so that the key ``on`` is a word and not a truth value. Only plain values are built: no tag makes an object,
and aliases may not unfold without end.
https://yaml.dev/doc/ruamel.yaml/
"""

import math
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from shared.domain.fault import Fault
from shared.domain.pattern_operators import cut_text, show_value

MAX_BYTES: Final = 256 * 1024
MAX_VALUES: Final = 20_000
MAX_DEPTH: Final = 100

Path = tuple[str | int, ...]

_TAG: Final = "tag:yaml.org,2002:"
_PLAIN: Final = {_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp")}


class Unusable(Exception):
    """The file is no YAML that could be used; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class YamlSource:
    """A file that was read: its value, its faults so far, and where everything stands.

    Args:
        content: the file, as bytes or as text.
        file: its name.

    Raises:
        Unusable: when it is no YAML, or too much of it.
    """

    def __init__(self, content: str | bytes, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []
        # Paths of faults, cut to two parts: which workflows are faulty.
        self.faulty: set[Path] = set()
        self._marks: dict[Path, tuple[int, int]] = {}
        self._keys: dict[Path, tuple[int, int]] = {}
        self._blocks: set[Path] = set()
        self._count = 0
        yaml = YAML(typ="safe", pure=True)
        self._constructor = yaml.constructor
        text = self._decode(content)
        try:
            root = yaml.compose(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
            raise self._refuse(place, "YAML", _first_line(error.problem or error.context)) from None
        except ReaderError as error:
            before = text[: error.position]
            place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
            raise self._refuse(place, "text", f"the character U+{error.character:04X}") from None
        except YAMLError as error:
            raise self._refuse((1, 1), "YAML", _first_line(str(error))) from None
        except RecursionError:
            raise self._refuse((1, 1), f"at most {MAX_DEPTH} levels", "more") from None
        self.value = None if root is None else self._build(root, ())

    def locate(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Returns line and column of a value, or of its key; of what is not there, those of what should hold it."""
        if path in self._marks and not key:
            return self._marks[path]
        while path and path not in self._keys and path not in self._marks:
            path = path[:-1]
        return self._keys.get(path) or self._marks.get(path, (1, 1))

    def locate_line(self, path: Path, line: int) -> tuple[int, int]:
        """Returns where a line of a text stands, counted from 1 in the text."""
        first, column = self.locate(path)
        if path in self._blocks:
            return first + line, 1
        return (first, column) if line == 1 else (first + line - 1, 1)

    def add(
        self, path: Path, expected: str, found: str, suggestion: str = "", *, key: bool = False, line: int = 0
    ) -> None:
        """Notes a fault at a path, or in one line of the text there."""
        place = self.locate_line(path, line) if line else self.locate(path, key=key)
        self.faulty.add(path[:2])
        self.faults.append(Fault(self.file, *place, show_path(path), expected, found, suggestion))

    def follow(self, path: Path, rest: str) -> Path:
        """Returns the path that ``rest`` (``.check_run.name[0]``) leads to from ``path``, as far as it is there."""
        value: Any = self.value
        for part in path:
            value = value[part]
        while rest:
            parts = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
            # A key may have a dot in it: the longest that fits is meant.
            found = [part for part in parts if _is_next(_show_part(part), rest)]
            if not found:
                break
            part = max(found, key=lambda each: len(_show_part(each)))
            path, value, rest = (*path, part), value[part], rest[len(_show_part(part)) :]
        return path

    def _decode(self, content: str | bytes) -> str:
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        if len(data) > MAX_BYTES:
            raise self._refuse((1, 1), f"a file of at most {MAX_BYTES} bytes", f"{len(data)} bytes")
        try:
            return data.decode().removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            head = data[: error.start]
            place = (head.count(b"\n") + 1, len(head) - head.rfind(b"\n"))
            raise self._refuse(place, "UTF-8", f"the byte 0x{data[error.start]:02X}") from None

    def _refuse(self, place: tuple[int, int], expected: str, found: str) -> Unusable:
        return Unusable(Fault(self.file, *place, "", expected, found))

    def _build(self, node: Node, path: Path) -> Any:  # noqa: ANN401 - JSON is anything
        mark = (node.start_mark.line + 1, node.start_mark.column + 1)
        self._marks[path] = mark
        self._count += 1
        if self._count > MAX_VALUES:
            raise self._refuse(mark, f"at most {MAX_VALUES} values, aliases unfolded", "more")
        if len(path) > MAX_DEPTH:
            raise self._refuse(mark, f"at most {MAX_DEPTH} levels, aliases unfolded", "more")
        if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
            return self._build_mapping(node, path)
        if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
            return [self._build(each, (*path, index)) for index, each in enumerate(node.value)]
        if isinstance(node, ScalarNode) and node.tag in _PLAIN:
            return self._build_scalar(node, path)
        self.add(path, "plain YAML", f"the tag {show_value(str(node.tag))}")
        return None

    def _build_mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, value in node.value:
            mark = (key.start_mark.line + 1, key.start_mark.column + 1)
            name = key.value if isinstance(key, ScalarNode) else "?"
            inner = (*path, name)
            if name in built:
                line, _ = self.locate(inner, key=True)
                self._keys[inner] = mark
                self.add(inner, "every key once", f"{show_value(name)} again, after line {line}", key=True)
                continue
            self._keys[inner] = mark
            if not isinstance(key, ScalarNode) or key.tag != f"{_TAG}str":
                found = show_value(name) if isinstance(key, ScalarNode) else "something else"
                suggestion = show_value(name) if isinstance(key, ScalarNode) else ""
                self.add(inner, "a text as the key, in quotes", found.strip('"'), suggestion, key=True)
            built[name] = self._build(value, inner)
        return built

    def _build_scalar(self, node: ScalarNode, path: Path) -> Any:  # noqa: ANN401 - JSON is anything
        if node.style in ("|", ">"):
            self._blocks.add(path)
        try:
            value = self._constructor.construct_object(node)
        except (ValueError, YAMLError):
            self.add(path, "a value", cut_text(node.value, 80))
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self.add(path, "a finite number", node.value)
            return None
        return value


def show_path(path: Path) -> str:
    """Returns a path as faults name it, in ASCII: ``workflows.fix.steps[0].with``."""
    return "".join(map(_show_part, path)).removeprefix(".")


def _show_part(part: str | int) -> str:
    return f"[{part}]" if isinstance(part, int) else f".{show_value(part)[1:].removesuffix(chr(34))}"


def _is_next(shown: str, rest: str) -> bool:
    return rest == shown or (rest.startswith(shown) and rest[len(shown)] in ".[")


def _first_line(text: str | None) -> str:
    return cut_text((text or "something else").strip().splitlines()[0], 200)
