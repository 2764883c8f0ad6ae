"""Who asks: GitHub's demands on headers and on an App's JSON web token.

The sandbox knows no keys, so it checks a JWT's form and claims but not its signature.
https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
"""

import base64
import json
import secrets
import time
from typing import Annotated

import jwt
from fastapi import Depends, Request

from shared.local.sandbox.github_errors import GitHubError, MissingUserAgent
from shared.local.sandbox.github_objects import APP_ID

_JWT_SECONDS = 600
TOKEN_SECONDS = 3600


async def require_user_agent(request: Request) -> None:
    """Refuses a request without ``User-Agent``.

    Raises:
        MissingUserAgent: the header is absent or empty.
    """
    if not request.headers.get("user-agent"):
        raise MissingUserAgent


async def require_token(request: Request) -> str:
    """Returns the request's token; any token will do.

    Raises:
        GitHubError: 401, there is none.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in {"bearer", "token"} or not token.strip():
        raise GitHubError(401, "Requires authentication")
    return token.strip()


Token = Annotated[str, Depends(require_token)]


async def require_app(request: Request, token: Token) -> str:
    """Returns the issuer of the request's JWT: an App's id or client id.

    Raises:
        GitHubError: 401, it is no JWT of the kind GitHub wants.
    """
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise GitHubError(401, "A JSON web token could not be decoded") from None
    # GitHub takes a JWT as Bearer only.
    is_bearer = request.headers["authorization"].lower().startswith("bearer ")
    if header.get("alg") != "RS256" or not is_bearer:
        raise GitHubError(401, "A JSON web token could not be decoded")
    if not claims.get("iss"):
        raise GitHubError(401, "Missing 'issuer' claim ('iss') in assertion")
    expires_at = claims.get("exp")
    if not isinstance(expires_at, int | float) or expires_at <= time.time():
        raise GitHubError(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time"
            " at which the assertion expires",
        )
    if expires_at > time.time() + _JWT_SECONDS:
        raise GitHubError(401, "'Expiration time' claim ('exp') is too far in the future")
    return str(claims["iss"])


Issuer = Annotated[str, Depends(require_app)]


def issue_token(installation_id: int) -> str:
    """Returns a new installation token in GitHub's long form: ``ghs_``, the App, three dotted parts.

    https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-an-installation-access-token-for-a-github-app
    """
    now = int(time.time())
    parts = (
        {"alg": "RS256", "typ": "JWT"},
        {"iss": "sandbox", "sub": str(installation_id), "iat": now, "exp": now + TOKEN_SECONDS},
    )
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return f"ghs_{APP_ID}_{'.'.join(encoded)}.{secrets.token_urlsafe(256)}"
