"""Globs: the filter patterns of GitHub Actions, and the simpler ones for names.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet

A list is read in order: a pattern takes values in, one that begins with ``!`` takes them out again. One thing differs
from GitHub Actions: a list of nothing but ``!`` patterns begins with everything, instead of being useless.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from shared.domain.pattern_operators import PatternError, match_segments, show_value

MAX_GLOB_CHARACTERS: Final = 256

Test = Callable[[str], bool]

# What a pattern is made of: ** or *, an escaped character, a set, or a character; then perhaps ? or +.
_TOKEN = re.compile(r"(\*\*|\*)|(?:\\(.)|\[([^\]]+)\]|([^\\\[\]?+*]))([?+]?)", re.DOTALL)


class Globs(NamedTuple):
    """A list of patterns, compiled.

    Attributes:
        wants: the list in words, ASCII.
        tests: each pattern with whether it takes out.
    """

    wants: str
    tests: tuple[tuple[bool, Test], ...]

    def accepts(self, value: str) -> bool:
        """Tells whether the list, read in order, takes the value in."""
        accepted = self.tests[0][0]
        for is_negated, test in self.tests:
            if accepted == is_negated and test(value):
                accepted = not is_negated
        return accepted

    def accepts_all(self, values: Iterable[str]) -> bool:
        """Tells whether no value is taken out and, unless the list only takes out, one is taken in."""
        accepted = all(is_negated for is_negated, _ in self.tests)
        for value in values:
            for is_negated, test in self.tests:
                if test(value):
                    if is_negated:
                        return False
                    accepted = True
        return accepted


def compile_globs(patterns: Sequence[str], path: str) -> Globs:
    """Compiles filter patterns as GitHub Actions has them. Raises PatternError."""
    return _compile(patterns, path, _compile_path_glob)


def compile_name_globs(patterns: Sequence[str], path: str) -> Globs:
    """Compiles patterns of names: case is ignored, ``*`` is any text, all else stands for itself (``app[bot]``)."""
    return _compile(patterns, path, _compile_name_glob)


def _compile(patterns: Sequence[str], path: str, compile_one: Callable[[str, str], Test]) -> Globs:
    tests = []
    for index, pattern in enumerate(patterns):
        place = f"{path}[{index}]"
        bare = pattern.removeprefix("!")
        if not 0 < len(bare) <= MAX_GLOB_CHARACTERS:
            found = show_value(pattern)
            raise PatternError(place, f"a pattern of 1 to {MAX_GLOB_CHARACTERS} characters", found)
        tests.append((bare != pattern, compile_one(bare, place)))
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    unwanted = ", ".join(show_value(pattern[1:]) for pattern in patterns if pattern.startswith("!"))
    wants = one_of(wanted) if wanted else f"anything but {unwanted}"
    # A list of ! patterns begins with everything; the first pattern tells, unless a later one takes in again.
    if wanted and tests[0][0]:
        tests.insert(0, (False, lambda _: False))
    return Globs(f"{wants} but not {unwanted}" if wanted and unwanted else wants, tuple(tests))


def one_of(names: Sequence[str]) -> str:
    """Returns the names as a sentence wants them, ASCII."""
    listed = ", ".join(map(show_value, names))
    return listed if len(names) == 1 else f"one of {listed}"


def _compile_name_glob(pattern: str, _path: str) -> Test:
    test = match_segments(pattern.casefold().split("*"))
    return lambda value: test(value.casefold())


def _compile_path_glob(pattern: str, path: str) -> Test:
    tokens = _TOKEN.findall(pattern)
    if sum(len(found.group()) for found in _TOKEN.finditer(pattern)) != len(pattern):
        expected = "a filter pattern of GitHub Actions: *, **, ?, + after a character, [...], \\ before such a sign"
        raise PatternError(path, expected, show_value(pattern))
    if all(not star and not members and not times for star, _, members, _, times in tokens):
        literal = "".join(escaped or plain for _, escaped, _, plain, _ in tokens)
        return lambda value: value == literal
    if pattern == "**":
        return lambda _: True
    machine = _Machine(tuple(_read_token(token, path) for token in tokens))
    return lru_cache(maxsize=256)(machine.accepts)


class _Token(NamedTuple):
    """One step of a pattern: characters by ``takes``, at least one unless skippable, more when it repeats."""

    takes: Callable[[str], bool]
    is_skippable: bool
    is_repeated: bool


def _read_token(token: tuple[str, str, str, str, str], path: str) -> _Token:
    star, escaped, members, plain, times = token
    is_skippable, is_repeated = bool(star) or times == "?", bool(star) or times == "+"
    if star == "**":
        return _Token(lambda _: True, is_skippable, is_repeated)
    if star:
        return _Token(lambda character: character != "/", is_skippable, is_repeated)
    if members:
        ranges = re.findall(r"(.)-(.)|(.)", members, re.DOTALL)
        bounds = [(low or one, high or one) for low, high, one in ranges]
        if any(low > high for low, high in bounds):
            raise PatternError(path, "a range from a lower to a higher character", show_value(f"[{members}]"))
        return _Token(lambda each: any(low <= each <= high for low, high in bounds), is_skippable, is_repeated)
    character = escaped or plain
    return _Token(lambda each: each == character, is_skippable, is_repeated)


class _Machine:
    """Walks all ways through a pattern at once, one bit for each token, so that the time is linear.

    A regular expression of several stars would try them one after the other, and need longer than anybody waits.
    """

    def __init__(self, tokens: tuple[_Token, ...]) -> None:
        self._tokens = tokens
        self._end = 1 << len(tokens)
        self._skips = sum(1 << place for place, token in enumerate(tokens) if token.is_skippable)
        self._repeats = sum(1 << place for place, token in enumerate(tokens) if token.is_repeated)

    def accepts(self, value: str) -> bool:
        """Tells whether the whole value matches."""
        takers: dict[str, int] = {}
        places = self._skip(1)
        for character in value:
            takes = takers.get(character)
            if takes is None:
                takes = sum(1 << place for place, token in enumerate(self._tokens) if token.takes(character))
                takers[character] = takes
            taken = places & takes
            if not taken:
                return False
            places = self._skip(taken << 1 | taken & self._repeats)
        return bool(places & self._end)

    def _skip(self, places: int) -> int:
        while True:
            further = places | (places & self._skips) << 1
            if further == places:
                return places
            places = further
