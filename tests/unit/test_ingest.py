"""Ingest: what is accepted, what is refused with which words, and what a refusal does not say."""

import json
import os
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest

from shared.adapters.memory.queues import MemoryBodyStore, MemoryDeliveryQueue
from shared.adapters.secrets import FixedWebhookSecrets
from shared.domain.envelope import Envelope, decode_envelope, inflate
from shared.domain.errors import Refused, Transient
from shared.domain.payload import TYPE_FORM
from shared.domain.signature import sign
from shared.ports import BodyStore, DeliveryQueue, WebhookSecrets
from shared.usecases.ingest import MAX_REQUEST_BYTES, Receipt, Webhook, ingest
from tests.support.clock import ManualClock
from tests.support.factories import RECEIVED_AT, SECRET, build_payload, build_webhook, read_payloads

CANARY = "canary-of-the-tests"
BODY = json.dumps(build_payload(title=CANARY)).encode()


class Door:
    """Ingest with its ports in memory."""

    def __init__(self) -> None:
        self.queue = MemoryDeliveryQueue(ManualClock())
        self.bodies = MemoryBodyStore()
        self.secrets: WebhookSecrets = FixedWebhookSecrets({"github": [SECRET]})

    def ingest(
        self, webhook: Webhook, *, queue: DeliveryQueue | None = None, bodies: BodyStore | None = None
    ) -> Receipt:
        """Offers a webhook."""
        return ingest(
            webhook,
            secrets=self.secrets,
            queue=queue or self.queue,
            bodies=bodies or self.bodies,
            received_at=RECEIVED_AT,
        )

    def read_queue(self) -> Iterator[Envelope]:
        """Yields what was accepted."""
        for message in self.queue.messages.receive():
            yield decode_envelope(message.body)


def random_text(characters: int) -> str:
    """Returns text that hardly shrinks."""
    return b64encode(os.urandom(characters * 3 // 4)).decode()


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_webhook_is_accepted_byte_for_byte(door: Door) -> None:
    body = b'{"repository": {"full_name": "acme/widgets"},  "issue": {"number": 7}, "x": "\\u0000 \\ud800 \xc3\xa4"}'
    webhook = build_webhook(body, x_github_event="issues", x_github_delivery="0B4F6D5E-0000-4000-8000-00000000000A")
    receipt = door.ingest(webhook)

    delivery_id = "0b4f6d5e-0000-4000-8000-00000000000a"
    assert receipt == Receipt(delivery_id, "issues", "acme/widgets#7", len(body), is_stored_apart=False, trace_id=None)
    [envelope] = door.read_queue()
    assert envelope.deflated is not None
    assert inflate(envelope.deflated) == body
    assert (envelope.source, envelope.delivery_id, envelope.event) == ("github", delivery_id, "issues")
    assert (envelope.subject, envelope.received_at, envelope.hook_id) == ("acme/widgets#7", RECEIVED_AT, "12345")


def test_every_real_payload_is_accepted(door: Door) -> None:
    for event, payloads in read_payloads().items():
        for payload in payloads:
            door.ingest(build_webhook(json.dumps(payload).encode(), x_github_event=event))
    assert len(door.queue.messages) == 235


def test_a_form_is_accepted(door: Door) -> None:
    form = urlencode({"payload": '{"repository": {"full_name": "acme/w\u00e4dgets"}}'}).encode()
    assert door.ingest(build_webhook(form, content_type=TYPE_FORM)).subject == "acme/w\u00e4dgets"
    [envelope] = door.read_queue()
    assert envelope.content_type == TYPE_FORM
    assert envelope.deflated is not None
    assert inflate(envelope.deflated) == form


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "application/json; charset=utf-8"},
        {"content_type": "Application/JSON"},
        {"content_encoding": "identity"},
        {"x_github_hook_id": None},
        {"x_github_hook_installation_target_type": None, "x_github_hook_installation_target_id": None},
        {"x_github_event": "an_event_of_tomorrow"},
        {"x_github_event": "ping"},
        {"user_agent": None},
        {"x_hub_signature": "sha1=wrong"},
    ],
)
def test_variants_that_are_accepted(door: Door, headers: dict[str, Any]) -> None:
    receipt = door.ingest(build_webhook(**headers))
    assert receipt.is_ping == (headers.get("x_github_event") == "ping")
    assert len(door.queue.messages) == 1


