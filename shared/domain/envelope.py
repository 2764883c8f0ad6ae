"""The envelope: a delivery as it waits in the queue.

The raw body travels byte for byte, compressed and in ASCII (SQS takes only the characters of XML 1.0), or as
the key of a stored object where it would not fit into a message.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
"""

import json
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass, fields, replace

VERSION = 1
# SQS's limit for a message with its attributes, and what the attributes may take of it.
MAX_MESSAGE_BYTES = 1_048_576 - 1_024
# A body that inflates beyond this was not accepted by ingest (6 MB), so it is not one of ours.
MAX_BODY_BYTES = 32 * 1_048_576


class UnreadableEnvelope(ValueError):
    """The message in the queue is no envelope that this version can read."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A delivery as queued.

    Attributes:
        source: who sent it, ``github``.
        delivery_id: GitHub's ``X-GitHub-Delivery``; with ``source`` the identity of the delivery, because
            GitHub keeps it across redeliveries and across hooks.
        event: GitHub's ``X-GitHub-Event``.
        subject: the key of what it is about; the order of deliveries is kept for each.
        content_type: of the body as it came.
        received_at: milliseconds since 1970, UTC.
        hook_id: GitHub's ``X-GitHub-Hook-ID``, or None.
        deflated: the body, compressed by ``deflate``; None when it is stored under ``body_key``.
        body_key: the object that holds the compressed body, when it is too large for a message.
        trace_id: of the trace that began at API Gateway, ``1-5759e988-bd862e3fe1be46a994272793``, or None.
    """

    source: str
    delivery_id: str
    event: str
    subject: str
    content_type: str
    received_at: int
    hook_id: str | None
    deflated: bytes | None
    body_key: str | None = None
    trace_id: str | None = None

    @property
    def ids(self) -> dict[str, object]:
        """The ids that every log line about the delivery carries."""
        return {"correlation_id": self.delivery_id, "delivery_id": self.delivery_id, "trace_id": self.trace_id}

    @property
    def stored_key(self) -> str:
        """The object key under which a large body is stored: one per delivery, so a retry overwrites itself."""
        return f"{self.source}/{self.delivery_id}"

    def stored_apart(self) -> "Envelope":
        """Returns the envelope with a pointer in place of its body."""
        return replace(self, deflated=None, body_key=self.stored_key)

    def encode(self) -> str:
        """Returns the message text, ASCII."""
        message = {name: getattr(self, name) for name in _TRAVELLING}
        message["v"] = VERSION
        message["body"] = None if self.deflated is None else b64encode(self.deflated).decode("ascii")
        return _encode(message)


# The body travels under a name of its own, in ASCII.
_TRAVELLING = tuple(each.name for each in fields(Envelope) if each.name != "deflated")
_encode = json.JSONEncoder(separators=(",", ":")).encode


def decode_envelope(text: str) -> Envelope:
    """Returns the envelope in a message.

    Raises:
        UnreadableEnvelope: when the text is none, or of a version this code does not know.
    """
    try:
        message = json.loads(text)
        version = message.pop("v")
        body = message.pop("body")
        if version != VERSION:
            raise UnreadableEnvelope(f"envelope version {version!r} is not {VERSION}")
        return _checked(Envelope(**message, deflated=None if body is None else b64decode(body, validate=True)))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        if isinstance(error, UnreadableEnvelope):
            raise
        raise UnreadableEnvelope(f"not an envelope: {type(error).__name__}: {error}"[:300]) from None


def _checked(envelope: Envelope) -> Envelope:
    """Returns the envelope; raises ValueError when a field is of another type than the database takes."""
    from uuid import UUID  # noqa: PLC0415 - ingest encodes only, and need not pay for it

    UUID(envelope.delivery_id)
    texts = (envelope.source, envelope.event, envelope.subject, envelope.content_type)
    optional_texts = (envelope.hook_id, envelope.body_key, envelope.trace_id)
    is_typed = all(isinstance(text, str) for text in texts) and type(envelope.received_at) is int
    if not is_typed or not all(text is None or isinstance(text, str) for text in optional_texts):
        raise ValueError("a field is of another type")
    return envelope


def deflate(body: bytes) -> bytes:
    """Returns ``body`` compressed at the fastest level: a payload shrinks to a quarter in 20 to 40 microseconds."""
    return zlib.compress(body, 1)


def inflate(deflated: bytes) -> bytes:
    """Returns the body that ``deflate`` compressed.

    Raises:
        UnreadableEnvelope: when the bytes are damaged or inflate beyond ``MAX_BODY_BYTES``.
    """
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(deflated, MAX_BODY_BYTES)
    except zlib.error as error:
        raise UnreadableEnvelope(f"the body cannot be inflated: {error}") from None
    if not inflater.eof:
        raise UnreadableEnvelope("the body is cut short or inflates beyond its limit")
    return body
