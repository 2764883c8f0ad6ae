import gzip
import json
from pathlib import Path
from typing import Any

from shared.adapters.workflow_files import read_default_workflows
from shared.domain.statuses import Status
from tests.acceptance.local_stack import LocalStack

PAYLOADS = Path(__file__).parents[1] / "data" / "github-payloads.json.gz"


def read_payloads() -> list[tuple[str, bytes]]:
    found: dict[str, list[Any]] = json.loads(gzip.decompress(PAYLOADS.read_bytes()))
    return [(event, json.dumps(payload).encode()) for event, payloads in found.items() for payload in payloads]


def test_every_real_payload_is_accepted_explained_and_brought_to_its_end(stack: LocalStack) -> None:
    payloads = read_payloads()
    assert len(payloads) == 235
    workflows = {workflow.name for workflow in read_default_workflows()}

    sent = [(event, stack.send(event, body)) for event, body in payloads]

    run_count = 0
    for event, delivery_id in sent:
        document = stack.follow(delivery_id)
        assert (document["event"], document["status"]) == (event, "succeeded")
        assert document["subject"]
        verdicts = {verdict["workflow"]: verdict for verdict in document["verdicts"]}
        assert verdicts.keys() == workflows
        assert all(verdict["because"] for verdict in document["verdicts"])
        matched = {name for name, verdict in verdicts.items() if verdict["matched"]}
        assert {run["workflow"] for run in document["runs"]} == matched
        assert {run["status"] for run in document["runs"]} <= {Status.SUCCEEDED}, document["runs"]
        run_count += len(document["runs"])
    assert run_count > 0