def test_a_large_body_is_stored_apart(door: Door) -> None:
    body = json.dumps({"noise": random_text(1_500_000), "repository": {"full_name": "acme/widgets"}}).encode()
    receipt = door.ingest(build_webhook(body))
    assert receipt.is_stored_apart
    [envelope] = door.read_queue()
    assert envelope.deflated is None
    assert envelope.body_key == f"github/{receipt.delivery_id}"
    assert inflate(door.bodies.get(envelope.body_key)) == body


def test_the_largest_body_is_accepted(door: Door) -> None:
    body = b'{"a":"' + b"x" * (MAX_REQUEST_BYTES - 8) + b'"}'
    assert len(body) == MAX_REQUEST_BYTES
    assert not door.ingest(build_webhook(body)).is_stored_apart


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"source": "gitlab"}, 404, "unknown_source"),
    ({"source": ""}, 404, "unknown_source"),
    ({"x_github_delivery": None}, 400, "missing_header"),
    ({"x_github_delivery": ""}, 400, "malformed_header"),
    ({"x_github_delivery": f"72d3162e-cc78-11e3-81ab-{CANARY}"}, 400, "malformed_header"),
    ({"x_github_delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958\n"}, 400, "malformed_header"),
    ({"x_github_delivery": "{72d3162e-cc78-11e3-81ab-4c9367dc0958}"}, 400, "malformed_header"),
    ({"x_github_event": None}, 400, "missing_header"),
    ({"x_github_event": "Push"}, 400, "malformed_header"),
    ({"x_github_event": f"push {CANARY}"}, 400, "malformed_header"),
    ({"x_github_event": "\u0660"}, 400, "malformed_header"),
    ({"x_github_event": "x" * 65}, 400, "malformed_header"),
    ({"x_github_hook_id": CANARY}, 400, "malformed_header"),
    ({"x_github_hook_id": "\u0661"}, 400, "malformed_header"),
    ({"x_github_hook_installation_target_type": CANARY.upper()}, 400, "malformed_header"),
    ({"x_github_hook_installation_target_id": "-1"}, 400, "malformed_header"),
    ({"content_type": None}, 415, "unsupported_type"),
    ({"content_type": "text/plain"}, 415, "unsupported_type"),
    ({"content_type": f"application/{CANARY}"}, 415, "unsupported_type"),
    ({"content_type": "multipart/form-data; boundary=x"}, 415, "unsupported_type"),
    ({"content_encoding": "gzip"}, 415, "unsupported_encoding"),
    ({"content_encoding": CANARY}, 415, "unsupported_encoding"),
    ({"body": b""}, 400, "empty_body"),
    ({"body": b"x" * (MAX_REQUEST_BYTES + 1)}, 413, "too_large"),
    ({"x_hub_signature_256": None}, 401, "missing_signature"),
    ({"x_hub_signature_256": None, "x_hub_signature": "sha1=x"}, 401, "missing_signature"),
    ({"x_hub_signature_256": ""}, 401, "bad_signature"),
    ({"x_hub_signature_256": "sha1=" + "0" * 40}, 401, "bad_signature"),
    ({"x_hub_signature_256": "\u00e4" * 71}, 401, "bad_signature"),
    ({"x_hub_signature_256": sign(BODY, SECRET).upper()}, 401, "bad_signature"),
    ({"x_hub_signature_256": sign(BODY, SECRET)[:-1]}, 401, "bad_signature"),
    ({"x_hub_signature_256": f"{sign(BODY, SECRET)},{sign(BODY, SECRET)}"}, 401, "bad_signature"),
    ({"x_hub_signature_256": sign(BODY + b" ", SECRET)}, 401, "bad_signature"),
    ({"secret": b"another secret"}, 401, "bad_signature"),
    ({"body": f"{CANARY}".encode()}, 400, "invalid_json"),
    ({"body": b'{"a": NaN}'}, 400, "invalid_json"),
    ({"body": b'{"a": ' + b"9" * 5000 + b"}"}, 400, "invalid_json"),
    ({"body": b"\xff"}, 400, "invalid_utf8"),
    ({"body": b"[]"}, 400, "not_an_object"),
    ({"body": b"[" * 100_000}, 400, "too_nested"),
    ({"body": b"other=1", "content_type": TYPE_FORM}, 400, "no_payload_field"),
    ({"body": f"payload={CANARY}".encode(), "content_type": TYPE_FORM}, 400, "invalid_json"),
]


