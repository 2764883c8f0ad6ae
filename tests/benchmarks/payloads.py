"""Real payloads of 7 to 27 KB, signed as GitHub signs them."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from shared.adapters.workflow_files import read_default_workflows
from shared.domain.delivery import build_document
from shared.domain.subject import derive_subject
from shared.domain.workflow import Workflow, judge
from shared.local.gateway_event import build_event, encode_body, find_source
from shared.local.webhook import build_headers

SECRET = "a secret of the benchmarks"
MIN_BYTES, MAX_BYTES = 7 * 1024, 27 * 1024
SUBJECTS = 200
PATH = "/api/v1/webhooks/github"
ROOT = Path(__file__).parents[2]

_PAYLOADS = ROOT / "tests" / "data" / "github-payloads.json.gz"
# Every payload that starts a run is about this repository; another name makes it another subject.
_REPOSITORY = b"Codertocat/Hello-World"


@dataclass(frozen=True)
class Sample:
    """A payload as GitHub would send it."""

    event: str
    body: bytes


@dataclass(frozen=True)
class SignedDelivery:
    """A request: its headers and its exact bytes."""

    headers: dict[str, str]
    body: bytes


def read_samples() -> list[Sample]:
    """Returns all real payloads of 7 to 27 KB."""
    found: dict[str, list[object]] = json.loads(gzip.decompress(_PAYLOADS.read_bytes()))
    samples = [
        Sample(event, json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode())
        for event, payloads in sorted(found.items())
        for payload in payloads
    ]
    return [sample for sample in samples if MIN_BYTES <= len(sample.body) <= MAX_BYTES]


def read_plain_workflows() -> list[Workflow]:
    """Returns the workflows that ship, whose runs neither wait for nor supersede each other: as the baseline's."""
    plain = {"concurrency": None, "debounce": None}
    return [workflow.model_copy(update=plain) for workflow in read_default_workflows()]


def select_starting(samples: list[Sample]) -> list[Sample]:
    """Returns those that start exactly one run under the workflows that ship with the product."""
    workflows = read_default_workflows()

    def count_runs(sample: Sample) -> int:
        payload = json.loads(sample.body)
        document = build_document(sample.event, "", payload, derive_subject(sample.event, payload))
        return sum(judge(each, sample.event, payload.get("action"), document).matched for each in workflows)

    return [sample for sample in samples if _REPOSITORY in sample.body and count_runs(sample) == 1]


def sign_sample(sample: Sample) -> SignedDelivery:
    """Returns the sample as a delivery with an id of its own."""
    return SignedDelivery(build_headers(sample.event, sample.body, SECRET), sample.body)


def generate_deliveries(samples: list[Sample], count: int) -> Iterator[SignedDelivery]:
    """Yields ``count`` deliveries, each with an id of its own, spread over ``SUBJECTS`` repositories."""
    for number, sample in enumerate(islice(cycle(samples), count)):
        body = sample.body.replace(_REPOSITORY, b"%s-%d" % (_REPOSITORY, number % SUBJECTS))
        yield sign_sample(Sample(sample.event, body))


def build_gateway_event(delivery: SignedDelivery) -> dict[str, object]:
    """Returns the event of a delivery, as the local front makes it."""
    headers = {"host": "localhost", "accept": "*/*", **delivery.headers}
    scope = {
        "method": "POST",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "https",
        "client": ("192.0.2.1", 443),
        "server": ("127.0.0.1", 443),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    body = encode_body(delivery.body, headers["content-type"])
    return build_event(scope, find_source("POST", PATH.encode()), body)
