"""A fault of a workflow file: where it is, what was expected there, what is there, and what was probably meant."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What somebody has to mend in a file.

    Attributes:
        file: the file's name.
        line: counted from 1.
        column: counted from 1.
        path: the key path, as in ``workflows.fix.steps[0].with.prompt``; empty: the whole file.
        expected: what is wanted there.
        found: what is there.
        suggestion: what was probably meant, or an empty text.
    """

    file: str
    line: int
    column: int
    path: str
    expected: str
    found: str
    suggestion: str = ""

    @property
    def message(self) -> str:
        """The fault in a sentence, without the place in the file."""
        where = f"{self.path}: " if self.path else ""
        hint = f"; did you mean {self.suggestion}?" if self.suggestion else ""
        return f"{where}expected {self.expected}, found {self.found}{hint}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"
