"""Who we are to GitHub: a token, or an App that mints a token for each installation.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import httpx

from shared.adapters.github.refusals import UPSTREAM, read_refusal
from shared.adapters.http import read_object, send_request
from shared.domain.errors import Limited, Permanent

# https://docs.github.com/en/rest/about-the-rest-api/api-versions
API_VERSION = "2022-11-28"
# GitHub's clock may be behind ours; a JWT lives at most 10 minutes.
JWT_BACKDATED_SECONDS = 60
JWT_SECONDS = 540
# A token is not used in its last minutes: a request begun with it must also end with it.
TOKEN_RESERVE_SECONDS = 300.0
# Whose budgets pay. An owner's name is at least a letter and never has an @.
TOKEN_ACCOUNT = "@token"  # noqa: S105 - a name
APP_ACCOUNT = "@app"


def build_headers(token: str) -> dict[str, str]:
    """Returns what every request to GitHub carries."""
    return {
        "accept": "application/vnd.github+json",
        "x-github-api-version": API_VERSION,
        "authorization": f"Bearer {token}",
    }


class Authorization(Protocol):
    """Gives the token for a repository."""

    def token(self, repository: str) -> str:
        """Returns a token that may act on ``owner/name``. Raises Transient, Permanent."""

    def renew(self, repository: str) -> bool:
        """Drops a token that GitHub refused; False when there can be no other."""

    def account(self, repository: str) -> str:
        """Returns whose budgets pay for requests with the token."""


class TokenCache(Protocol):
    """Where workers share installation tokens; it may lose them."""

    def get(self, key: str) -> str | None:
        """Returns the token, or None when there is none to be had."""

    def remaining_seconds(self, key: str) -> float:
        """Returns how long the key will still be kept; 0 when it is not there."""

    def put(self, key: str, text: str, seconds: float) -> None:
        """Keeps the token for ``seconds``."""

    def drop(self, key: str) -> None:
        """Forgets the token."""


class TokenAuthorization:
    """One token for everything (``GITHUB_TOKEN``)."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self, repository: str) -> str:
        """Returns the token."""
        return self._token

    def renew(self, repository: str) -> bool:
        """There is no other."""
        return False

    def account(self, repository: str) -> str:
        """A token has one budget, wherever it acts."""
        return TOKEN_ACCOUNT


class AppAuthorization:
    """A GitHub App: a JWT signed with its key mints installation tokens, which Redis shares for their hour."""

    def __init__(
        self,
        client: httpx.Client,
        cache: TokenCache,
        app_id: str,
        private_key: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._cache = cache
        self._app_id = app_id
        self._private_key = private_key
        self._clock = clock
        self._own: dict[str, tuple[str, float]] = {}

    def token(self, repository: str) -> str:
        """Returns the installation's token, minted when there is none with 5 minutes left."""
        owner = repository.partition("/")[0].lower()
        own = self._own.get(owner)
        if own is not None and own[1] > self._clock():
            return own[0]
        key = self._key(owner)
        shared, seconds = self._cache.get(key), self._cache.remaining_seconds(key)
        if shared is not None and seconds > 0:
            self._own[owner] = (shared, self._clock() + seconds)
            return shared
        return self._mint(owner, repository)

    def renew(self, repository: str) -> bool:
        """Drops the installation's token."""
        owner = repository.partition("/")[0].lower()
        self._own.pop(owner, None)
        self._cache.drop(self._key(owner))
        return True

    def account(self, repository: str) -> str:
        """Each installation has its own budgets, and there is one for each owner."""
        return repository.partition("/")[0].lower()

    def _mint(self, owner: str, repository: str) -> str:
        installation = self._ask("GET", f"/repos/{repository}/installation")
        minted = self._ask("POST", f"/app/installations/{installation['id']}/access_tokens")
        token = str(minted["token"])
        expires_at = datetime.fromisoformat(str(minted["expires_at"])).timestamp()
        seconds = expires_at - self._clock() - TOKEN_RESERVE_SECONDS
        if seconds > 0:
            self._own[owner] = (token, self._clock() + seconds)
            self._cache.put(self._key(owner), token, seconds)
        return token

    def _key(self, owner: str) -> str:
        return f"github:token:{self._app_id}:{owner}"

    def _ask(self, method: str, path: str) -> dict[str, object]:
        headers = build_headers(self._jwt())
        response = send_request(self._client, UPSTREAM, method, path, headers=headers, account=APP_ACCOUNT)
        if response.is_success:
            return read_object(response)
        refusal = read_refusal(method, path, response, self._clock())
        if isinstance(refusal, Limited):
            raise refusal
        raise Permanent(f"{refusal}: is the App installed there, and are GITHUB_APP_ID and GITHUB_PRIVATE_KEY its own?")

    def _jwt(self) -> str:
        import jwt  # noqa: PLC0415 - 60 ms of cold start that a token does not need

        now = int(self._clock())
        claims = {"iat": now - JWT_BACKDATED_SECONDS, "exp": now + JWT_SECONDS, "iss": self._app_id}
        return jwt.encode(claims, self._private_key, algorithm="RS256")
