"""What GitHub's refusals mean: out of budget for a time, or never.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
"""

import httpx

from shared.adapters.http import read_object, read_retry_after
from shared.domain.errors import Limited, Permanent

UPSTREAM = "github"
# GitHub asks for at least a minute after a secondary limit that names no time.
SECONDARY_LIMIT_SECONDS = 60.0


class Refusal(Permanent):
    """GitHub will not.

    Attributes:
        status: the HTTP status code.
        message: GitHub's own sentence.
    """

    def __init__(self, status: int, message: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.message = message


def read_refusal(method: str, path: str, response: httpx.Response, now: float) -> Limited | Refusal:
    """Returns the error for an answer of the 4xx class: a limit with the time to wait, or a lasting refusal.

    Args:
        method: of the request.
        path: of the request.
        response: its answer.
        now: seconds since 1970, UTC.
    """
    body = read_object(response)
    message = str(body.get("message", ""))
    reason = f"github answered {response.status_code} to {method} {path}: {message}"
    if response.status_code in {httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS}:
        after = read_retry_after(response)
        if after is not None:
            return Limited(UPSTREAM, reason, after)
        if response.headers.get("x-ratelimit-remaining") == "0":
            reset = response.headers.get("x-ratelimit-reset", "0")
            return Limited(UPSTREAM, reason, max(1.0, float(reset) - now))
        is_secondary = "secondary rate limit" in message.lower() or "temporarily blocked" in message.lower()
        if is_secondary or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return Limited(UPSTREAM, reason, SECONDARY_LIMIT_SECONDS)
        wanted = response.headers.get("x-accepted-github-permissions")
        if wanted is not None:
            reason += f" (needs {wanted})"
    elif isinstance(body.get("errors"), list):
        reason += f" {body['errors']}"
    return Refusal(response.status_code, message, reason)
