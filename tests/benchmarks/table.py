"""The figures, beside what they are measured against, and whether they keep their budgets."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

COLUMNS = ("measure", "ours", "baseline", "ratio", "budget", "holds")


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        measure: what was measured.
        unit: of ``ours`` and ``baseline``.
        ours: what the product takes.
        baseline: what it is compared with, or None.
        budget: the most that the ratio (or, without a baseline, ``ours``) may be; None: reported, not judged.
    """

    measure: str
    unit: str
    ours: float
    baseline: float | None = None
    budget: float | None = None

    @property
    def ratio(self) -> float | None:
        """``ours`` in terms of the baseline."""
        return None if self.baseline is None else self.ours / self.baseline

    @property
    def holds(self) -> bool | None:
        """Whether the budget is kept; None when there is none."""
        if self.budget is None:
            return None
        return (self.ours if self.ratio is None else self.ratio) <= self.budget


def print_figures(figures: Sequence[Figure], notes: str, console: Console) -> bool:
    """Prints the table and the notes below it, reflowed; returns whether every budget is kept."""
    table = Table(*COLUMNS, title="What a delivery costs")
    for figure in figures:
        table.add_row(*_cells(figure), style="bold red" if figure.holds is False else None)
    console.print(table)
    for paragraph in notes.split("\n\n"):
        console.print(" ".join(paragraph.split()), highlight=False, markup=False)
    return all(figure.holds is not False for figure in figures)


def _cells(figure: Figure) -> tuple[str, ...]:
    budget = ""
    if figure.budget is not None:
        budget = f"<= {figure.budget:g}" if figure.ratio is not None else f"<= {figure.budget:g} {figure.unit}"
    return (
        figure.measure,
        f"{figure.ours:.3g} {figure.unit}",
        "" if figure.baseline is None else f"{figure.baseline:.3g} {figure.unit}",
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        budget,
        {True: "yes", False: "NO", None: ""}[figure.holds],
    )
