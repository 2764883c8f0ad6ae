"""What would be logged and counted, kept to be looked at."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple


class Line(NamedTuple):
    """One line of the log."""

    message: str
    level: str
    fields: Mapping[str, Any]


class MemoryTelemetry:
    """See ``shared.ports.Telemetry``.

    Attributes:
        lines: in the order they were written.
        metrics: the sum of each metric.
        gauges: every value of each gauge, in order.
    """

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.metrics: Counter[str] = Counter()
        self.gauges: dict[str, list[float]] = defaultdict(list)

    def log(self, message: str, level: str = "INFO", **fields: object) -> None:
        """Keeps a line."""
        self.lines.append(Line(message, level, fields))

    def count(self, metric: str, value: float = 1) -> None:
        """Adds to a metric."""
        self.metrics[metric] += value  # type: ignore[assignment] # a Counter adds any numbers; its type says int

    def gauge(self, metric: str, value: float) -> None:
        """Keeps the value."""
        self.gauges[metric].append(value)

    @property
    def messages(self) -> list[str]:
        """What was said, without the fields."""
        return [line.message for line in self.lines]
