"""Labels of issues and pull requests; GitHub ignores their case."""

from collections.abc import Iterable
from urllib.parse import quote

import httpx

from shared.adapters.github.actions.action import GitHubAction, name_subject
from shared.adapters.github.refusals import Refusal
from shared.domain.effect import Effect, Written

_NOT_THERE = "label does not exist"


class Label(GitHubAction):
    """``github.label``: adds labels to an issue or pull request.

    POST /repos/{owner}/{repo}/issues/{n}/labels, permission ``issues: write`` or ``pull_requests: write``.
    Idempotent by itself; labels that are all there already are not written again.
    https://docs.github.com/en/rest/issues/labels#add-labels-to-an-issue
    """

    kind = "github.label"

    def look_up(self, effect: Effect) -> Written | None:
        """Looks whether all of the labels are there."""
        present = [label["name"] for label in self._items(effect.request, self._path(effect))]
        return self._written(effect, present) if _fold(effect.request["labels"]) <= _fold(present) else None

    def write(self, effect: Effect) -> Written:
        """Adds the labels."""
        labels = self._ask("POST", effect.request, self._path(effect), {"labels": effect.request["labels"]}).json()
        return self._written(effect, [label["name"] for label in labels])

    def _path(self, effect: Effect) -> str:
        return f"issues/{effect.request['number']}/labels"

    def _written(self, effect: Effect, present: list[str]) -> Written:
        return Written(name_subject(effect.request), self._page(effect.request), {"labels": present})


class Unlabel(GitHubAction):
    """``github.unlabel``: removes labels from an issue or pull request.

    DELETE /repos/{owner}/{repo}/issues/{n}/labels/{name}, permission ``issues: write`` or ``pull_requests: write``.
    Idempotent because only labels that are there are removed; one that has gone meanwhile (404) is removed.
    https://docs.github.com/en/rest/issues/labels#remove-a-label-from-an-issue
    """

    kind = "github.unlabel"

    def look_up(self, effect: Effect) -> Written | None:
        """Looks whether none of the labels is there."""
        present = self._list(effect)
        return None if self._choose(effect, present) else self._written(effect, present)

    def write(self, effect: Effect) -> Written:
        """Removes the labels one by one."""
        present = self._list(effect)
        chosen = self._choose(effect, present)
        for label in chosen:
            path = f"issues/{effect.request['number']}/labels/{quote(label, safe='')}"
            try:
                self._ask("DELETE", effect.request, path)
            except Refusal as refusal:
                if refusal.status != httpx.codes.NOT_FOUND or _NOT_THERE not in refusal.message.lower():
                    raise
        return self._written(effect, [label for label in present if label not in chosen])

    def _list(self, effect: Effect) -> list[str]:
        path = f"issues/{effect.request['number']}/labels"
        return [label["name"] for label in self._items(effect.request, path)]

    def _choose(self, effect: Effect, present: list[str]) -> list[str]:
        unwanted = _fold(effect.request["labels"])
        return [label for label in present if label.casefold() in unwanted]

    def _written(self, effect: Effect, present: list[str]) -> Written:
        return Written(name_subject(effect.request), self._page(effect.request), {"labels": present})


def _fold(names: Iterable[str]) -> set[str]:
    return {name.casefold() for name in names}
