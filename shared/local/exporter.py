"""``/metrics`` of a laptop: the functions' metrics and the servers' figures, as Prometheus reads them.

``python -m shared.local.exporter --port 9464 --log .local/logs/front.log --log .local/logs/workers.log``
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import errno
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.registry import Collector

from shared.config import ConfigError, read_config
from shared.local.free_ports import HOST, PortInUse
from shared.local.gauges import Gauges, GaugesConfig, list_sources
from shared.local.log_metrics import LogMetrics
from shared.local.traces import TraceSender
from shared.local.workers import watch_signals


class Exporter(Collector):
    """Both kinds of metrics, collected by one scrape at a time."""

    def __init__(self, logs: LogMetrics, gauges: Gauges) -> None:
        self._logs = logs
        self._gauges = gauges
        self._collecting = threading.Lock()

    def describe(self) -> list[Metric]:
        """Says nothing: the registry would else collect before the first scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yields all metrics."""
        with self._collecting:
            return iter([*self._logs.collect(), *self._gauges.collect()])

    def close(self) -> None:
        """Closes the logs and ends the threads."""
        self._logs.close()
        self._gauges.close()


@contextmanager
def serve_metrics(exporter: Exporter, host: str, port: int) -> Iterator[int]:
    """Serves the exporter's metrics while the block lasts; gives the port, which 0 leaves to choice.

    Raises:
        PortInUse: when another process listens there.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(exporter)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(port, "METRICS_PORT") from error
        raise
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), required=True)
@click.option("--host", default=HOST, show_default=True, help="The address to listen on.")
@click.option("--log", "logs", type=click.Path(path_type=Path), multiple=True, help="A log of functions; repeatable.")
@click.option("--front", "front_url", help="The front, to be asked whether it is up.")
@click.option("--traces", "collector", envvar="OTEL_EXPORTER_OTLP_ENDPOINT", help="Where traces go, as OTLP over HTTP.")
def main(port: int, host: str, logs: tuple[Path, ...], front_url: str | None, collector: str | None) -> None:
    """Serve Prometheus metrics of the functions whose logs are named, and of the servers in the environment."""
    stop = watch_signals()
    try:
        storage = logs[0].absolute().parent if logs else None
        config = read_config(GaugesConfig)
        sources = list_sources(config, front_url=front_url, storage=storage)
        exporter = Exporter(LogMetrics(logs), Gauges(sources))
        with serve_metrics(exporter, host, port) as chosen:
            print(f"metrics: listening on http://{host}:{chosen}/metrics", flush=True)
            if collector and config.database_url:
                TraceSender(collector, config.database_url).run(stop)
            stop.wait()
    except (ConfigError, PortInUse) as fault:
        print(fault, file=sys.stderr)
        sys.exit(1)
    exporter.close()


if __name__ == "__main__":
    main()