@pytest.mark.parametrize(
    ("change", "status", "code"), REFUSALS, ids=[f"{number}-{code}" for number, (_, _, code) in enumerate(REFUSALS)]
)
def test_refusal(door: Door, change: dict[str, Any], status: int, code: str) -> None:
    webhook = build_webhook(**{"body": BODY, **change})
    with pytest.raises(Refused) as refused:
        door.ingest(webhook)
    assert (refused.value.status, refused.value.code) == (status, code)
    # Whoever is refused learns nothing that they sent, and nothing of ours.
    assert CANARY not in refused.value.message
    assert SECRET.decode() not in refused.value.message
    assert refused.value.message.isprintable()
    assert not len(door.queue.messages)


@pytest.mark.parametrize("body", [CANARY.encode(), b"[" * 100_000, b"\xff"])
def test_no_body_is_read_before_it_is_verified(door: Door, body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        door.ingest(build_webhook(body, secret=b"another secret"))
    assert refused.value.code == "bad_signature"


class FullQueue:
    """A queue that does not say that it has it."""

    def send(self, envelope: Envelope) -> None:
        raise Transient(f"no answer about {envelope.delivery_id}")


class FullStore(MemoryBodyStore):
    def put(self, key: str, deflated: bytes) -> None:
        raise Transient(f"no answer about {key} and {len(deflated)} bytes")


def test_what_the_queue_does_not_take_is_not_accepted(door: Door) -> None:
    with pytest.raises(Refused) as refused:
        door.ingest(build_webhook(), queue=FullQueue())
    assert (refused.value.status, refused.value.code) == (503, "queue_unavailable")
    assert str(refused.value.cause).startswith("no answer about ")
    assert "no answer about" not in refused.value.message


def test_what_the_store_does_not_take_is_not_queued(door: Door) -> None:
    body = json.dumps({"noise": random_text(1_500_000)}).encode()
    with pytest.raises(Refused) as refused:
        door.ingest(build_webhook(body), bodies=FullStore())
    assert (refused.value.status, refused.value.code) == (503, "queue_unavailable")
    assert not len(door.queue.messages)


class RotatedSecrets:
    """Secrets whose copy is older than the rotation."""

    def __init__(self, newer: Sequence[bytes] | None) -> None:
        self._newer = newer

    def read(self, source: str) -> Sequence[bytes] | None:
        return [b"older than " + source.encode()]

    def read_again(self, source: str) -> Sequence[bytes] | None:
        return self._newer if source == "github" else None


def test_a_secret_that_was_just_rotated_in_is_found(door: Door) -> None:
    door.secrets = RotatedSecrets([SECRET])
    door.ingest(build_webhook())
    assert len(door.queue.messages) == 1


@pytest.mark.parametrize("newer", [None, [], [b"yet another"]])
def test_a_signature_that_fits_no_newer_secret_is_refused(door: Door, newer: list[bytes] | None) -> None:
    door.secrets = RotatedSecrets(newer)
    with pytest.raises(Refused) as refused:
        door.ingest(build_webhook())
    assert refused.value.code == "bad_signature"


def test_several_secrets_are_live(door: Door) -> None:
    door.secrets = FixedWebhookSecrets({"github": [b"newer", SECRET]})
    door.ingest(build_webhook())
    door.ingest(build_webhook(secret=b"newer"))
    assert len(door.queue.messages) == 2
