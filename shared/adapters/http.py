"""The HTTP client towards GitHub and Codegen: what its faults mean for a write and for a read.

https://www.python-httpx.org/exceptions/
"""

from collections.abc import Mapping
from typing import Any

import httpx

from shared.adapters.limits import Gate, LimitedClient
from shared.domain.errors import OutcomeUnknown, Transient

# Connecting, and then each read: together below the write_seconds of execute's policy.
TIMEOUT = httpx.Timeout(10.0, connect=5.0)
USER_AGENT = "webhook-orchestrator"


# The extension of a request that names whose budgets pay for it.
# https://www.python-httpx.org/advanced/extensions/
ACCOUNT = "account"


def open_client(
    base_url: str, gate: Gate, transport: httpx.BaseTransport | None = None, *, is_traced: bool = False
) -> httpx.Client:
    """Returns a client with timeouts, whose requests pass ``gate`` and are in X-Ray's trace when ``is_traced``.

    ``transport`` stands in for the network in a unit test.
    """
    return LimitedClient(
        gate,
        is_traced=is_traced,
        base_url=base_url,
        timeout=TIMEOUT,
        follow_redirects=True,
        headers={"user-agent": USER_AGENT},
        transport=transport,
        # An idle connection that the other side has closed meanwhile would make a write's outcome unknown.
        limits=httpx.Limits(keepalive_expiry=4.0),
    )


def send_request(
    client: httpx.Client,
    upstream: str,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str],
    json: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    account: str = "",
) -> httpx.Response:
    """Sends a request and returns its answer, whatever its status below 500; ``account``'s budgets pay for it.

    Raises:
        Limited: when it may not be sent now.
        Transient: when it was not sent, or only read, so that sending it again does no harm.
        OutcomeUnknown: when a write was sent and no answer, or a server's fault, came back.
    """
    is_write = method not in {"GET", "HEAD"}
    # Beside the client's timeouts, which httpx puts there too.
    extensions = {ACCOUNT: account}
    try:
        response = client.request(method, path, headers=dict(headers), json=json, params=params, extensions=extensions)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
        raise Transient(f"{upstream} cannot be reached: {type(error).__name__} {error}") from error
    except httpx.HTTPError as error:
        message = f"{upstream} did not answer {method} {path}: {type(error).__name__}"
        raise (OutcomeUnknown if is_write else Transient)(message) from error
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        message = f"{upstream} answered {response.status_code} to {method} {path}"
        after = read_retry_after(response)
        raise (OutcomeUnknown if is_write else Transient)(message, after)
    return response


def read_retry_after(response: httpx.Response) -> float | None:
    """Returns the seconds of ``Retry-After``, or None when there are none."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


def read_object(response: httpx.Response) -> dict[str, Any]:
    """Returns the JSON object of an answer; an empty one when it is something else."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
