"""Reads what GitHub's operations have in common: names in paths, JSON bodies, pages."""

import json
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Path, Request

from shared.local.sandbox.github_errors import GitHubError
from shared.local.sandbox.github_objects import Repository
from shared.local.sandbox.github_state import GitHubState
from shared.local.sandbox.store import format_time

_NAME = r"^[A-Za-z0-9._-]+$"
_PER_PAGE = 30
_MOST_PER_PAGE = 100

Number = Annotated[int, Path(ge=1, le=2**53)]


async def read_state(request: Request) -> GitHubState:
    """Returns the state of the server that was asked."""
    state: GitHubState = request.app.state.github
    return state


async def read_repository(
    owner: Annotated[str, Path(pattern=_NAME)], repo: Annotated[str, Path(pattern=_NAME)]
) -> Repository:
    """Returns the repository that the path names."""
    return Repository(owner, repo)


State = Annotated[GitHubState, Depends(read_state)]
Name = Annotated[Repository, Depends(read_repository)]


async def read_document(request: Request) -> dict[str, object]:
    """Returns the JSON object in a request's body; an empty body is an empty object.

    Raises:
        GitHubError: 400, the body is no JSON object.
    """
    body = await request.body()
    try:
        document = json.loads(body) if body else {}
        # Text that UTF-8 cannot carry could not be kept.
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise GitHubError(400, "Problems parsing JSON") from None
    if not isinstance(document, dict):
        raise GitHubError(400, "Body should be a JSON object")
    return document


class Paging:
    """Which page of a list is asked for, and the ``Link`` header that leads to the others.

    https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self.per_page = min(_read_positive(request, "per_page", _PER_PAGE), _MOST_PER_PAGE)
        self.page = _read_positive(request, "page", 1)

    @property
    def offset(self) -> int:
        """How many items stand before the page."""
        return (self.page - 1) * self.per_page

    def list_headers(self, base_url: str, total: int) -> dict[str, str]:
        """Returns the ``Link`` header for a list of so many items; none where one page holds all."""
        last = -(-total // self.per_page)
        pages = {}
        if self.page > 1:
            pages["prev"] = self.page - 1
        if self.page < last:
            pages |= {"next": self.page + 1, "last": last}
        if self.page > 1:
            pages["first"] = 1
        links = [f'<{self._build_url(base_url, page)}>; rel="{rel}"' for rel, page in pages.items()]
        return {"Link": ", ".join(links)} if links else {}

    def _build_url(self, base_url: str, page: int) -> str:
        path = self._request.scope["raw_path"].decode("ascii")
        return f"{base_url}{path}?{urlencode({**self._request.query_params, 'page': page})}"


def _read_positive(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    return int(text[:9]) if text.isascii() and text.isdecimal() and int(text[:9]) > 0 else default


def read_since(request: Request, docs: str) -> str:
    """Returns the ``since`` parameter in the form times are kept in; nothing where it is absent.

    Raises:
        GitHubError: 422, it is no time.
    """
    text = request.query_params.get("since")
    if not text:
        return ""
    try:
        return format_time(datetime.fromisoformat(text))
    except ValueError:
        raise GitHubError(422, f"Invalid request.\n\nFor 'since', {text} is not a valid time.", docs=docs) from None
