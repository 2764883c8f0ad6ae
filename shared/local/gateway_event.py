"""API Gateway's payload format 2.0: a request becomes a Lambda event, a function's result an answer.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import re
import time
import uuid
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from shared.local.lambda_context import ACCOUNT_ID

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_BODY_BYTES = 10_485_760
MAX_HEADER_BYTES = 10_240
# What Lambda takes and gives in one synchronous call.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_EVENT_BYTES = 6_291_456

DEFAULT_ROUTE = "$default"
WEBHOOK_ROUTE = "POST /api/v1/webhooks/{source}"
_WEBHOOK_PATH = re.compile(rb"/api/v1/webhooks/([^/]+)")

# The types whose bodies travel as text, measured on AWS by others: the documentation does not list them.
# Every other type, also a form and none at all, travels in base64.
# https://github.com/ministackorg/ministack/pull/766
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/javascript"})

# The server frames its answers itself.
_FRAMING_HEADERS = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})


class Answer(NamedTuple):
    """A response as it goes to the client."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def find_source(method: str, raw_path: bytes) -> str | None:
    """Returns the ``source`` of the webhook route, or None when the request takes another route."""
    found = _WEBHOOK_PATH.fullmatch(raw_path) if method == "POST" else None
    return unquote(found[1]) if found else None


def is_text(content_type: str) -> bool:
    """Whether a body of this type travels as text."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.startswith("text/") or media_type in _TEXT_TYPES


def measure_body(length: int, content_type: str) -> int:
    """Returns the bytes that a body of ``length`` bytes takes in the event."""
    return length if is_text(content_type) else (length + 2) // 3 * 4


def encode_body(body: bytes, content_type: str) -> tuple[str, bool]:
    """Returns the body as the event holds it, and whether that is base64."""
    if is_text(content_type):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            # Replacing what is not UTF-8 would change the bytes that the sender signed.
            pass
    return b64encode(body).decode("ascii"), True


def build_event(scope: Mapping[str, Any], source: str | None, body: tuple[str, bool] | None) -> dict[str, Any]:
    """Returns the event of a request; what a request does not have is absent, as on AWS.

    Args:
        scope: of ASGI.
        source: the webhook route's parameter, or None for the default route.
        body: what ``encode_body`` made of it, or None without one.
    """
    now = time.time()
    headers, cookies = _join_headers(scope["headers"])
    source_ip = scope["client"][0] if scope["client"] else "127.0.0.1"
    forwarded_for = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{forwarded_for}, {source_ip}" if forwarded_for else source_ip
    headers["x-forwarded-proto"] = scope["scheme"]
    # API Gateway begins a trace where the sender has none.
    headers.setdefault("x-amzn-trace-id", f"Root=1-{int(now):08x}-{uuid.uuid4().hex[:24]}")
    headers["x-forwarded-port"] = str(scope["server"][1]) if scope["server"] else "80"
    route = DEFAULT_ROUTE if source is None else WEBHOOK_ROUTE
    domain = headers.get("host", "localhost")
    query = scope["query_string"].decode("latin-1")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        # HTTP APIs decode the path and leave the query as it is.
        "rawPath": scope["path"],
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT_ID,
            "apiId": "local",
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "http": {
                "method": scope["method"],
                "path": scope["path"],
                "protocol": f"HTTP/{scope['http_version']}",
                "sourceIp": source_ip,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": route,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = _join_parameters(query)
    if source is not None:
        event["pathParameters"] = {"source": source}
    if body is not None:
        event["body"], event["isBase64Encoded"] = body
    return event


def _join_headers(pairs: list[tuple[bytes, bytes]]) -> tuple[dict[str, str], list[str]]:
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in pairs:
        # Latin-1 takes every byte, and a handler can get the same bytes back.
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip()
        if name == "cookie":
            cookies += [cookie for part in value.split(";") if (cookie := part.strip())]
        elif name in headers:
            headers[name] = f"{headers[name]},{value}"
        else:
            headers[name] = value
    return headers, cookies


def _join_parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def read_result(result: Mapping[str, Any]) -> Answer:
    """Returns the answer that a function's result describes.

    Raises:
        Exception: of any kind, when the result is no answer or larger than Lambda gives back.
    """
    text = result.get("body") or ""
    body = b64decode(text, validate=True) if result.get("isBase64Encoded") else text.encode()
    if len(text) > MAX_EVENT_BYTES:
        raise ValueError(f"the answer is over {MAX_EVENT_BYTES} bytes")
    headers = [
        (name.lower().encode("ascii"), str(value).encode("latin-1"))
        for name, value in (result.get("headers") or {}).items()
        if name.lower() not in _FRAMING_HEADERS
    ]
    headers += [(b"set-cookie", cookie.encode("latin-1")) for cookie in result.get("cookies") or []]
    if body and not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"text/plain; charset=utf-8"))
    return Answer(int(result["statusCode"]), headers, body)
