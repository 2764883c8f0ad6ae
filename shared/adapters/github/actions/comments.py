"""Comments and reactions."""

import re
from typing import Any

from shared.adapters.github.actions.action import GitHubAction, Json, since_planned
from shared.adapters.github.actions.texts import has_mark, is_signed, sign
from shared.domain.effect import Effect, Written
from shared.domain.errors import Permanent

_MARKER = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Whoever may write to the repository. A comment by anybody else is never taken for ours, whatever is in it.
# https://docs.github.com/en/graphql/reference/enums#commentauthorassociation
_TRUSTED = {"OWNER", "MEMBER", "COLLABORATOR"}


class Comment(GitHubAction):
    """``github.comment``: comments on an issue or pull request.

    POST /repos/{owner}/{repo}/issues/{n}/comments, permission ``issues: write`` or ``pull_requests: write``.
    Idempotent by the effect's mark, hidden in the text, which is looked for before a second write.
    https://docs.github.com/en/rest/issues/comments#create-an-issue-comment
    """

    kind = "github.comment"

    def look_up(self, effect: Effect) -> Written | None:
        """Looks for the mark in the comments since the effect was planned."""
        path = f"issues/{effect.request['number']}/comments"
        for comment in self._items(effect.request, path, **since_planned(effect)):
            if has_mark(comment.get("body"), effect.marker):
                return _written(comment)
        return None

    def write(self, effect: Effect) -> Written:
        """Creates the comment."""
        body = {"body": sign(effect.request["body"], effect.marker)}
        return _written(self._ask("POST", effect.request, f"issues/{effect.request['number']}/comments", body).json())


class UpdateComment(GitHubAction):
    """``github.update_comment``: replaces the text of a comment of ours.

    PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}, permission ``issues: write`` or
    ``pull_requests: write``. With a ``marker`` in place of an id it is the one comment on the subject that carries
    it, which is created where there is none yet. The last text wins. Idempotent by the effect's mark: a comment
    that has it already is not written again.
    https://docs.github.com/en/rest/issues/comments#update-an-issue-comment
    """

    kind = "github.update_comment"

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns the arguments, read. Raises Permanent."""
        request = super().plan(arguments, document)
        marker = request.get("marker")
        if marker is not None and not _MARKER.fullmatch(marker):
            raise Permanent(f"{self.kind} wants a name of letters, digits and ._- as 'marker', not {marker!r}")
        if "comment_id" not in request and "number" not in request:
            key = document["subject"]["key"]
            raise Permanent(f"{self.kind} needs 'number' with a marker: the subject {key} has none, so give it")
        return request

    def look_up(self, effect: Effect) -> Written | None:
        """Looks for the effect's mark in the comment."""
        comment = self._find(effect.request)
        if comment is not None and has_mark(comment["body"], effect.marker):
            return _written(comment)
        return None

    def write(self, effect: Effect) -> Written:
        """Edits the comment; creates it where there is none with the marker."""
        request = effect.request
        comment = self._find(request)
        marks = [_name_mark(request["marker"])] if "marker" in request else []
        body = {"body": sign(request["body"], *marks, effect.marker)}
        if comment is None:
            return _written(self._ask("POST", request, f"issues/{request['number']}/comments", body).json())
        return _written(self._ask("PATCH", request, f"issues/comments/{comment['id']}", body).json())

    def _find(self, request: Json) -> dict[str, Any] | None:
        if "comment_id" in request:
            comment: dict[str, Any] = self._ask("GET", request, f"issues/comments/{request['comment_id']}").json()
            if not _is_ours(comment):
                raise Permanent(f"comment {request['comment_id']} is not one of ours, so it is not edited")
            return comment
        mark = _name_mark(request["marker"])
        for each in self._items(request, f"issues/{request['number']}/comments"):
            if has_mark(each.get("body"), mark) and _is_ours(each):
                return each
        return None


class React(GitHubAction):
    """``github.react``: reacts to an issue, a pull request or a comment.

    POST /repos/{owner}/{repo}/issues/{n}/reactions, .../issues/comments/{id}/reactions and
    .../pulls/comments/{id}/reactions, permission ``issues: write`` or ``pull_requests: write``.
    Idempotent by itself: GitHub answers 200 instead of 201 when the reaction is there already.
    https://docs.github.com/en/rest/reactions/reactions#create-reaction-for-an-issue
    """

    kind = "github.react"

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns the arguments, read; a comment is one on the diff when the event is about those."""
        is_on_diff = document["delivery"]["event"] == "pull_request_review_comment"
        return {**super().plan(arguments, document), "is_on_diff": is_on_diff}

    def look_up(self, effect: Effect) -> Written | None:
        """Finds nothing: reacting once more changes nothing."""
        return None

    def write(self, effect: Effect) -> Written:
        """Reacts."""
        request = effect.request
        path = f"issues/{request['number']}"
        if "comment_id" in request:
            path = f"{'pulls' if request['is_on_diff'] else 'issues'}/comments/{request['comment_id']}"
        reaction = self._ask("POST", request, f"{path}/reactions", {"content": request["content"]}).json()
        return Written(str(reaction["id"]), self._page(request))


def _name_mark(marker: str) -> str:
    return f"<!-- webhook-orchestrator comment={marker} -->"


def _is_ours(comment: Json) -> bool:
    is_trusted = comment["user"] is not None and comment["user"]["type"] == "Bot"
    is_trusted |= comment.get("author_association") in _TRUSTED
    return is_trusted and is_signed(comment.get("body"))


def _written(comment: Json) -> Written:
    return Written(str(comment["id"]), comment.get("html_url"), {"comment_id": comment["id"]})
