"""Issues: opened, and closed like pull requests."""

from shared.adapters.github.actions.action import GitHubAction, Json, name_subject, since_planned
from shared.adapters.github.actions.texts import has_mark, sign
from shared.domain.effect import Effect, Written

MAX_TITLE_CHARACTERS = 256


class CreateIssue(GitHubAction):
    """``github.create_issue``: opens an issue.

    POST /repos/{owner}/{repo}/issues, permission ``issues: write``.
    Idempotent by the effect's mark, hidden in the text, which is looked for before a second write.
    https://docs.github.com/en/rest/issues/issues#create-an-issue
    """

    kind = "github.create_issue"

    def look_up(self, effect: Effect) -> Written | None:
        """Looks for the mark in the issues that changed since the effect was planned."""
        for issue in self._items(effect.request, "issues", state="all", **since_planned(effect)):
            if has_mark(issue.get("body"), effect.marker):
                return _written(issue)
        return None

    def write(self, effect: Effect) -> Written:
        """Opens the issue."""
        request = effect.request
        body = {name: request[name] for name in ("labels", "assignees") if name in request}
        body["title"] = request["title"][:MAX_TITLE_CHARACTERS]
        body["body"] = sign(request.get("body", ""), effect.marker)
        return _written(self._ask("POST", request, "issues", body).json())


def _written(issue: Json) -> Written:
    return Written(str(issue["id"]), issue.get("html_url"), {"number": issue["number"]})


class Close(GitHubAction):
    """``github.close``: closes an issue or pull request.

    PATCH /repos/{owner}/{repo}/issues/{n} or .../pulls/{n}, permission ``issues: write`` or
    ``pull_requests: write``. Idempotent by itself; what is closed already is not written again.
    https://docs.github.com/en/rest/issues/issues#update-an-issue
    https://docs.github.com/en/rest/pulls/pulls#update-a-pull-request
    """

    kind = "github.close"

    def look_up(self, effect: Effect) -> Written | None:
        """Looks whether it is closed."""
        issue = self._read_issue(effect.request)
        return Written(name_subject(effect.request), issue.get("html_url")) if issue["state"] == "closed" else None

    def write(self, effect: Effect) -> Written:
        """Closes it."""
        request = effect.request
        body = {"state": "closed"}
        path = f"issues/{request['number']}"
        if "pull_request" in self._read_issue(request):
            path = f"pulls/{request['number']}"
        elif "state_reason" in request:
            body["state_reason"] = request["state_reason"]
        closed = self._ask("PATCH", request, path, body).json()
        return Written(name_subject(request), closed.get("html_url"))
