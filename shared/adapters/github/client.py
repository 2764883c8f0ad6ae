"""The client of GitHub's REST API: authorization, one renewal of it, and pages.

https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from shared.adapters.github.authorization import Authorization, build_headers
from shared.adapters.github.refusals import UPSTREAM, Refusal, read_refusal
from shared.adapters.http import send_request
from shared.domain.errors import Permanent

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

    @property
    def base_url(self) -> str:
        """GitHub's address."""
        return str(self._client.base_url)

    def request(
        self,
        method: str,
        path: str,
        *,
        repository: str,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Sends a request about ``repository`` and returns its successful answer (or 304, when ``headers`` allow it).

        Raises:
            Transient, OutcomeUnknown: see ``shared.adapters.http.send_request``.
            Limited: a primary or secondary rate limit, with the time to wait.
            Permanent: any other refusal.
        """
        response = self._send(method, path, repository, json, params, headers=headers)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._authorization.renew(repository):
            # An installation token may be revoked before its hour is over: one renewal, no storm.
            response = self._send(method, path, repository, json, params, headers=headers)
        if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
            return response
        refusal = read_refusal(method, path, response, self._clock())
        if isinstance(refusal, Refusal) and refusal.status == httpx.codes.UNAUTHORIZED:
            reason = f"{refusal}: was the token revoked, or the installation suspended or uninstalled?"
            raise Refusal(refusal.status, refusal.message, reason)
        raise refusal

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
        *,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        headers = {**(headers or {}), **build_headers(self._authorization.token(repository))}
        account = self._authorization.account(repository)
        return send_request(
            self._client, UPSTREAM, method, path, headers=headers, json=json, params=params, account=account
        )
