"""What ingest costs under Lambda's runtime client, beside a plain boto3 handler and one that does nothing."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from shared.local.queues import create_queues
from shared.local.servers import AWS_CREDENTIALS, plan_servers
from shared.local.supervisor import Supervisor
from tests.benchmarks.payloads import ROOT, SECRET, build_gateway_event, read_samples, sign_sample
from tests.benchmarks.process_cpu import read_cpu_seconds, read_peak_bytes
from tests.benchmarks.refusal_cost import measure_refusal
from tests.benchmarks.runtime_api import LambdaFunction
from tests.benchmarks.table import Figure

OURS = "functions.ingest.handler.handle"
PLAIN = "tests.benchmarks.plain_boto3_handler.handle"
TRIVIAL = "tests.benchmarks.trivial_handler.handle"

# From the issue.
MAX_DELIVERY_RATIO = 0.6
MAX_INIT_RATIO = 0.35
MAX_PEAK_MB = 32.0

WARM_UP = 20


@dataclass(frozen=True)
class Cost:
    """Of one process: CPU milliseconds until it first asked for an event, and for each; the peak in MB."""

    init: float
    delivery: float
    peak: float


def measure_ingest(
    state_dir: Path, *, rounds: int, deliveries: int, on_progress: Callable[[str], None]
) -> list[Figure]:
    """Measures the three handlers in alternating rounds.

    Args:
        state_dir: of the SQS endpoint, short-lived.
        rounds: processes of each handler.
        deliveries: in each round, besides those that warm it up.
        on_progress: told what is going on.
    """
    with Supervisor(state_dir) as supervisor:
        [*_, sqs] = plan_servers(supervisor.state_dir, {}, {})
        supervisor.start(sqs)
        environment = build_environment(str(sqs.address), state_dir / "bytecode")
        costs: dict[str, list[Cost]] = {OURS: [], PLAIN: [], TRIVIAL: []}
        for handler in costs:  # compiles what it imports
            measure_process(handler, environment, list(generate_events(1)))
        for number in range(rounds):
            on_progress(f"ingest: round {number + 1} of {rounds}")
            for handler, found in costs.items():
                found.append(measure_process(handler, environment, list(generate_events(WARM_UP + deliveries))))
        refusals = measure_refusal(environment, rounds=rounds * 2 + 1)
    return [*build_figures(costs[OURS], costs[PLAIN], costs[TRIVIAL]), *refusals]


def build_environment(endpoint: str, bytecode_dir: Path) -> dict[str, str]:
    """Returns what the handlers see, and makes their queue."""
    os.environ.update(AWS_CREDENTIALS)  # where `create_queues` looks for them
    urls = create_queues(endpoint, "us-east-1")
    return {
        **AWS_CREDENTIALS,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "DELIVERIES_QUEUE_URL": urls.deliveries,
        "BODIES_BUCKET": "unused",
        "GITHUB_WEBHOOK_SECRET": SECRET,
        "PYTHONPATH": str(ROOT),
        # Compiled before they are measured, wherever an installer left no bytecode.
        "PYTHONPYCACHEPREFIX": str(bytecode_dir),
    }


def measure_process(handler: str, environment: Mapping[str, str], events: Sequence[bytes]) -> Cost:
    """Returns what one process of ``handler`` takes; its first deliveries do not count."""
    with LambdaFunction(handler, environment) as function:
        init = read_cpu_seconds(function.pid)
        warm = init
        for number, event in enumerate(events):
            if number == WARM_UP:
                warm = read_cpu_seconds(function.pid)
            answer = json.loads(function.invoke(event))
            if answer["statusCode"] not in {200, 202}:
                raise AssertionError(f"{handler} answered {answer}")
        total = read_cpu_seconds(function.pid)
        return Cost(
            init * 1000,
            (total - warm) * 1000 / max(1, len(events) - WARM_UP),
            read_peak_bytes(function.pid) / 1_000_000,
        )


def generate_events(count: int) -> Iterator[bytes]:
    """Yields API Gateway's events of real deliveries, each with an id of its own."""
    for sample in islice(cycle(read_samples()), count):
        yield json.dumps(build_gateway_event(sign_sample(sample))).encode()


def build_figures(ours: Sequence[Cost], plain: Sequence[Cost], trivial: Sequence[Cost]) -> list[Figure]:
    """Returns the figures of ingest: the cheapest round of each, for others' work only adds; the largest memory."""
    runtime_init = min(cost.init for cost in trivial)
    our_init, plain_init = min(cost.init for cost in ours), min(cost.init for cost in plain)
    runtime_delivery = min(cost.delivery for cost in trivial)
    our_delivery, plain_delivery = min(cost.delivery for cost in ours), min(cost.delivery for cost in plain)
    return [
        Figure("ingest: CPU of a delivery", "ms", our_delivery, plain_delivery, MAX_DELIVERY_RATIO),
        Figure(
            "ingest: the same, net of the runtime's own",
            "ms",
            our_delivery - runtime_delivery,
            plain_delivery - runtime_delivery,
        ),
        Figure(
            "ingest: CPU of init, net of the runtime's own",
            "ms",
            our_init - runtime_init,
            plain_init - runtime_init,
            MAX_INIT_RATIO,
        ),
        Figure("ingest: CPU of init, whole process", "ms", our_init, plain_init),
        Figure("ingest: peak memory", "MB", max(cost.peak for cost in ours), budget=MAX_PEAK_MB),
        Figure("ingest: peak memory of plain boto3", "MB", max(cost.peak for cost in plain)),
    ]
