"""The envelope: round trips, damage, bombs and strangers."""

import json
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.envelope import (
    MAX_BODY_BYTES,
    Envelope,
    UnreadableEnvelope,
    decode_envelope,
    deflate,
    inflate,
)
from tests.support.factories import build_envelope


@given(st.binary(), st.text(st.characters(codec=None)))
def test_round_trip(body: bytes, subject: str) -> None:
    envelope = replace(build_envelope(body), subject=subject)
    text = envelope.encode()
    assert text.isascii()
    decoded = decode_envelope(text)
    assert decoded == envelope
    assert decoded.deflated is not None
    assert inflate(decoded.deflated) == body


def test_a_body_stored_apart_is_pointed_to() -> None:
    envelope = build_envelope(b"x" * 1000)
    apart = envelope.stored_apart()
    assert (apart.deflated, apart.body_key) == (None, f"github/{envelope.delivery_id}")
    assert decode_envelope(apart.encode()) == apart


def change(**fields: Any) -> str:  # noqa: ANN401 - any JSON may stand there
    return json.dumps({**json.loads(build_envelope().encode()), **fields})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "null",
        "[]",
        "1",
        "{}",
        '{"task_id": "x"}',
        "[" * 100_000,
        change(v=2),
        change(v=None),
        change(v="1"),
        change(body="not base64!"),
        change(body=1),
        change(surprise=1),
        change(delivery_id="no GUID"),
        change(delivery_id=None),
        change(subject=None),
        change(event=1),
        change(source=["github"]),
        change(received_at="today"),
        change(received_at=True),
        change(hook_id=1),
        change(body_key={}),
        build_envelope().encode()[:-1],
    ],
    ids=lambda text: text[-40:],
)
def test_what_is_no_envelope_of_ours(text: str) -> None:
    with pytest.raises(UnreadableEnvelope) as unreadable:
        decode_envelope(text)
    assert len(str(unreadable.value)) <= 400


def test_the_version_is_named() -> None:
    with pytest.raises(UnreadableEnvelope, match="version 2 is not 1"):
        decode_envelope(change(v=2))


@given(st.text())
def test_any_text_is_decoded_or_refused(text: str) -> None:
    with pytest.raises(UnreadableEnvelope):
        decode_envelope(text)


@pytest.mark.parametrize("damaged", [b"", b"no zlib", deflate(b"x" * 100)[:-1], deflate(b"x" * 100)[:-4]])
def test_damage(damaged: bytes) -> None:
    with pytest.raises(UnreadableEnvelope):
        inflate(damaged)


def test_a_changed_byte_is_seen() -> None:
    deflated = bytearray(deflate(bytes(range(256))))
    deflated[100] ^= 0xFF
    with pytest.raises(UnreadableEnvelope):
        inflate(bytes(deflated))


def test_a_bomb_is_not_unfolded() -> None:
    packer = zlib.compressobj(9)
    block = bytes(1_048_576)
    bomb = b"".join(packer.compress(block) for _ in range(MAX_BODY_BYTES // len(block) + 1)) + packer.flush()
    assert len(bomb) < 50_000
    with pytest.raises(UnreadableEnvelope, match="beyond its limit"):
        inflate(bomb)


def test_an_envelope_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        build_envelope().subject = "other"  # type: ignore[misc] # that is the point


def test_fields_have_their_order_in_the_message() -> None:
    envelope = Envelope("github", "id", "push", "a/b", "application/json", 1, None, None, "key", "1-a-b")
    assert json.loads(envelope.encode()) == {
        "source": "github",
        "delivery_id": "id",
        "event": "push",
        "subject": "a/b",
        "content_type": "application/json",
        "received_at": 1,
        "hook_id": None,
        "body_key": "key",
        "trace_id": "1-a-b",
        "v": 1,
        "body": None,
    }
