"""Ingest: verify a webhook as it came and put it into the queue; 202 means the queue has it.

It judges from the cheapest check to the dearest, reads no body it has not verified, and knows no database.
https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.envelope import MAX_MESSAGE_BYTES, Envelope, deflate
from shared.domain.errors import Refused, Transient
from shared.domain.payload import TYPE_FORM, TYPE_JSON, malformed, parse_payload, read_json
from shared.domain.signature import is_signed
from shared.domain.subject import derive_subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    # The ports speak of workflows, and those are pydantic's: 100 ms of cold start that ingest need not pay.
    from shared.ports import BodyStore, DeliveryQueue, WebhookSecrets

# What Lambda takes in one synchronous call; the local front refuses the same, so that both behave alike.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_REQUEST_BYTES = 6 * 1_048_576

_DELIVERY_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_HOOK_ID = re.compile(r"[0-9]{1,20}", re.ASCII)
# https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
_TRACE_ID = re.compile(r"Root=(1-[0-9a-f]{8}-[0-9a-f]{24})", re.ASCII)
_TARGET_TYPE = re.compile(r"[a-z][a-z_]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A request as it came: ``headers`` in lower case, ``body`` the exact bytes."""

    source: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was accepted."""

    delivery_id: str
    event: str
    subject: str
    size_bytes: int
    is_stored_apart: bool
    trace_id: str | None

    @property
    def is_ping(self) -> bool:
        """GitHub's greeting to a new hook: recorded like any delivery, answered with 200."""
        return self.event == "ping"


def ingest(
    webhook: Webhook, *, secrets: WebhookSecrets, queue: DeliveryQueue, bodies: BodyStore, received_at: int
) -> Receipt:
    """Verifies ``webhook`` and queues it; ``received_at`` is in milliseconds since 1970.

    Raises:
        Refused: with the status to answer: 400, 401, 404, 413, 415, or 503 when the queue does not take it.
    """
    live_secrets = secrets.read(webhook.source)
    if live_secrets is None:
        raise Refused(404, "unknown_source", "there is no such source of webhooks")
    headers = webhook.headers
    delivery_id = _header(headers, "x-github-delivery", _DELIVERY_ID, "a GUID").lower()
    event = _header(headers, "x-github-event", _EVENT, "an event name")
    hook_id = None
    if "x-github-hook-id" in headers:
        hook_id = _header(headers, "x-github-hook-id", _HOOK_ID, "a whole number")
    if "x-github-hook-installation-target-type" in headers:
        _header(headers, "x-github-hook-installation-target-type", _TARGET_TYPE, "a kind of target")
    if "x-github-hook-installation-target-id" in headers:
        _header(headers, "x-github-hook-installation-target-id", _HOOK_ID, "a whole number")
    content_type = _content_type(headers)
    if not webhook.body:
        raise malformed("empty_body", "the body is empty")
    if len(webhook.body) > MAX_REQUEST_BYTES:
        raise Refused(413, "too_large", f"the body is over {MAX_REQUEST_BYTES} bytes")
    _verify(webhook, live_secrets, secrets)
    subject = derive_subject(event, parse_payload(read_json(webhook.body, content_type))).key
    traced = _TRACE_ID.search(headers.get("x-amzn-trace-id", ""))
    envelope = Envelope(
        webhook.source,
        delivery_id,
        event,
        subject,
        content_type,
        received_at,
        hook_id,
        deflate(webhook.body),
        trace_id=traced[1] if traced else None,
    )
    is_stored_apart = _queue(envelope, queue, bodies)
    return Receipt(delivery_id, event, subject, len(webhook.body), is_stored_apart, envelope.trace_id)


def _header(headers: Mapping[str, str], name: str, form: re.Pattern[str], wanted: str) -> str:
    value = headers.get(name)
    if value is None:
        raise malformed("missing_header", f"the header {name} is missing")
    if form.fullmatch(value) is None:
        raise malformed("malformed_header", f"the header {name} must be {wanted}")
    return value


def _content_type(headers: Mapping[str, str]) -> str:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise Refused(415, "unsupported_encoding", "the body must not be compressed (content-encoding)")
    content_type, _, _ = headers.get("content-type", "").partition(";")
    content_type = content_type.strip().lower()
    if content_type not in {TYPE_JSON, TYPE_FORM}:
        raise Refused(415, "unsupported_type", f"the content type must be {TYPE_JSON} or {TYPE_FORM}")
    return content_type


def _verify(webhook: Webhook, live_secrets: Sequence[bytes], secrets: WebhookSecrets) -> None:
    signature = webhook.headers.get("x-hub-signature-256")
    if signature is None:
        # `x-hub-signature` (SHA-1) is no substitute: accepting it would let a sender choose the weaker one.
        raise Refused(401, "missing_signature", "the header x-hub-signature-256 is missing")
    if is_signed(webhook.body, signature, live_secrets):
        return
    newer_secrets = secrets.read_again(webhook.source)
    if newer_secrets is None or not is_signed(webhook.body, signature, newer_secrets):
        raise Refused(401, "bad_signature", "the header x-hub-signature-256 does not sign this body")


def _queue(envelope: Envelope, queue: DeliveryQueue, bodies: BodyStore) -> bool:
    try:
        if envelope.deflated is not None and len(envelope.deflated) * 4 // 3 > MAX_MESSAGE_BYTES - 4_096:
            bodies.put(envelope.stored_key, envelope.deflated)
            queue.send(envelope.stored_apart())
            return True
        queue.send(envelope)
    except Transient as error:
        message = "the queue did not take the delivery: send it again"
        raise Refused(503, "queue_unavailable", message, str(error)) from None
    return False
