"""Lambda entry point of ingest: an API Gateway v2 event in, its answer out.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import json
import time
from base64 import b64decode
from typing import Any

from shared import bootstrap
from shared.domain.errors import Refused
from shared.domain.payload import malformed
from shared.observability import write_outcome
from shared.usecases.ingest import Webhook, ingest

_deps = bootstrap.ingest()


def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers one webhook: 202, 200 for a ping, or the refusal. Never raises for what a sender sent."""
    started = time.perf_counter()
    source = str((event.get("pathParameters") or {}).get("source", ""))
    try:
        webhook = read_webhook(source, event)
        receipt = ingest(
            webhook,
            secrets=_deps.secrets,
            queue=_deps.queue,
            bodies=_deps.bodies,
            received_at=int(time.time() * 1000),
        )
    except Refused as refusal:
        fields: dict[str, object] = {"source": source[:64], "status": refusal.status, "reason": refusal.code}
        if refusal.cause is not None:
            fields["cause"] = refusal.cause
        _report("delivery.refused", fields, "WARNING", {"refused": 1}, ("reason",))
        return _answer(refusal.status, {"error": refusal.code, "message": refusal.message})
    fields = {
        "source": source,
        "correlation_id": receipt.delivery_id,
        "delivery_id": receipt.delivery_id,
        "event": receipt.event,
        "subject": receipt.subject,
        "trace_id": receipt.trace_id,
        "size_bytes": receipt.size_bytes,
        "is_stored_apart": receipt.is_stored_apart,
    }
    seconds = time.perf_counter() - started
    _report("delivery.accepted", fields, "INFO", {"accepted": 1, "ingest_seconds": seconds}, ("source",))
    status = 200 if receipt.is_ping else 202
    return _answer(status, {"status": "pong" if receipt.is_ping else "accepted", "delivery_id": receipt.delivery_id})


def read_webhook(source: str, event: dict[str, Any]) -> Webhook:
    """Returns the request in an API Gateway v2 event; absent parts are empty. Raises Refused."""
    body = event.get("body") or ""
    try:
        raw = b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError:
        raise malformed("unreadable_body", "the body is not what its encoding says") from None
    return Webhook(source, {name.lower(): value for name, value in (event.get("headers") or {}).items()}, raw)


def _report(
    message: str,
    fields: dict[str, object],
    level: str,
    metrics: dict[str, float],
    dimensions: tuple[str, ...],
) -> None:
    config = _deps.config
    if not config.enable_metrics:
        metrics = {}
    if level != "INFO" or config.log_level in {"DEBUG", "INFO"} or metrics:
        write_outcome(
            message,
            fields,
            function="ingest",
            environment=config.environment,
            level=level,
            metrics=metrics,
            dimensions=dimensions,
        )


def _answer(status: int, body: dict[str, object]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
