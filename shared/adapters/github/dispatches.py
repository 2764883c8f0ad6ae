"""Starting GitHub Actions without waiting for them, and running again what failed in them."""

import json
from typing import Any

from shared.adapters.github.actions.action import GitHubAction, Json
from shared.adapters.github.addresses import derive_web_url
from shared.adapters.github.workflow_runs import WorkflowStart, name_run
from shared.domain.effect import Effect, Written
from shared.domain.errors import OutcomeUnknown, Permanent

MAX_EVENT_TYPE_CHARACTERS = 100
MAX_PAYLOAD_KEYS = 10
MAX_PAYLOAD_BYTES = 64 * 1024


class Dispatch(WorkflowStart):
    """``github.dispatch``: starts a workflow by name, or all that are ``on: repository_dispatch``.

    With ``workflow`` see ``WorkflowStart``. With ``event_type``: POST /repos/{owner}/{repo}/dispatches,
    permission ``contents: write``. What comes of it bears no trace of us, so an unknown outcome is for a person:
    the step is dead with ``unknown_outcome`` rather than the event sent twice.
    https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event
    """

    kind = "github.dispatch"

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns the arguments, read. Raises Permanent."""
        request = GitHubAction.plan(self, arguments, document)
        if "workflow" in request:
            if "event_type" in request:
                raise Permanent("github.dispatch takes either 'event_type' or 'workflow'")
            return super().plan(arguments, document)
        if len(request["event_type"]) > MAX_EVENT_TYPE_CHARACTERS:
            raise Permanent(f"github.dispatch takes at most {MAX_EVENT_TYPE_CHARACTERS} characters as 'event_type'")
        payload = request.get("client_payload", {})
        if len(payload) > MAX_PAYLOAD_KEYS:
            raise Permanent(f"github.dispatch takes at most {MAX_PAYLOAD_KEYS} keys in 'client_payload'")
        if len(json.dumps(payload)) >= MAX_PAYLOAD_BYTES:
            raise Permanent(f"github.dispatch takes less than {MAX_PAYLOAD_BYTES} bytes as 'client_payload'")
        return request

    def look_up(self, effect: Effect) -> Written | None:
        """Looks for a workflow's run; of an event there is nothing to look for."""
        if "workflow" in effect.request:
            return super().look_up(effect)
        raise _unknown(effect.request)

    def write(self, effect: Effect) -> Written:
        """Starts the workflow, or sends the event."""
        request = effect.request
        if "workflow" in request:
            return super().write(effect)
        body = {name: request[name] for name in ("event_type", "client_payload") if name in request}
        try:
            self._ask("POST", request, "dispatches", body)
        except OutcomeUnknown as error:
            raise _unknown(request) from error
        return Written(f"{request['repository']}:{request['event_type']}", None)


class RerunFailed(GitHubAction):
    """``github.rerun_failed``: runs the failed jobs of a workflow run again.

    POST /repos/{owner}/{repo}/actions/runs/{run_id}/rerun-failed-jobs, permission ``actions: write``.
    Idempotent by the run's attempt: one that has moved on since it was seen was started again.
    https://docs.github.com/en/rest/actions/workflow-runs#re-run-failed-jobs-from-a-workflow-run
    """

    kind = "github.rerun_failed"

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Takes ``run_id`` in place of the event's; notes the attempt that failed. Raises Transient, Permanent."""
        request = super().plan(arguments, document)
        of_event = document.get("workflow_run")
        seen = of_event if isinstance(of_event, dict) else {}
        run_id = request.get("run_id") or seen.get("id")
        if run_id is None:
            raise Permanent("github.rerun_failed needs 'run_id': the event is about no workflow run, so give it")
        request["run_id"] = run_id
        is_of_event = run_id == seen.get("id") and type(seen.get("run_attempt")) is int
        return {**request, "attempt": seen["run_attempt"] if is_of_event else self._read_attempt(request)}

    def look_up(self, effect: Effect) -> Written | None:
        """Looks whether the run's attempt has moved on."""
        return self._written(effect.request) if self._read_attempt(effect.request) > effect.request["attempt"] else None

    def write(self, effect: Effect) -> Written:
        """Runs the failed jobs again."""
        self._ask("POST", effect.request, f"actions/runs/{effect.request['run_id']}/rerun-failed-jobs")
        return self._written(effect.request)

    def _read_attempt(self, request: Json) -> int:
        return int(self._ask("GET", request, f"actions/runs/{request['run_id']}").json()["run_attempt"])

    def _written(self, request: Json) -> Written:
        name = name_run(request["repository"], request["run_id"])
        return Written(name, f"{derive_web_url(self._client.base_url)}/{name}")


def _unknown(request: Json) -> Permanent:
    event = f"{request['event_type']!r} to {request['repository']}"
    return Permanent(f"unknown_outcome: whether the event {event} was sent cannot be looked up")
