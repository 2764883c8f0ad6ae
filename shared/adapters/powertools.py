"""Powertools: the logger and the metrics of every function but ingest.

https://docs.aws.amazon.com/powertools/python/latest/
"""

import json
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from shared.config import ObservabilityConfig
from shared.observability import NAMESPACE, redact

_DURATION = "_seconds"
Answer = TypeVar("Answer")
Handler = Callable[[dict[str, Any], Any], Answer]


def _serialize(entry: dict[str, Any]) -> str:
    return redact(json.dumps(entry, default=str, separators=(",", ":")))


class PowertoolsTelemetry:
    """See ``shared.ports.Telemetry``.

    Ids are given with each line rather than appended to the logger: a batch holds several deliveries, and the
    local workers run several batches at once.
    """

    def __init__(self, function: str, config: ObservabilityConfig) -> None:
        self._function = function
        self._config = config
        self._logger = Logger(
            service=function,
            level=config.log_level,
            utc=True,
            use_rfc3339=True,
            location=None,  # the message names what happened; where in the code is a matter of seconds to find
            json_serializer=_serialize,
        )
        self._invocation = threading.local()

    def log(self, message: str, level: str = "INFO", **fields: object) -> None:
        """Writes a line."""
        write = getattr(self._logger, level.lower())
        write(message, extra=fields)

    def count(self, metric: str, value: float = 1) -> None:
        """Adds to a metric of this invocation: counts are summed, durations are kept each."""
        measured = self._measured()
        if metric.endswith(_DURATION):
            measured.setdefault((metric, MetricUnit.Seconds), []).append(value)
        else:
            key = metric, MetricUnit.Count
            measured[key] = [measured.get(key, [0])[0] + value]

    def gauge(self, metric: str, value: float) -> None:
        """Says how something stands now: each change within an invocation is kept."""
        values = self._measured().setdefault((metric, MetricUnit.NoUnit), [])
        if not values or values[-1] != value:
            values.append(value)

    def exception(self, message: str, **fields: object) -> None:
        """Writes a line with the traceback of the error that is being handled."""
        self._logger.exception(message, extra=fields)  # noqa: LOG004 - called while an error is being handled

    def observe(self, handler: Handler[Answer]) -> Handler[Answer]:
        """Returns ``handler`` with its metrics written at its end."""

        def observed(event: dict[str, Any], context: Any) -> Answer:  # noqa: ANN401 - Lambda's context object
            try:
                return handler(event, context)
            finally:
                self.flush()

        return observed

    def flush(self) -> None:
        """Writes the metrics of this invocation."""
        measured = self._measured()
        if measured and self._config.enable_metrics:
            metrics = EphemeralMetrics(namespace=NAMESPACE, service=self._function)
            metrics.set_default_dimensions(environment=self._config.environment)
            for (name, unit), values in measured.items():
                for value in values:
                    metrics.add_metric(name=name, unit=unit, value=value)
            metrics.flush_metrics()
        measured.clear()

    def _measured(self) -> dict[tuple[str, MetricUnit], list[float]]:
        # Of this thread: the local workers run several invocations at once.
        if not hasattr(self._invocation, "measured"):
            self._invocation.measured = {}
        found: dict[tuple[str, MetricUnit], list[float]] = self._invocation.measured
        return found
