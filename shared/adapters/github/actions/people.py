"""Who works on an issue or pull request, and who reviews it; GitHub ignores the case of logins."""

from typing import Any

from shared.adapters.github.actions.action import GitHubAction, Json, name_subject
from shared.domain.effect import Effect, Written
from shared.domain.errors import Permanent

# https://docs.github.com/en/issues/tracking-your-work-with-issues/using-issues/assigning-issues-and-pull-requests-to-other-github-users
MAX_ASSIGNEES = 10


class Assign(GitHubAction):
    """``github.assign``: assigns people to an issue or pull request.

    POST /repos/{owner}/{repo}/issues/{n}/assignees, permission ``issues: write`` or ``pull_requests: write``.
    Idempotent by itself; people who are all assigned already are not assigned again.
    https://docs.github.com/en/rest/issues/assignees#add-assignees-to-an-issue
    """

    kind = "github.assign"

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns the arguments, read. Raises Permanent."""
        request = super().plan(arguments, document)
        if len(request["assignees"]) > MAX_ASSIGNEES:
            raise Permanent(f"{self.kind} takes at most {MAX_ASSIGNEES} 'assignees', not {len(request['assignees'])}")
        return request

    def look_up(self, effect: Effect) -> Written | None:
        """Looks whether all of them are assigned."""
        issue = self._read_issue(effect.request)
        return None if _list_missing(effect, issue) else _written(effect, issue)

    def write(self, effect: Effect) -> Written:
        """Assigns them."""
        path = f"issues/{effect.request['number']}/assignees"
        issue = self._ask("POST", effect.request, path, {"assignees": effect.request["assignees"]}).json()
        missing = _list_missing(effect, issue)
        if missing:
            # GitHub leaves out in silence whom it will not assign.
            raise Permanent(f"github did not assign {', '.join(missing)}: only people with access can be assigned")
        return _written(effect, issue)


def _list_missing(effect: Effect, issue: Json) -> list[str]:
    assigned = {user["login"].lower() for user in issue["assignees"] or []}
    return [login for login in effect.request["assignees"] if login.lower() not in assigned]


def _written(effect: Effect, issue: Json) -> Written:
    outputs = {"assignees": [user["login"] for user in issue["assignees"] or []]}
    return Written(name_subject(effect.request), issue.get("html_url"), outputs)


class RequestReview(GitHubAction):
    """``github.request_review``: asks people or teams to review a pull request.

    POST /repos/{owner}/{repo}/pulls/{n}/requested_reviewers, permission ``pull_requests: write``.
    Idempotent by itself; those who are all asked already are not asked again.
    https://docs.github.com/en/rest/pulls/review-requests#request-reviewers-for-a-pull-request
    """

    kind = "github.request_review"

    def look_up(self, effect: Effect) -> Written | None:
        """Looks whether all of them are asked."""
        pull = self._read_pull(effect.request)
        people = {user["login"].lower() for user in pull["requested_reviewers"] or []}
        teams = {team["slug"].lower() for team in pull["requested_teams"] or []}
        wanted = _build_body(effect)
        is_people = {login.lower() for login in wanted.get("reviewers", [])} <= people
        is_teams = {slug.lower() for slug in wanted.get("team_reviewers", [])} <= teams
        return Written(name_subject(effect.request), pull.get("html_url")) if is_people and is_teams else None

    def write(self, effect: Effect) -> Written:
        """Asks them."""
        path = f"pulls/{effect.request['number']}/requested_reviewers"
        pull = self._ask("POST", effect.request, path, _build_body(effect)).json()
        return Written(name_subject(effect.request), pull.get("html_url"))


def _build_body(effect: Effect) -> dict[str, list[str]]:
    body = {name: effect.request[name] for name in ("reviewers", "team_reviewers") if name in effect.request}
    if "team_reviewers" in body:
        # People write a team as @owner/slug, GitHub wants the slug.
        body["team_reviewers"] = [team.rpartition("/")[2] for team in body["team_reviewers"]]
    return body
