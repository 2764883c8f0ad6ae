"""What tests are made of: payloads, webhooks, envelopes, deliveries and workflows."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from shared.domain.delivery import Delivery, read_delivery
from shared.domain.envelope import Envelope, deflate
from shared.domain.payload import TYPE_JSON
from shared.domain.signature import sign
from shared.domain.subject import derive_subject
from shared.domain.workflow import Workflow
from shared.usecases.ingest import Webhook

DATA = Path(__file__).parents[1] / "data"
SECRET = b"a secret of the tests"
RECEIVED_AT = 1_790_000_000_123
SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"


@cache
def read_payloads() -> dict[str, list[dict[str, Any]]]:
    """Returns real payloads by event."""
    payloads: dict[str, list[dict[str, Any]]] = json.loads(
        gzip.decompress((DATA / "github-payloads.json.gz").read_bytes())
    )
    return payloads


@cache
def read_events() -> list[str]:
    """Returns the names of GitHub's webhook events."""
    return list(json.loads((DATA / "github-webhook-events.json").read_text())["events"])


def build_payload(**members: object) -> dict[str, Any]:
    """Returns the payload of a pull request that was opened, with ``members`` in place of its own."""
    return {
        "action": "opened",
        "number": 7,
        "pull_request": {
            "number": 7,
            "title": "Widgets",
            "draft": False,
            "head": {"sha": SHA},
            "user": {"login": "ada"},
            "author_association": "MEMBER",
        },
        "repository": {"id": 1, "full_name": "acme/widgets", "default_branch": "main"},
        "sender": {"login": "ada", "type": "User"},
        **members,
    }


def build_webhook(
    body: bytes | None = None, *, source: str = "github", secret: bytes = SECRET, **headers: str | None
) -> Webhook:
    """Returns a signed webhook; ``headers`` replace or, when None, remove those of GitHub (``_`` stands for ``-``)."""
    if body is None:
        body = json.dumps(build_payload()).encode()
    given: dict[str, str | None] = {
        "x-github-event": "pull_request",
        "x-github-delivery": str(uuid4()),
        "x-github-hook-id": "12345",
        "x-github-hook-installation-target-type": "repository",
        "x-github-hook-installation-target-id": "1",
        "x-hub-signature-256": sign(body, secret),
        "content-type": TYPE_JSON,
        "user-agent": "GitHub-Hookshot/abc",
    }
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Webhook(source, {name: value for name, value in given.items() if value is not None}, body)


def build_envelope(payload: object = None, *, event: str = "pull_request", delivery_id: str | None = None) -> Envelope:
    """Returns the envelope of a payload, or of the bytes of a body."""
    if payload is None:
        payload = build_payload()
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    subject = derive_subject(event, payload).key if isinstance(payload, dict) else event
    return Envelope(
        "github",
        delivery_id or str(uuid4()),
        event,
        subject,
        TYPE_JSON,
        RECEIVED_AT,
        "12345",
        deflate(body),
    )


def build_delivery(payload: object = None, **fields: Any) -> Delivery:  # noqa: ANN401 - those of build_envelope
    """Returns a delivery as route reads it out of its envelope."""
    envelope = build_envelope(payload, **fields)
    assert envelope.deflated is not None
    return read_delivery(envelope, envelope.deflated)


def build_workflow(*steps: dict[str, Any], name: str = "greet", on: dict[str, Any] | None = None) -> Workflow:
    """Returns a workflow on pull requests that runs an agent and comments, unless told otherwise."""
    if not steps:
        steps = (
            {"id": "work", "uses": "codegen.run", "with": {"prompt": "Look at {{ subject.key }}"}, "timeout": "2h"},
            {"uses": "github.comment", "with": {"body": "Done: {{ steps.work.result }}"}},
        )
    return Workflow.model_validate({"name": name, "on": on or {"pull_request": {}}, "steps": list(steps)})
