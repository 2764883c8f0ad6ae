"""The names of the metrics that the functions emit, read from their source."""

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from shared.domain.statuses import Status
from shared.domain.task import Outcome
from shared.local.gauges import UPSTREAMS

ROOT = Path(__file__).parents[2]
FOLDERS = ("functions", "shared/usecases")
GATE = ROOT / "shared/adapters/limits.py"
# What the one placeholder of a name built by an f-string may stand for, by its expression.
VALUES = {
    "settlement.outcome": get_args(Outcome),
    "settlement.status.value": tuple(Status),
    "settlement.course.status.value": tuple(Status),
    "upstream": UPSTREAMS,
}


def find_emitted_metrics() -> set[str]:
    """Returns every name that is counted or reported. Raises KeyError for a placeholder that ``VALUES`` lacks."""
    return _find_in_files("count")


def find_emitted_gauges() -> set[str]:
    """Returns every name of a gauge. Raises as ``find_emitted_metrics``."""
    return _find_in_files("gauge")


def _find_in_files(method: str) -> set[str]:
    files = itertools.chain.from_iterable((ROOT / folder).rglob("*.py") for folder in FOLDERS)
    return {name for path in (*files, GATE) for name in _find_names(ast.parse(path.read_text("utf-8")), method)}


def _find_names(tree: ast.Module, method: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr == method and _is_telemetry(node.func.value):
            yield from _expand(node.args[0])
        elif isinstance(node.func, ast.Name) and node.func.id == "_report" and method == "count":
            for argument in node.args:
                # The metrics of a report are the mapping of names to numbers.
                if isinstance(argument, ast.Dict):
                    yield from itertools.chain.from_iterable(_expand(key) for key in argument.keys if key is not None)


def _is_telemetry(receiver: ast.expr) -> bool:
    return "telemetry" in ast.unparse(receiver)


def _expand(name: ast.expr) -> Iterator[str]:
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        yield name.value
    elif isinstance(name, ast.JoinedStr):
        parts = [
            VALUES[ast.unparse(part.value)] if isinstance(part, ast.FormattedValue) else (ast.literal_eval(part),)
            for part in name.values
        ]
        yield from ("".join(map(str, chosen)) for chosen in itertools.product(*parts))
