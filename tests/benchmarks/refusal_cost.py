"""What a delivery with a bad signature costs ingest's handler, in a process that the benchmarks start."""

import io
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from itertools import cycle, islice
from statistics import median

from tests.benchmarks.payloads import ROOT, SignedDelivery, build_gateway_event, read_samples, sign_sample
from tests.benchmarks.table import Figure

# From the issue.
MAX_MILLISECONDS = 0.2

DELIVERIES = 500


def measure_refusal(environment: Mapping[str, str], *, rounds: int) -> list[Figure]:
    """Measures the refusal in a process that sees ``environment``."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.refusal_cost", str(rounds)],
        env=dict(environment),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return [Figure("ingest: CPU of a refused delivery", "ms", json.loads(done.stdout), budget=MAX_MILLISECONDS)]


def measure_rounds(rounds: int) -> float:
    """Returns the median of the rounds' CPU milliseconds for a refusal, its log line included."""
    from functions.ingest.handler import handle  # noqa: PLC0415 - importing it reads its settings

    deliveries = [sign_sample(sample) for sample in islice(cycle(read_samples()), DELIVERIES)]
    events = [build_gateway_event(SignedDelivery(_break_signature(each.headers), each.body)) for each in deliveries]
    found = []
    for _ in range(rounds):
        with redirect_stdout(io.StringIO()):
            started = time.process_time()
            answers = [handle(event, None) for event in events]
            found.append((time.process_time() - started) * 1000 / len(events))
        if any(answer["statusCode"] != 401 for answer in answers):
            raise AssertionError("a bad signature was accepted")
    return median(found)


def _break_signature(headers: Mapping[str, str]) -> dict[str, str]:
    return {**headers, "x-hub-signature-256": "sha256=" + "0" * 64}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure_rounds(int(sys.argv[1]))))
