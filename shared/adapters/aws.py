"""Signed requests to AWS services over the standard library's HTTP client.

boto3 costs 170 ms of CPU at a cold start and 0.5 ms a call; the orchestrator needs five calls of three
services, so it signs them itself. The signature is tested byte for byte against botocore's.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import http.client
import json
import os
import ssl
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from shared.domain.errors import Permanent, Transient

# Both tries together stay well under the 10 seconds GitHub waits for ingest's answer.
TIMEOUT_SECONDS = 3.5

# Error types that a later call may not meet; everything else below 500 is a fault of ours.
_TRANSIENT_CODES = (
    "Throttl",
    "TooManyRequests",
    "RequestLimitExceeded",
    "SlowDown",
    "ExpiredToken",
    "InternalError",
)

# What a connection raises that the other side has closed: before Python 3.13, TLS has its own words for it.
_CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class Credentials(NamedTuple):
    """An access key, as Lambda puts it into the environment."""

    access_key: str
    secret_key: str
    session_token: str | None


class AwsRefusal(Permanent):
    """A service refuses a call.

    Attributes:
        code: as the service names it, ``AccessDenied``.
    """

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.code = code


class Answer(NamedTuple):
    """A response, read to its end."""

    status: int
    body: bytes


def read_credentials(environ: Mapping[str, str] = os.environ) -> Credentials:
    """Returns the credentials of the environment, read at each call: Lambda renews them in place."""
    return Credentials(
        environ.get("AWS_ACCESS_KEY_ID", ""),
        environ.get("AWS_SECRET_ACCESS_KEY", ""),
        environ.get("AWS_SESSION_TOKEN"),
    )


def sign_request(
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    *,
    service: str,
    region: str,
    credentials: Credentials,
    at: time.struct_time,
) -> dict[str, str]:
    """Returns ``headers`` (lower-case names, ``host`` among them) with Signature Version 4 added.

    ``path`` is already percent-encoded and has no query.
    """
    timestamp = time.strftime("%Y%m%dT%H%M%SZ", at)
    digest = hashlib.sha256(body).hexdigest()
    signed = {**headers, "x-amz-date": timestamp}
    if service == "s3":
        signed["x-amz-content-sha256"] = digest
    if credentials.session_token is not None:
        signed["x-amz-security-token"] = credentials.session_token
    names = sorted(signed)
    canonical_headers = "".join([f"{name}:{signed[name].strip()}\n" for name in names])
    signed_names = ";".join(names)
    canonical = f"{method}\n{path}\n\n{canonical_headers}\n{signed_names}\n{digest}"
    scope = f"{timestamp[:8]}/{region}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _derive_key(credentials.secret_key, timestamp[:8], region, service)
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={signed_names}, Signature={signature}"
    )
    return signed


@lru_cache(maxsize=16)
def _derive_key(secret_key: str, date: str, region: str, service: str) -> bytes:
    """Returns the day's key of a service: AWS means it to be kept for as long."""
    key = b"AWS4" + secret_key.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class AwsService:
    """One AWS service at one address; safe to share between threads.

    Args:
        service: its signing name, ``sqs``.
        region: ``eu-central-1``.
        endpoint: ``AWS_ENDPOINT_URL``, or None for AWS itself.
        timeout_seconds: of one try, connecting and answering each.
    """

    def __init__(
        self, service: str, region: str, endpoint: str | None = None, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        address = urlsplit(endpoint or f"https://{service}.{region}.amazonaws.com")
        self._service = service
        self._region = region
        self._address = address
        self._host = address.netloc
        self._timeout_seconds = timeout_seconds
        # A list is a thread-safe stack: a caller takes an idle connection or opens one.
        self._idle: list[http.client.HTTPConnection] = []

    def call(self, target: str, parameters: Mapping[str, object], version: str = "1.0") -> dict[str, Any]:
        """Calls an operation of a JSON protocol and returns its answer.

        Raises:
            Transient: when the service cannot be reached, throttles or fails.
            AwsRefusal: when it refuses the call.
        """
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
        answer = self.request("POST", "/", headers, json.dumps(parameters, separators=(",", ":")).encode())
        return json.loads(answer.body) if answer.body else {}

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Sends one signed request; ``path`` is not yet encoded. Raises as ``call`` does."""
        path = quote(path, safe="/-_.~")
        try:
            answer = self._exchange(method, path, headers, body)
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"{self._service} cannot be reached: {type(error).__name__}: {error}") from error
        if answer.status < 300:  # noqa: PLR2004 - the 2xx class
            return answer
        code = _error_code(answer.body)
        message = f"{self._service} answered {answer.status} {code}"
        if answer.status >= 500 or any(known in code for known in _TRANSIENT_CODES):  # noqa: PLR2004 - the 5xx class
            raise Transient(message)
        raise AwsRefusal(message, code)

    def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        signed = sign_request(
            method,
            path,
            {**headers, "host": self._host},
            body,
            service=self._service,
            region=self._region,
            credentials=read_credentials(),
            at=time.gmtime(),
        )
        while True:
            try:
                connection, is_reused = self._idle.pop(), True
            except IndexError:
                connection, is_reused = self._connect(), False
            try:
                connection.request(method, path, body, signed)
                response = connection.getresponse()
                answer = Answer(response.status, response.read())
            except _CLOSED:
                connection.close()
                # The service closed an idle connection meanwhile (a frozen Lambda finds that often): a new
                # one tells whether it is there. Every call of ours may be repeated.
                if is_reused:
                    continue
                raise
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)
            return answer

    def _connect(self) -> http.client.HTTPConnection:
        if self._address.scheme == "http":
            return http.client.HTTPConnection(self._host, timeout=self._timeout_seconds)
        return http.client.HTTPSConnection(self._host, timeout=self._timeout_seconds)

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().close()


def _error_code(body: bytes) -> str:
    try:
        fault = json.loads(body)
        return str(fault.get("__type", "")).rpartition("#")[2]
    except (ValueError, AttributeError):
        # S3 speaks XML; the code is all that is needed of it.
        return body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode("ascii", "replace")
