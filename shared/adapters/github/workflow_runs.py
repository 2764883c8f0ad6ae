"""Workflows of GitHub Actions: starting one, and finding the run that came of it.

https://docs.github.com/en/rest/actions/workflows#create-a-workflow-dispatch-event
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any
from urllib.parse import quote

from shared.adapters.github.actions.action import GitHubAction, Json
from shared.adapters.github.client import GitHubClient
from shared.adapters.http import read_object
from shared.domain.effect import Effect, Written
from shared.domain.errors import OutcomeUnknown, Permanent

MAX_INPUTS = 25
# By how much GitHub's clock may be behind the database's. No more: an earlier run is not to be taken for ours.
CLOCK_SLACK = timedelta(seconds=10)

# A file's name in .github/workflows, or an id; it becomes a part of a path.
_WORKFLOW = re.compile(r"(?!\.)[^/\\?#]+\.ya?ml|[0-9]+")


class WorkflowStart(GitHubAction):
    """Starts a workflow that is ``on: workflow_dispatch``.

    POST /repos/{owner}/{repo}/actions/workflows/{workflow}/dispatches, permission ``actions: write``.
    GitHub keeps no key of ours: an input that the workflow does not declare is refused, and inputs are not shown
    again. So after an ambiguous failure the workflow's runs are looked for that were dispatched since. None: it is
    written again. One: that is it. Several: nobody can tell, and the step is dead with ``unknown_outcome``.

    Args:
        client: of GitHub's API.
        actor: our login, so that runs which others dispatched are not taken for ours; None when it is not known.
    """

    def __init__(self, client: GitHubClient, actor: str | None = None) -> None:
        super().__init__(client)
        self._actor = actor

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns the arguments, read, with the ``ref``. Raises Permanent."""
        request = super().plan(arguments, document)
        if not _WORKFLOW.fullmatch(request["workflow"]):
            raise Permanent(f"{self.kind} wants a file name or an id as 'workflow', not {request['workflow']!r}")
        ref = request.get("ref") or self._find_default_branch(request["repository"], document)
        inputs = _read_inputs(self.kind, request.get("inputs", {}))
        return {**request, "ref": ref.removeprefix("refs/heads/").removeprefix("refs/tags/"), "inputs": inputs}

    def look_up(self, effect: Effect) -> Written | None:
        """Looks for the one run that was dispatched since."""
        request = effect.request
        params = {"event": "workflow_dispatch", "branch": request["ref"]}
        if self._actor is not None:
            params["actor"] = self._actor
        # Newest first.
        listed = self._items(request, f"{_path(request)}/runs", within="workflow_runs", **params)
        runs = list(takewhile(lambda run: _is_since(effect.planned_at, run), listed))
        if len(runs) > 1:
            raise Permanent(
                f"unknown_outcome: {len(runs)} runs of {request['workflow']} may be the one that was started"
            )
        return _written(request, runs[0]["id"], runs[0].get("html_url")) if runs else None

    def write(self, effect: Effect) -> Written:
        """Starts the workflow."""
        request = effect.request
        # The version 2022-11-28 names the run only when asked to.
        body = {"ref": request["ref"], "inputs": request["inputs"], "return_run_details": True}
        answer = read_object(self._ask("POST", request, f"{_path(request)}/dispatches", body))
        if type(answer.get("workflow_run_id")) is not int:
            # 204: a server that does not name the run. It is there when the next attempt looks for it.
            raise OutcomeUnknown("github started the workflow and did not say which run that is")
        return _written(request, answer["workflow_run_id"], answer.get("html_url"))

    def _find_default_branch(self, repository: str, document: Json) -> str:
        of_event = document.get("repository")
        if isinstance(of_event, dict) and of_event.get("full_name") == repository:
            branch = of_event.get("default_branch")
            if isinstance(branch, str) and branch:
                return branch
        raise Permanent(f"{self.kind} needs 'ref': the event does not say the default branch of {repository}")


def name_run(repository: str, run_id: int) -> str:
    """Returns the id of a workflow run everywhere: the path of its page, and of it in the API."""
    return f"{repository}/actions/runs/{run_id}"


def _path(request: Json) -> str:
    return f"actions/workflows/{quote(request['workflow'], safe='')}"


def _written(request: Json, run_id: int, url: str | None) -> Written:
    return Written(name_run(request["repository"], run_id), url, {"status": "queued"})


def _is_since(planned_at: datetime | None, run: Mapping[str, Any]) -> bool:
    return planned_at is None or datetime.fromisoformat(run["created_at"]) >= planned_at - CLOCK_SLACK


def _read_inputs(action: str, given: Json) -> dict[str, str]:
    if len(given) > MAX_INPUTS:
        raise Permanent(f"{action} takes at most {MAX_INPUTS} 'inputs', not {len(given)}")
    return {name: _read_input(action, name, value) for name, value in given.items()}


def _read_input(action: str, name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise Permanent(f"{action} takes texts as 'inputs', and {name!r} is none")
