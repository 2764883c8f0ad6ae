"""Reviews of pull requests."""

from typing import Any

from shared.adapters.github.actions.action import GitHubAction, Json
from shared.adapters.github.actions.texts import has_mark, sign
from shared.domain.effect import Effect, Written
from shared.domain.errors import Permanent


class Review(GitHubAction):
    """``github.review``: approves a pull request, requests changes or comments on it as a whole.

    POST /repos/{owner}/{repo}/pulls/{n}/reviews, permission ``pull_requests: write``. The review is of the commit
    that the event was about, so that an approval does not cover what was pushed since.
    Idempotent by the effect's mark, hidden in the text, which is looked for before a second write.
    https://docs.github.com/en/rest/pulls/reviews#create-a-review-for-a-pull-request
    """

    kind = "github.review"

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns the arguments, read. Raises Permanent."""
        request = super().plan(arguments, document)
        if "body" not in request and request["event"] != "approve":
            raise Permanent(f"{self.kind} needs 'body' for the event {request['event']!r}")
        return self._at_head(request, document)

    def look_up(self, effect: Effect) -> Written | None:
        """Looks for the mark in the pull request's reviews."""
        for review in self._items(effect.request, f"pulls/{effect.request['number']}/reviews"):
            if has_mark(review.get("body"), effect.marker):
                return _written(review)
        return None

    def write(self, effect: Effect) -> Written:
        """Creates the review."""
        request = effect.request
        body = {
            "event": request["event"].upper(),
            "commit_id": request["sha"],
            "body": sign(request.get("body", ""), effect.marker),
        }
        return _written(self._ask("POST", request, f"pulls/{request['number']}/reviews", body).json())


def _written(review: Json) -> Written:
    return Written(str(review["id"]), review.get("html_url"), {"review_id": review["id"]})
