"""The client of GitHub's REST API: authorization, limits, and what each refusal means.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from shared.adapters.github.authorization import Authorization
from shared.adapters.http import read_object, read_retry_after, send_request
from shared.domain.errors import Limited, Permanent

UPSTREAM = "github"
# https://docs.github.com/en/rest/about-the-rest-api/api-versions
API_VERSION = "2022-11-28"
# GitHub asks for at least a minute after a secondary limit that names no time.
SECONDARY_LIMIT_SECONDS = 60.0
MAX_PAGES = 50


class GitHubClient:
    """Requests in the name of one authorization.

    Args:
        client: with GitHub's address as its base.
        authorization: gives the token for a repository.
        clock: seconds since 1970, UTC.
    """

    def __init__(
        self, client: httpx.Client, authorization: Authorization, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._authorization = authorization
        self._clock = clock

    def request(
        self,
        method: str,
        path: str,
        *,
        repository: str,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """Sends a request about ``repository`` and returns its successful answer.

        Raises:
            Transient, OutcomeUnknown: see ``shared.adapters.http.send_request``.
            Limited: a primary or secondary rate limit, with the time to wait.
            Permanent: any other refusal.
        """
        response = self._send(method, path, repository, json, params)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._authorization.renew(repository):
            # An installation token may be revoked before its hour is over: one renewal, no storm.
            response = self._send(method, path, repository, json, params)
        if response.is_success:
            return response
        raise self._refusal(method, path, response)

    def pages(self, path: str, *, repository: str, params: Mapping[str, Any] | None = None) -> Iterator[httpx.Response]:
        """Yields every page of a list, following ``Link`` as GitHub asks. Raises as ``request`` does."""
        response = self.request("GET", path, repository=repository, params={"per_page": 100, **(params or {})})
        for _ in range(MAX_PAGES):
            yield response
            following = response.links.get("next", {}).get("url")
            if following is None:
                return
            response = self.request("GET", following, repository=repository)
        raise Permanent(f"{path} has more than {MAX_PAGES} pages")

    def _send(
        self,
        method: str,
        path: str,
        repository: str,
        json: Mapping[str, Any] | None,
        params: Mapping[str, Any] | None,
    ) -> httpx.Response:
        headers = {
            "accept": "application/vnd.github+json",
            "x-github-api-version": API_VERSION,
            "authorization": f"Bearer {self._authorization.token(repository)}",
        }
        return send_request(self._client, UPSTREAM, method, path, headers=headers, json=json, params=params)

    def _refusal(self, method: str, path: str, response: httpx.Response) -> Exception:
        body = read_object(response)
        message = str(body.get("message", ""))
        reason = f"github answered {response.status_code} to {method} {path}: {message}"
        if response.status_code in {httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS}:
            after = read_retry_after(response)
            if after is not None:
                return Limited(UPSTREAM, reason, after)
            if response.headers.get("x-ratelimit-remaining") == "0":
                reset = response.headers.get("x-ratelimit-reset", "0")
                return Limited(UPSTREAM, reason, max(1.0, float(reset) - self._clock()))
            is_secondary = "secondary rate limit" in message.lower() or "temporarily blocked" in message.lower()
            if is_secondary or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
                return Limited(UPSTREAM, reason, SECONDARY_LIMIT_SECONDS)
            wanted = response.headers.get("x-accepted-github-permissions")
            if wanted is not None:
                reason += f" (needs {wanted})"
        elif isinstance(body.get("errors"), list):
            reason += f" {body['errors']}"
        return Permanent(reason)
