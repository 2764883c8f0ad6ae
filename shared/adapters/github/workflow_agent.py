"""An agent that is a repository's own workflow: whatever it runs, it is done when its workflow run is."""

import httpx

from shared.adapters.github.refusals import Refusal
from shared.adapters.github.workflow_runs import WorkflowStart
from shared.adapters.http import read_object
from shared.domain.errors import Transient
from shared.domain.task import AgentPhase, AgentReport

AGENT = "actions"
_GONE = {httpx.codes.NOT_FOUND, httpx.codes.GONE}
_PHASES: dict[str, AgentPhase] = {"success": "succeeded", "cancelled": "cancelled"}


class WorkflowAgent(WorkflowStart):
    """``actions.run``: starts a workflow and follows its run to its end.

    A workflow run has no result of its own to offer; its page is the ``url``, its title the ``summary``.
    https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run
    """

    kind = "actions.run"

    def read(self, agent_run_id: str) -> AgentReport:
        """Returns how the workflow run stands; any conclusion but ``success`` is a failure."""
        try:
            run = read_object(
                self._client.request("GET", f"/repos/{agent_run_id}", repository=_repository(agent_run_id))
            )
        except Refusal as refusal:
            if refusal.status not in _GONE:
                raise
            return AgentReport(AGENT, agent_run_id, "GONE", "failed", detail=f"the workflow run is gone: {refusal}")
        status, conclusion = run.get("status"), run.get("conclusion")
        if not isinstance(status, str):
            raise Transient(f"github's answer about {agent_run_id} cannot be read")
        title, url = run.get("display_title"), run.get("html_url")
        is_completed = status == "completed"
        phase = _PHASES.get(str(conclusion), "failed") if is_completed else "working"
        return AgentReport(
            agent=AGENT,
            agent_run_id=agent_run_id,
            status=str(conclusion) if is_completed else status,
            phase=phase,
            url=url if isinstance(url, str) else None,
            summary=title if isinstance(title, str) else None,
            detail=f"the workflow run ended as {conclusion}" if phase in {"failed", "cancelled"} else None,
        )

    def cancel(self, agent_run_id: str) -> None:
        """Cancels the workflow run; one that has ended, or is gone, stays as it is.

        https://docs.github.com/en/rest/actions/workflow-runs#cancel-a-workflow-run
        """
        try:
            self._client.request("POST", f"/repos/{agent_run_id}/cancel", repository=_repository(agent_run_id))
        except Refusal as refusal:
            if refusal.status not in {*_GONE, httpx.codes.CONFLICT}:
                raise


def _repository(agent_run_id: str) -> str:
    return agent_run_id.partition("/actions/runs/")[0]
