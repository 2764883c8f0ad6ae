"""GitHub's refusals: their bodies, and which one a fault imitates.

https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api
"""

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from shared.local.sandbox.answers import JsonAnswer
from shared.local.sandbox.faults import Fault
from shared.local.sandbox.limits import Kind

DOCS = "https://docs.github.com/rest"
_LIMITS = f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api"

_SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    " If you reach out to GitHub Support for help, please include the request ID."
)
_CONTENT = (
    "You have exceeded a secondary rate limit and have been temporarily blocked from content creation."
    " Please retry your request again later."
    " If you reach out to GitHub Support for help, please include the request ID."
)
_USER_AGENT = (
    "\r\nRequest forbidden by administrative rules. Please make sure your request has a User-Agent header"
    " (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required)."
    " Check https://developer.github.com for other possible causes.\r\n"
)
_MESSAGES = {
    400: "Problems parsing JSON",
    401: "Bad credentials",
    403: "Resource not accessible by integration",
    404: "Not Found",
    409: "Conflict",
    410: "Issues are disabled for this repo",
    422: "Validation Failed",
    500: "Server Error",
    502: "Server Error",
    503: "Service unavailable",
    504: "We couldn't respond to your request in time. Sorry about that.",
}


class GitHubError(Exception):
    """A refusal with GitHub's body.

    Args:
        status: the HTTP status.
        message: GitHub's sentence.
        docs: the page of the documentation about the operation, below ``/rest``.
        errors: the faults of single fields, as in ``Validation Failed``.
    """

    def __init__(self, status: int, message: str, *, docs: str = "", errors: Sequence[object] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, object] = {"message": message}
        if errors is not None:
            self.body["errors"] = errors
        self.body |= {"documentation_url": DOCS + docs, "status": str(status)}


class MissingUserAgent(Exception):
    """A request without ``User-Agent``, which GitHub's front door refuses in plain text."""


async def answer_github_error(request: Request, error: GitHubError) -> JsonAnswer:
    """Answers a refusal."""
    del request
    return JsonAnswer(error.body, error.status)


async def answer_missing_user_agent(request: Request, error: MissingUserAgent) -> Response:
    """Answers as GitHub's front door does, which does not speak JSON."""
    del request, error
    return PlainTextResponse(_USER_AGENT, 403, media_type="text/html")


async def answer_not_found(request: Request, error: Exception) -> JsonAnswer:
    """Answers 404: an unknown path, a method it does not take, or a number that is none."""
    del request, error
    return JsonAnswer(GitHubError(404, "Not Found").body, 404)


def write_error(fault: Fault) -> object:
    """Returns the body GitHub sends where it fails as the fault does."""
    status = fault.status or 500
    if status in {403, 429}:
        if fault.retry_after is None and fault.list_headers().get("x-ratelimit-remaining") == "0":
            return _write_limit(status, "API rate limit exceeded for installation ID 1.", "")
        if fault.retry_after is not None or status == HTTPStatus.TOO_MANY_REQUESTS:
            return _write_limit(status, _SECONDARY, "#about-secondary-rate-limits")
    is_validation = status == HTTPStatus.UNPROCESSABLE_ENTITY
    errors = [{"resource": "Sandbox", "code": "custom", "field": "fault"}] if is_validation else None
    return GitHubError(status, _MESSAGES.get(status, "Sandbox fault"), errors=errors).body


def write_refusal(kind: Kind, retry_after: int | None) -> JsonAnswer:
    """Answers 403 where a limit was met."""
    if kind == "primary":
        return JsonAnswer(_write_limit(403, "API rate limit exceeded for installation ID 1.", ""), 403)
    message = _CONTENT if kind == "content" else _SECONDARY
    answer = JsonAnswer(_write_limit(403, message, "#about-secondary-rate-limits"), 403)
    answer.headers["retry-after"] = str(retry_after)
    return answer


def _write_limit(status: int, message: str, anchor: str) -> dict[str, str]:
    return {"message": message, "documentation_url": _LIMITS + anchor, "status": str(status)}
