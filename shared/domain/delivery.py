"""A delivery: one webhook as sent, read as far as every workflow needs it."""

from dataclasses import dataclass
from typing import Any

from shared.domain.command import read_command
from shared.domain.envelope import Envelope, inflate
from shared.domain.moment import Moment, read_moment
from shared.domain.payload import parse_payload, read_json
from shared.domain.subject import Subject, derive_subject, storable

MAX_TEXT_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery with its payload read.

    Attributes:
        envelope: as it came out of the queue.
        payload: GitHub's JSON.
        subject: what it is about.
        action: the payload's ``action``, or None.
        sender: the login of who caused it, or None.
    """

    envelope: Envelope
    payload: dict[str, Any]
    subject: Subject
    action: str | None
    sender: str | None

    @property
    def moment(self) -> Moment | None:
        """The moment of its subject that it tells of, or None."""
        return read_moment(self.envelope.event, self.payload, self.subject.sha)

    @property
    def document(self) -> dict[str, Any]:
        """What patterns are matched against and templates see; see ``build_document``."""
        return build_document(self.envelope.event, self.envelope.delivery_id, self.payload, self.subject)


def read_delivery(envelope: Envelope, deflated: bytes) -> Delivery:
    """Returns the delivery in ``envelope``, whose compressed body is ``deflated``.

    Raises:
        UnreadableEnvelope: when the body cannot be inflated.
        Refused: when the body is no payload, which ingest would not have accepted.
    """
    payload = parse_payload(read_json(inflate(deflated), envelope.content_type))
    return Delivery(
        envelope,
        payload,
        derive_subject(envelope.event, payload),
        _short_text(payload.get("action")),
        _short_text(payload["sender"].get("login")) if isinstance(payload.get("sender"), dict) else None,
    )


def build_document(event: str, delivery_id: str, payload: dict[str, Any], subject: Subject) -> dict[str, Any]:
    """Returns the payload with ``subject``, ``delivery`` and, when it is one, ``command`` beside its own members."""
    repository = payload.get("repository")
    default_branch = repository.get("default_branch") if isinstance(repository, dict) else None
    command = read_command(payload)
    return {
        **payload,
        **({} if command is None else {"command": command}),
        "subject": {
            "key": subject.key,
            "repository": subject.repository,
            "number": subject.number,
            "sha": subject.sha,
            "ref": subject.ref,
            "is_default_branch": subject.ref is not None and subject.ref == f"refs/heads/{default_branch}",
        },
        "delivery": {"id": delivery_id, "event": event},
    }


def _short_text(value: object) -> str | None:
    return storable(value)[:MAX_TEXT_CHARACTERS] if isinstance(value, str) else None
