"""The workers of a laptop: what event source mappings and the schedule do on AWS, with the very handlers.

``python -m shared.local.workers``
"""

import io
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import click

from shared.config import AwsConfig, ConfigError, read_config, setting
from shared.local.event_source import EventSource, Handler, Outage, Poller, invoke

# The queues' visibility timeouts are six times these.
ROUTE_TIMEOUT_SECONDS = 30.0
EXECUTE_TIMEOUT_SECONDS = 60.0
BURY_TIMEOUT_SECONDS = 30.0
RECONCILE_TIMEOUT_SECONDS = 60.0
SHUTDOWN_SECONDS = 10.0

SCHEDULE_EVENT = {"source": "aws.scheduler"}


def _interval(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError("must be a number of seconds above 0")
    return seconds


@dataclass(frozen=True, kw_only=True)
class WorkersConfig(AwsConfig):
    """Settings of the workers; each function reads its own besides."""

    deliveries_queue_url: str = setting("DELIVERIES_QUEUE_URL")
    tasks_queue_url: str = setting("TASKS_QUEUE_URL")
    deliveries_dlq_url: str = setting("DELIVERIES_DLQ_URL")
    tasks_dlq_url: str = setting("TASKS_DLQ_URL")
    reconcile_seconds: float = setting("RECONCILE_SECONDS", _interval, default=5.0)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A function that is called at once and then at an interval; a call that lasts longer delays the next."""

    function: str
    handler: Handler
    interval_seconds: float
    function_timeout_seconds: float

    def run(self, region: str, stop: threading.Event) -> None:
        """Calls it until stopped; no error ends it."""
        while not stop.is_set():
            started = time.monotonic()
            invoke(self.function, self.handler, dict(SCHEDULE_EVENT), self.function_timeout_seconds, region)
            stop.wait(max(0.0, self.interval_seconds - (time.monotonic() - started)))


def load_sources(config: WorkersConfig) -> list[EventSource]:
    """Returns the queues and the functions they feed, which read their settings. Raises ConfigError."""
    from functions.bury import handler as bury  # noqa: PLC0415 - importing a handler reads its settings
    from functions.execute import handler as execute  # noqa: PLC0415 - likewise
    from functions.route import handler as route  # noqa: PLC0415 - likewise

    return [
        EventSource(
            function="route",
            handler=route.handle,
            queue_url=config.deliveries_queue_url,
            batch_size=10,
            pollers=2,
            function_timeout_seconds=ROUTE_TIMEOUT_SECONDS,
        ),
        EventSource(
            function="execute",
            handler=execute.handle,
            queue_url=config.tasks_queue_url,
            # A task may wait half a minute for GitHub: several in one invocation would outlast its timeout.
            batch_size=1,
            pollers=8,
            function_timeout_seconds=EXECUTE_TIMEOUT_SECONDS,
        ),
        *(
            EventSource(
                function="bury",
                handler=bury.handle,
                queue_url=queue_url,
                batch_size=10,
                pollers=1,
                function_timeout_seconds=BURY_TIMEOUT_SECONDS,
            )
            for queue_url in (config.deliveries_dlq_url, config.tasks_dlq_url)
        ),
    ]


def load_schedule(config: WorkersConfig) -> Schedule:
    """Returns the schedule of reconcile. Raises ConfigError."""
    from functions.reconcile import handler as reconcile  # noqa: PLC0415 - importing a handler reads its settings

    return Schedule(
        function="reconcile",
        handler=reconcile.handle,
        interval_seconds=config.reconcile_seconds,
        function_timeout_seconds=RECONCILE_TIMEOUT_SECONDS,
    )


def run_workers(
    sources: Sequence[EventSource],
    schedules: Sequence[Schedule],
    *,
    region: str,
    endpoint: str | None,
    stop: threading.Event,
    shutdown_seconds: float = SHUTDOWN_SECONDS,
) -> bool:
    """Works until ``stop`` is set, then lets running handlers finish.

    Returns:
        Whether all did within ``shutdown_seconds``. What the others work on is delivered again: nothing is
        deleted before it is done.
    """
    threads: list[threading.Thread] = []
    for source in sources:
        outage = Outage(source.arn(region))
        for number in range(source.pollers):
            poller = Poller(source, region=region, endpoint=endpoint, outage=outage, stop=stop)
            threads.append(threading.Thread(target=poller.run, name=f"{source.function}-{number}", daemon=True))
    threads += [
        threading.Thread(target=each.run, args=(region, stop), name=each.function, daemon=True) for each in schedules
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    deadline = time.monotonic() + shutdown_seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def watch_signals() -> threading.Event:
    """Returns what SIGTERM and SIGINT set. To be called before threads are started."""
    stop = threading.Event()
    stop_signals = {signal.SIGINT, signal.SIGTERM}
    # Waited for, not handled: a handler could run within the main thread's own `stop.wait` and block on its lock.
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)

    def wait() -> None:
        signal.sigwait(stop_signals)
        stop.set()

    threading.Thread(target=wait, name="signals", daemon=True).start()
    return stop


@click.command()
def main() -> None:
    """Work on deliveries and tasks on this machine."""
    stop = watch_signals()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Powertools prints metrics and leaves them in the buffer, where the exporter does not see them.
        sys.stdout.reconfigure(line_buffering=True)
    try:
        config = read_config(WorkersConfig)
        sources, schedules = load_sources(config), [load_schedule(config)]
    except ConfigError as fault:
        print(fault, file=sys.stderr)
        sys.exit(1)
    print(f"workers: polling {len(sources)} queues", flush=True)
    run_workers(sources, schedules, region=config.region, endpoint=config.endpoint, stop=stop)
    sys.stdout.flush()
    # An ordinary exit could meet a daemon thread in the middle of a line, and die of it.
    os._exit(0)


if __name__ == "__main__":
    main()
