"""The metrics in the functions' logs, for Prometheus: what CloudWatch makes of the same lines on AWS.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import math
import os
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from prometheus_client import Metric
from prometheus_client.registry import Collector

from shared.observability import NAMESPACE

CHUNK_BYTES = 1_048_576
# From a delivery that is refused at once to an attempt that waits for GitHub as long as it may.
BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# The line of an invocation that ended with an error, which AWS counts by itself (`Errors` of AWS/Lambda).
_FAILED_INVOCATION = "invocation.failed"
_DECODER = json.JSONDecoder()


class Measured(NamedTuple):
    """The values of one metric in one log line."""

    name: str
    unit: str
    labels: tuple[tuple[str, str], ...]
    values: list[float]


def to_metric_name(namespace: str, name: str) -> str:
    """Returns Prometheus's name: ``WebhookOrchestrator`` and ``accepted`` are ``webhook_orchestrator_accepted``."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", namespace).lower()
    return re.sub(r"[^a-zA-Z0-9_]", "_", f"{snake}_{name}")


def read_entries(line: bytes) -> Iterator[dict[str, Any]]:
    """Yields the JSON objects in a line; two threads that print at once may share one."""
    text, start = line.decode("utf-8", "replace").strip(), 0
    while start < len(text):
        try:
            entry, start = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            return
        if isinstance(entry, dict):
            yield entry


def read_metrics(entry: Mapping[str, Any]) -> Iterator[Measured]:
    """Yields the embedded metrics of a log entry; what is not of the format is passed over."""
    if entry.get("message") == _FAILED_INVOCATION:
        labels = tuple((name, str(entry[name])) for name in ("environment", "service") if name in entry)
        yield Measured(to_metric_name(NAMESPACE, "invocations_failed"), "Count", labels, [1.0])
    try:
        for directive in entry["_aws"]["CloudWatchMetrics"]:
            # CloudWatch makes a metric of each set of dimensions; here one with all labels is summed as needed.
            dimensions = sorted({name for names in directive["Dimensions"] for name in names})
            labels = tuple((_to_label(name), str(entry[name])) for name in dimensions if name in entry)
            for metric in directive["Metrics"]:
                values = _read_values(entry.get(metric["Name"]))
                if values:
                    name = to_metric_name(directive["Namespace"], metric["Name"])
                    yield Measured(name, metric.get("Unit", "None"), labels, values)
    except (KeyError, TypeError, AttributeError):
        return


def _to_label(dimension: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", dimension)


def _read_values(found: object) -> list[float]:
    given = found if isinstance(found, list) else [found]
    numbers = [each for each in given if isinstance(each, int | float) and not isinstance(each, bool)]
    return [float(number) for number in numbers if math.isfinite(number)]


class LogFollower:
    """Reads what is added to a log, from its beginning, through its replacement and its truncation.

    The file is kept open, so that the end of one that was renamed is still read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: BinaryIO | None = None
        self._rest = b""

    def read_lines(self) -> Iterator[bytes]:
        """Yields the lines that are complete and new."""
        if self._stream is not None:
            yield from self._drain(self._stream)
            if not self._is_replaced(self._stream):
                return
            self.close()
        try:
            self._stream = self._path.open("rb")
        except OSError:
            return
        yield from self._drain(self._stream)

    def _drain(self, stream: BinaryIO) -> Iterator[bytes]:
        if os.fstat(stream.fileno()).st_size < stream.tell():
            stream.seek(0)
            self._rest = b""
        while chunk := stream.read(CHUNK_BYTES):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            yield from lines

    def _is_replaced(self, stream: BinaryIO) -> bool:
        try:
            return not os.path.samestat(os.fstat(stream.fileno()), self._path.stat())
        except FileNotFoundError:
            # Renamed, and its successor not yet made.
            return False

    def close(self) -> None:
        """Closes the file; the next call of ``read_lines`` starts at the beginning."""
        if self._stream is not None:
            self._stream.close()
        self._stream, self._rest = None, b""


class LogMetrics(Collector):
    """Adds up the metrics in log files, read at each collection; call ``collect`` from one thread at a time.

    The files are read from their beginning, so a restart of the exporter loses nothing. A count is a counter, a
    duration a histogram, anything else a gauge with its last value.
    """

    def __init__(self, logs: Iterable[Path]) -> None:
        self._followers = [LogFollower(log) for log in logs]
        self._counters: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        self._gauges: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        self._histograms: dict[str, dict[tuple[tuple[str, str], ...], _Histogram]] = {}

    def collect(self) -> Iterator[Metric]:
        """Yields every metric seen so far."""
        for follower in self._followers:
            for line in follower.read_lines():
                if b'"_aws"' in line or _FAILED_INVOCATION.encode() in line:
                    for entry in read_entries(line):
                        self._note(read_metrics(entry))
        for name, counters in self._counters.items():
            metric = Metric(name, "counted by the functions", "counter")
            for labels, value in counters.items():
                metric.add_sample(f"{name}_total", dict(labels), value)
            yield metric
        for name, gauges in self._gauges.items():
            metric = Metric(name, "as the functions last said", "gauge")
            for labels, value in gauges.items():
                metric.add_sample(name, dict(labels), value)
            yield metric
        for name, histograms in self._histograms.items():
            metric = Metric(name, "measured by the functions", "histogram")
            for labels, histogram in histograms.items():
                histogram.add_to(metric, dict(labels))
            yield metric

    def _note(self, measured: Iterable[Measured]) -> None:
        for name, unit, labels, values in measured:
            if name.endswith("_seconds"):
                histogram = self._histograms.setdefault(name, {}).setdefault(labels, _Histogram())
                for value in values:
                    histogram.observe(value)
            elif unit == "Count":
                counters = self._counters.setdefault(name, {})
                counters[labels] = counters.get(labels, 0.0) + sum(values)
            else:
                self._gauges.setdefault(name, {})[labels] = values[-1]

    def close(self) -> None:
        """Closes the files."""
        for follower in self._followers:
            follower.close()


class _Histogram:
    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_SECONDS) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(BUCKETS_SECONDS, value)] += 1
        self._sum += value

    def add_to(self, metric: Metric, labels: dict[str, str]) -> None:
        total = 0
        for bound, count in zip((*BUCKETS_SECONDS, math.inf), self._counts, strict=True):
            total += count
            text = "+Inf" if bound == math.inf else str(bound)
            metric.add_sample(f"{metric.name}_bucket", {**labels, "le": text}, total)
        metric.add_sample(f"{metric.name}_sum", labels, self._sum)
        metric.add_sample(f"{metric.name}_count", labels, total)
