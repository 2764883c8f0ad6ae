"""Webhook secrets: from the environment, or from Secrets Manager with its current and previous version.

https://docs.aws.amazon.com/secretsmanager/latest/APIReference/API_GetSecretValue.html
"""

import time
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence

from shared.adapters.aws import AwsService
from shared.domain.errors import Permanent, Refused, Transient

REFRESH_SECONDS = 300.0
# A signature that fits no secret may be made with one rotated in a moment ago; anyone can send such a
# signature, so for their sake Secrets Manager is asked at most this often on average, and so many times in a row:
# a stray wrong signature must not stand in the way of a rotation.
REREAD_SECONDS = 10.0
MAX_REREADS = 5


def split_secrets(value: str) -> tuple[bytes, ...]:
    """Returns the secrets in ``value``, one a line: a secret may contain spaces and commas, but no line end."""
    return tuple(line.strip("\r").encode() for line in value.split("\n") if line.strip())


class FixedWebhookSecrets:
    """Secrets given at start; see ``shared.ports.WebhookSecrets``."""

    def __init__(self, secrets: Mapping[str, Sequence[bytes]]) -> None:
        self._secrets = secrets

    def read(self, source: str) -> Sequence[bytes] | None:
        """Returns the secrets of ``source``."""
        return self._secrets.get(source)

    def read_again(self, source: str) -> Sequence[bytes] | None:
        """There are never newer ones."""
        return None


class ManagedWebhookSecrets:
    """Secrets of Secrets Manager: rotating one leaves its previous version valid until the next rotation.

    Args:
        service: Secrets Manager.
        secret_ids: for each source the name or ARN of its secret.
        clock: seconds, monotonic.
    """

    def __init__(
        self, service: AwsService, secret_ids: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._service = service
        self._secret_ids = secret_ids
        self._clock = clock
        self._known: dict[str, tuple[float, tuple[bytes, ...]]] = {}
        self._rereads: dict[str, list[float]] = {}

    def read(self, source: str) -> Sequence[bytes] | None:
        """Returns the secrets of ``source``, at most 5 minutes old; older ones when they cannot be renewed."""
        if source not in self._secret_ids:
            return None
        known = self._known.get(source)
        if known is not None and self._clock() - known[0] < REFRESH_SECONDS:
            return known[1]
        try:
            return self._fetch(source)
        except Transient as error:
            if known is None:
                message = "the webhook secret cannot be read: send it again"
                raise Refused(503, "secrets_unavailable", message, str(error)) from None
            # What was valid stays in force; the next try waits, so that not every delivery pays for one.
            self._known[source] = (self._clock() - REFRESH_SECONDS + REREAD_SECONDS, known[1])
            return known[1]

    def read_again(self, source: str) -> Sequence[bytes] | None:
        """Returns fresh secrets, unless there are no others or they were asked for too often."""
        now = self._clock()
        recent = [at for at in self._rereads.get(source, ()) if now - at < MAX_REREADS * REREAD_SECONDS]
        if len(recent) >= MAX_REREADS:
            return None
        self._rereads[source] = [*recent, now]
        known = self._known.get(source)
        try:
            fresh = self._fetch(source)
        except Transient:
            return None
        return None if known is not None and fresh == known[1] else fresh

    def _fetch(self, source: str) -> tuple[bytes, ...]:
        found: list[bytes] = []
        for stage in ("AWSCURRENT", "AWSPREVIOUS"):
            try:
                answer = self._service.call(
                    "secretsmanager.GetSecretValue",
                    {"SecretId": self._secret_ids[source], "VersionStage": stage},
                    version="1.1",
                )
            except Permanent as error:
                if stage == "AWSPREVIOUS":  # never rotated yet
                    continue
                raise Transient(str(error)) from error
            value = answer.get("SecretString")
            found += split_secrets(value if value is not None else b64decode(answer["SecretBinary"]).decode())
        secrets = tuple(found)
        self._known[source] = (self._clock(), secrets)
        return secrets
