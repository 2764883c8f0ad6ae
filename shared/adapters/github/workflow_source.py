"""A repository's workflow file at GitHub: always that of the default branch, never of a pull request's head.

GET /repos/{owner}/{repo}/contents/{path}, permission ``contents: read``; an answer that has not changed since the
ETag costs nothing of the budget.
https://docs.github.com/en/rest/repos/contents#get-repository-content
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
"""

from __future__ import annotations

import time
from base64 import b64decode
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from shared.domain.errors import Limited, Transient
from shared.domain.workflow_file import FILE_PATH, FoundFile

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from shared.adapters.github.client import GitHubClient

UPSTREAM = "github"
# After a failure nobody is asked for so long: the deliveries behind this one shall not wait for the same.
AVOID_SECONDS = 60.0


class GitHubWorkflowSource:
    """See ``shared.ports.WorkflowSource``.

    Args:
        connect: gives the client; called when the first file is fetched.
        clock: seconds.
    """

    def __init__(self, connect: Callable[[], GitHubClient], clock: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._client: GitHubClient | None = None
        self._clock = clock
        self._avoid_until = float("-inf")

    def fetch(self, repository: str, etag: str | None) -> FoundFile | Literal["unchanged", "absent"]:
        """Returns the file, unless it is still the one that ``etag`` came with."""
        from shared.adapters.github.refusals import Refusal  # noqa: PLC0415 - brings httpx: 90 ms of a cold start

        headers = {} if etag is None else {"if-none-match": etag}
        try:
            response = self._ask(f"/repos/{repository}/contents/{FILE_PATH}", repository, headers=headers)
        except Refusal as refusal:
            if refusal.status == 404:  # noqa: PLR2004 - Not Found
                return "absent"
            raise
        if response.status_code == 304:  # noqa: PLR2004 - Not Modified
            return "unchanged"
        return _read_file(response.json(), response.headers.get("etag"))

    def find_head(self, repository: str, branch: str) -> str:
        """Returns the branch's last commit."""
        path = f"/repos/{repository}/commits/{quote(f'heads/{branch}', safe='')}/status"
        response = self._ask(path, repository, params={"per_page": 1})
        return str(response.json()["sha"])

    def _ask(self, path: str, repository: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - of the client
        avoid_seconds = self._avoid_until - self._clock()
        if avoid_seconds > 0:
            raise Transient(f"{UPSTREAM} failed a moment ago", avoid_seconds)
        if self._client is None:
            self._client = self._connect()
        try:
            return self._client.request("GET", path, repository=repository, **options)
        except Limited:
            # The client knows how long, and for whom.
            raise
        except Transient:
            self._avoid_until = self._clock() + AVOID_SECONDS
            raise


def _read_file(content: object, etag: str | None) -> FoundFile:
    if not isinstance(content, dict) or content.get("type") != "file":
        # A folder is a list; a link out of the repository or a submodule is an object of another type.
        sha = str(content.get("sha")) if isinstance(content, dict) else "folder"
        return FoundFile(etag, sha, None, None)
    text = None
    # A file of over a megabyte comes without its content.
    if content.get("encoding") == "base64":
        try:
            text = b64decode(content["content"]).decode("utf-8-sig")
        except (ValueError, TypeError):
            text = None
    return FoundFile(etag, str(content["sha"]), text, content.get("html_url"))
