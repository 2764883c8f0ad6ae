"""Check runs and commit statuses: what stands beside a commit."""

from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from shared.adapters.github.actions.action import GitHubAction, Json
from shared.adapters.github.actions.texts import MAX_REPORT_CHARACTERS, fit
from shared.adapters.github.refusals import Refusal
from shared.domain.effect import Effect, Written
from shared.domain.errors import Permanent

MAX_DESCRIPTION_CHARACTERS = 140
DEFAULT_CONTEXT = "webhook-orchestrator"


class CheckRun(GitHubAction):
    """``github.check_run``: creates a check run on a commit.

    POST /repos/{owner}/{repo}/check-runs, permission ``checks: write``, for GitHub Apps only. Of check runs with
    one name GitHub shows the newest, so one that is in progress is ended by another of its name.
    Idempotent by ``external_id``, the effect's id, which is looked for before a second write.
    https://docs.github.com/en/rest/checks/runs#create-a-check-run
    """

    kind = "github.check_run"

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns the arguments, read. Raises Permanent: a completed check run has a conclusion, no other has."""
        request = super().plan(arguments, document)
        request.setdefault("status", "completed" if "conclusion" in request else "in_progress")
        if (request["status"] == "completed") != ("conclusion" in request):
            raise Permanent(f"{self.kind} needs a 'conclusion' with the status 'completed', and with no other")
        _check_link(self.kind, request, "details_url")
        return self._at_head(request, document)

    def look_up(self, effect: Effect) -> Written | None:
        """Looks for the effect's id among the commit's check runs of that name."""
        path = f"commits/{quote(effect.request['sha'], safe='')}/check-runs"
        params = {"check_name": effect.request["name"], "filter": "all"}
        for run in self._items(effect.request, path, "check_runs", **params):
            if run["external_id"] == effect.id:
                return _run_written(run)
        return None

    def write(self, effect: Effect) -> Written:
        """Creates the check run."""
        request = effect.request
        body: dict[str, Any] = {"head_sha": request["sha"], "external_id": effect.id}
        body |= {
            name: request[name]
            for name in ("name", "status", "conclusion", "details_url", "actions")
            if name in request
        }
        if request.keys() & {"title", "summary", "text"}:
            title = request.get("title", request["name"])
            # GitHub takes no report without a title and a summary.
            output = {"title": title, "summary": request.get("summary", title)}
            if "text" in request:
                output["text"] = request["text"]
            body["output"] = {name: fit(text, MAX_REPORT_CHARACTERS) for name, text in output.items()}
        try:
            return _run_written(self._ask("POST", request, "check-runs", body).json())
        except Refusal as refusal:
            if refusal.status == httpx.codes.FORBIDDEN:
                raise Permanent(f"{refusal}: only a GitHub App with checks: write can create check runs") from refusal
            raise


def _run_written(run: Json) -> Written:
    return Written(str(run["id"]), run.get("html_url"), {"check_run_id": run["id"]})


class CommitStatus(GitHubAction):
    """``github.status``: sets a commit status.

    POST /repos/{owner}/{repo}/statuses/{sha}, permission ``statuses: write``.
    Idempotent because the last status of a context counts; the same one is not written twice.
    https://docs.github.com/en/rest/commits/statuses#create-a-commit-status
    """

    kind = "github.status"

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns the arguments, read. Raises Permanent."""
        request = super().plan(arguments, document)
        _check_link(self.kind, request, "target_url")
        request["description"] = request.get("description", "")[:MAX_DESCRIPTION_CHARACTERS]
        return self._at_head({"context": DEFAULT_CONTEXT, **request}, document)

    def look_up(self, effect: Effect) -> Written | None:
        """Looks whether the context's last status is the one to be written."""
        wanted = _build_status(effect)
        path = f"commits/{quote(effect.request['sha'], safe='')}/status"
        for status in self._items(effect.request, path, "statuses"):
            if all(status.get(name) == value for name, value in wanted.items()):
                return _status_written(status)
        return None

    def write(self, effect: Effect) -> Written:
        """Creates the status."""
        path = f"statuses/{quote(effect.request['sha'], safe='')}"
        return _status_written(self._ask("POST", effect.request, path, _build_status(effect)).json())


def _build_status(effect: Effect) -> dict[str, Any]:
    return {
        name: effect.request[name]
        for name in ("state", "context", "description", "target_url")
        if name in effect.request
    }


def _status_written(status: Json) -> Written:
    return Written(str(status["id"]), status.get("target_url") or status.get("url"))


def _check_link(kind: str, request: Json, name: str) -> None:
    if name in request and urlsplit(request[name]).scheme not in {"http", "https"}:
        raise Permanent(f"{kind} wants an address that starts with https:// as {name!r}, not {request[name]!r}")
