"""What GitHub's actions have in common: their arguments, and requests about one repository."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

import httpx

from shared.adapters.github.addresses import derive_web_url
from shared.adapters.github.client import GitHubClient
from shared.domain.action_arguments import ACTIONS, read_arguments
from shared.domain.argument import is_absent
from shared.domain.effect import Effect, Written
from shared.domain.errors import Permanent

# What templates give becomes part of a path: nothing else is a repository.
_REPOSITORY = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9._-]+/(?!\.{1,2}$)[A-Za-z0-9._-]+")
# The database's clock and GitHub's may differ; what we made is looked for from a little earlier.
CLOCK_SLACK = timedelta(minutes=5)

Json = Mapping[str, Any]


class GitHubAction(ABC):
    """The beginning of an action; see ``shared.ports.Action``.

    Attributes:
        kind: its name, a key of ``shared.domain.action_arguments.ACTIONS``.
    """

    kind: ClassVar[str]

    def __init__(self, client: GitHubClient) -> None:
        self._client = client

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns the arguments, read. Raises Permanent."""
        request = read_arguments(self.kind, arguments, self._with_pull(arguments, document))
        if not _REPOSITORY.fullmatch(request["repository"]):
            raise Permanent(f"{self.kind} wants owner/name as 'repository', not {request['repository']!r}")
        return request

    @abstractmethod
    def look_up(self, effect: Effect) -> Written | None:
        """Returns what an earlier attempt has written, or None."""

    @abstractmethod
    def write(self, effect: Effect) -> Written:
        """Writes."""

    def _with_pull(self, arguments: Json, document: Json) -> Json:
        """Returns the document with the number of the pull request that the commit is the head of, where it is needed.

        GitHub names no pull request in events about commits of forks, and lists those of a commit.
        https://docs.github.com/en/rest/commits/commits#list-pull-requests-associated-with-a-commit
        """
        number = ACTIONS[self.kind].find("number")
        subject = document["subject"]
        repository, sha = subject.get("repository"), subject.get("sha")
        is_needed = number is not None and number.is_required and is_absent(arguments.get("number"))
        if not is_needed or subject.get("number") is not None or not sha or not _REPOSITORY.fullmatch(repository or ""):
            return document
        for pull in self._items({"repository": repository}, f"commits/{quote(sha, safe='')}/pulls"):
            if pull["head"]["sha"] == sha and pull["base"]["repo"]["full_name"].lower() == repository.lower():
                return {**document, "subject": {**subject, "number": pull["number"]}}
        return document

    def _at_head(self, request: dict[str, Any], document: Json) -> dict[str, Any]:
        """Returns the request with a ``sha``: of a pull request's head when the event names none."""
        if "sha" in request:
            return request
        number = request.get("number") or document["subject"].get("number")
        if number is None:
            key = document["subject"]["key"]
            raise Permanent(f"{self.kind} needs 'sha': the subject {key} has none, so give it")
        return {**request, "sha": self._read_pull({**request, "number": number})["head"]["sha"]}

    def _ask(self, method: str, request: Json, path: str, json: Json | None = None) -> httpx.Response:
        repository = request["repository"]
        return self._client.request(method, f"/repos/{repository}/{path}", repository=repository, json=json)

    def _items(self, request: Json, path: str, within: str | None = None, **params: str) -> Iterator[dict[str, Any]]:
        """Yields a list's items page by page; ``within`` names the key of a list that is wrapped."""
        repository = request["repository"]
        for page in self._client.pages(f"/repos/{repository}/{path}", repository=repository, params=params):
            yield from page.json() if within is None else page.json()[within]

    def _read_issue(self, request: Json) -> dict[str, Any]:
        issue: dict[str, Any] = self._ask("GET", request, f"issues/{request['number']}").json()
        return issue

    def _read_pull(self, request: Json) -> dict[str, Any]:
        pull: dict[str, Any] = self._ask("GET", request, f"pulls/{request['number']}").json()
        return pull

    def _page(self, request: Json) -> str:
        """Returns the address of the issue's page; GitHub leads on from there to a pull request's."""
        web_url = derive_web_url(self._client.base_url)
        return f"{web_url}/{request['repository']}/issues/{request['number']}"


def name_subject(request: Json) -> str:
    """Returns ``owner/name#7``, the id of an effect that makes nothing with an id of its own."""
    return f"{request['repository']}#{request['number']}"


def since_planned(effect: Effect) -> dict[str, str]:
    """Returns the parameter that leaves out what is older than the effect; none when that is not known."""
    if effect.planned_at is None:
        return {}
    return {"since": (effect.planned_at - CLOCK_SLACK).strftime("%Y-%m-%dT%H:%M:%SZ")}
