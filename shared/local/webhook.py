"""Sends a webhook as GitHub does."""

import uuid
from importlib.resources import files

import httpx

from shared.domain.payload import TYPE_JSON
from shared.domain.signature import sign
from shared.local import samples


def build_headers(
    event: str, body: bytes, secret: str, delivery_id: str | None = None, content_type: str = TYPE_JSON
) -> dict[str, str]:
    """Returns GitHub's headers for ``body``; the delivery id is a new one unless given.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
    """
    return {
        "content-type": content_type,
        "user-agent": "GitHub-Hookshot/sample",
        "x-github-delivery": delivery_id or str(uuid.uuid4()),
        "x-github-event": event,
        "x-github-hook-id": "1",
        "x-github-hook-installation-target-id": "1",
        "x-github-hook-installation-target-type": "repository",
        "x-hub-signature-256": sign(body, secret.encode()),
    }


def list_samples() -> list[str]:
    """Returns the events of which there is a sample payload."""
    return sorted(path.name.removesuffix(".json") for path in files(samples).iterdir() if path.name.endswith(".json"))


def read_sample(event: str) -> bytes:
    """Returns the sample payload of an event."""
    return files(samples).joinpath(f"{event}.json").read_bytes()


def send_webhook(url: str, event: str, body: bytes, secret: str) -> httpx.Response:
    """Posts a webhook and returns the answer. Raises httpx.HTTPError when there is none."""
    return httpx.post(url, content=body, headers=build_headers(event, body, secret), timeout=15.0)
