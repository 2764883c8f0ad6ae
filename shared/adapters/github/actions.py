"""GitHub actions: each states its endpoint, the permission it needs and how it is made idempotent."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from shared.adapters.github.client import GitHubClient
from shared.domain.effect import Effect, Written
from shared.domain.errors import Permanent

MAX_COMMENT_CHARACTERS = 65_536
MAX_DESCRIPTION_CHARACTERS = 140
STATES = ("error", "failure", "pending", "success")
# The database's clock and GitHub's may differ; a comment is looked for from a little earlier.
CLOCK_SLACK = timedelta(minutes=5)


def _wanted(arguments: Mapping[str, Any], document: Mapping[str, Any], name: str, action: str) -> Any:  # noqa: ANN401
    value = arguments.get(name)
    if value is None or value == "":
        value = document["subject"].get(name)
    if value is None or value == "":
        raise Permanent(f"{action} needs {name!r}: the subject {document['subject']['key']} has none, so give it")
    return value


class Comment:
    """``github.comment``: comments on an issue or pull request.

    POST /repos/{owner}/{repo}/issues/{n}/comments, permission ``issues: write`` or ``pull_requests: write``.
    Idempotent by the effect's mark, hidden in the text, which is looked for before a second write.
    https://docs.github.com/en/rest/issues/comments#create-an-issue-comment
    """

    def __init__(self, client: GitHubClient) -> None:
        self._client = client

    def plan(self, arguments: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """Takes ``body``, and ``repository`` and ``number`` in place of the subject's."""
        body = str(arguments.get("body") or "").strip()
        if not body:
            raise Permanent("github.comment needs a 'body' that is not empty")
        number = _wanted(arguments, document, "number", "github.comment")
        if not str(number).isdecimal():
            raise Permanent(f"github.comment needs a whole 'number', not {number!r}")
        return {
            "repository": _wanted(arguments, document, "repository", "github.comment"),
            "number": int(number),
            "body": body,
        }

    def look_up(self, effect: Effect) -> Written | None:
        """Looks for the mark in the comments since the effect was planned."""
        params = {}
        if effect.planned_at is not None:
            params["since"] = (effect.planned_at - CLOCK_SLACK).strftime("%Y-%m-%dT%H:%M:%SZ")
        for page in self._client.pages(self._path(effect), repository=effect.request["repository"], params=params):
            for comment in page.json():
                if effect.marker in (comment.get("body") or ""):
                    return _comment_written(comment)
        return None

    def write(self, effect: Effect) -> Written:
        """Creates the comment."""
        body = effect.request["body"][: MAX_COMMENT_CHARACTERS - len(effect.marker) - 2]
        response = self._client.request(
            "POST",
            self._path(effect),
            repository=effect.request["repository"],
            json={"body": f"{body}\n\n{effect.marker}"},
        )
        return _comment_written(response.json())

    def _path(self, effect: Effect) -> str:
        return f"/repos/{effect.request['repository']}/issues/{effect.request['number']}/comments"


def _comment_written(comment: Mapping[str, Any]) -> Written:
    return Written(str(comment["id"]), comment.get("html_url"), {"comment_id": comment["id"]})


class CommitStatus:
    """``github.status``: sets a commit status.

    POST /repos/{owner}/{repo}/statuses/{sha}, permission ``statuses: write``.
    Idempotent because the last status of a context counts; the same one is not written twice.
    https://docs.github.com/en/rest/commits/statuses#create-a-commit-status
    """

    def __init__(self, client: GitHubClient) -> None:
        self._client = client

    def plan(self, arguments: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """Takes ``state``, ``context``, ``description``, ``target_url``, and ``repository`` and ``sha``."""
        state = arguments.get("state")
        if state not in STATES:
            raise Permanent(f"github.status needs a 'state' of {', '.join(STATES)}, not {state!r}")
        request = {
            "repository": _wanted(arguments, document, "repository", "github.status"),
            "sha": _wanted(arguments, document, "sha", "github.status"),
            "state": state,
            "context": str(arguments.get("context") or "webhook-orchestrator"),
            "description": str(arguments.get("description") or "")[:MAX_DESCRIPTION_CHARACTERS],
        }
        if str(arguments.get("target_url") or "").startswith(("http://", "https://")):
            request["target_url"] = arguments["target_url"]
        return request

    def look_up(self, effect: Effect) -> Written | None:
        """Looks whether the context's last status is the one to be written."""
        wanted = _status_body(effect)
        path = f"/repos/{effect.request['repository']}/commits/{quote(effect.request['sha'], safe='')}/status"
        for page in self._client.pages(path, repository=effect.request["repository"]):
            for status in page.json().get("statuses", []):
                if all(status.get(name) == value for name, value in wanted.items()):
                    return _status_written(status)
        return None

    def write(self, effect: Effect) -> Written:
        """Creates the status."""
        path = f"/repos/{effect.request['repository']}/statuses/{quote(effect.request['sha'], safe='')}"
        response = self._client.request(
            "POST", path, repository=effect.request["repository"], json=_status_body(effect)
        )
        return _status_written(response.json())


def _status_body(effect: Effect) -> dict[str, Any]:
    return {
        name: effect.request[name]
        for name in ("state", "context", "description", "target_url")
        if name in effect.request
    }


def _status_written(status: Mapping[str, Any]) -> Written:
    return Written(str(status["id"]), status.get("target_url") or status.get("url"))
