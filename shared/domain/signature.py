"""GitHub's webhook signature.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

import hmac
from collections.abc import Iterable

PREFIX = "sha256="


def sign(body: bytes, secret: bytes) -> str:
    """Returns the ``X-Hub-Signature-256`` header of ``body``: ``sha256=`` and 64 hex digits."""
    return PREFIX + hmac.digest(secret, body, "sha256").hex()


def is_signed(body: bytes, header: str, secrets: Iterable[bytes]) -> bool:
    """Tells whether ``header`` signs the exact bytes of ``body`` with one of ``secrets``.

    Several secrets are live while one is rotated. The header comes from anyone, so it is compared as bytes
    (``compare_digest`` refuses non-ASCII text) and in constant time.
    """
    given = header.encode("utf-8", "surrogatepass")
    # Every secret is tried, so that the time does not tell which one fitted.
    fits = [hmac.compare_digest(given, sign(body, secret).encode()) for secret in secrets]
    return any(fits)
