"""Events as Lambda gets them, for ``sam local invoke``: made by the product's own code, so that they stay valid.

``python -m tests.support.events`` writes them to tests/data/events; a test compares.
"""

import hashlib
import json
from typing import Any

from shared.domain.envelope import Envelope, deflate
from shared.domain.payload import TYPE_JSON, parse_payload
from shared.domain.subject import derive_subject
from shared.local.event_source import build_record
from shared.local.gateway_event import build_event, encode_body
from shared.local.lambda_context import ACCOUNT_ID
from shared.local.webhook import build_headers, read_sample
from tests.support.factories import DATA

FOLDER = DATA / "events"
# Known to everybody: for a laptop alone.
SECRET = "the secret of the sample events"
REGION = "us-east-1"
RECEIVED_AT = 1_790_000_000_123
FIRST_ID = "11111111-1111-4111-8111-111111111111"
SECOND_ID = "22222222-2222-4222-8222-222222222222"
TASK_ID = "33333333-3333-7333-8333-333333333333"
TRACE = "Root=1-6ab0a000-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1"


def build_events() -> dict[str, dict[str, Any]]:
    """Returns every event by the name of its file."""
    first, second = _build_envelope("pull_request", FIRST_ID), _build_envelope("push", SECOND_ID)
    return {
        "webhook": _build_request("POST", "/api/v1/webhooks/github", "github"),
        "health": _build_request("GET", "/health", None),
        "deliveries": {
            "Records": [
                _build_message("deliveries.fifo", 1, first.encode(), group=first.subject),
                _build_message("deliveries.fifo", 2, second.encode(), group=second.subject),
            ]
        },
        "tasks": {"Records": [_build_message("tasks", 3, json.dumps({"task_id": TASK_ID}))]},
        "dead-letters": {
            "Records": [
                _build_message("deliveries-dlq.fifo", 4, first.encode(), group=first.subject, receive_count=21),
                _build_message("deliveries-dlq.fifo", 5, "no envelope", group="none", receive_count=21),
            ]
        },
        "schedule": {
            "version": "0",
            "id": FIRST_ID,
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": ACCOUNT_ID,
            "time": "2026-09-21T14:13:20Z",
            "region": REGION,
            "resources": [f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule/default/reconcile"],
            "detail": "{}",
        },
        "migration": {
            "RequestType": "Update",
            "RequestId": FIRST_ID,
            "StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/orchestrator-dev-app/{FIRST_ID}",
            "LogicalResourceId": "Migration",
            "PhysicalResourceId": "schema",
            "ResourceType": "Custom::Migration",
            "ResourceProperties": {"Code": "after"},
            "OldResourceProperties": {"Code": "before"},
        },
    }


def _build_request(method: str, path: str, source: str | None) -> dict[str, Any]:
    body = read_sample("pull_request") if method == "POST" else b""
    headers = build_headers("pull_request", body, SECRET, FIRST_ID) if body else {}
    scope = {
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 443),
        "scheme": "https",
        "http_version": "1.1",
    }
    event = build_event(scope, source, encode_body(body, TYPE_JSON) if body else None)
    # The parts that differ from request to request.
    event["headers"]["x-amzn-trace-id"] = TRACE
    event["requestContext"] |= {
        "requestId": FIRST_ID,
        "time": "21/Sep/2026:14:13:20 +0000",
        "timeEpoch": RECEIVED_AT,
    }
    return event


def _build_envelope(event: str, delivery_id: str) -> Envelope:
    body = read_sample(event)
    subject = derive_subject(event, parse_payload(body)).key
    return Envelope("github", delivery_id, event, subject, TYPE_JSON, RECEIVED_AT, "1", deflate(body))


def _build_message(
    queue: str, number: int, body: str, *, group: str | None = None, receive_count: int = 1
) -> dict[str, Any]:
    attributes = {
        "ApproximateReceiveCount": str(receive_count),
        "SentTimestamp": str(RECEIVED_AT),
        "SenderId": "AROAEXAMPLE:ingest",
        "ApproximateFirstReceiveTimestamp": str(RECEIVED_AT + 5),
        "AWSTraceHeader": TRACE,
    }
    if group is not None:
        attributes |= {"MessageGroupId": group, "MessageDeduplicationId": str(number), "SequenceNumber": str(number)}
    message = {
        "MessageId": f"00000000-0000-4000-8000-{number:012}",
        "ReceiptHandle": f"receipt-{number}",
        "Body": body,
        "Attributes": attributes,
        "MD5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
    }
    return build_record(message, f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{queue}", REGION)


def write_events() -> None:
    """Writes each event to its file."""
    FOLDER.mkdir(exist_ok=True)
    for name, event in build_events().items():
        (FOLDER / f"{name}.json").write_text(encode_event(event), "utf-8")


def encode_event(event: dict[str, Any]) -> str:
    """Returns the event as its file has it."""
    return json.dumps(event, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write_events()
