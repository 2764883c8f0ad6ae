"""``approval.wait``: a step that a maintainer ends, told like an agent's: asked for, and looked at till it comes."""

from collections.abc import Mapping
from typing import Any

from shared.domain.action_arguments import read_arguments
from shared.domain.effect import Effect, Written
from shared.domain.task import AgentReport
from shared.ports import Action, Instructions

Json = Mapping[str, Any]
NAME = "approval"
CHECK_NAME = "Approval"
# Its `requested_action.identifier` is what a workflow on check_run matches.
BUTTON = {"label": "Approve", "description": "Let the run go on", "identifier": "approve"}
DEFAULT_MESSAGE = "A workflow waits for approval."


class ApprovalWait:
    """See ``shared.ports.Agent``.

    Args:
        instructions: know who approved what.
        comment: ``github.comment``, which asks in words.
        check_run: ``github.check_run``, which asks with a button; needs a GitHub App.
    """

    def __init__(self, instructions: Instructions, comment: Action, check_run: Action) -> None:
        self._instructions = instructions
        self._ways = {"comment": comment, "check_run": check_run}

    def plan(self, arguments: Json, document: Json) -> dict[str, Any]:
        """Returns the question, whole. Raises Permanent."""
        read = read_arguments("approval.wait", arguments, document)
        message = read.get("message") or DEFAULT_MESSAGE
        ask = read.get("ask") or ("comment" if document["subject"]["number"] else "none")
        if ask == "comment":
            body = f"{message}\n\nWho may write to the repository approves with a comment `/approve`."
            return {"ask": ask, "question": dict(self._ways[ask].plan({"body": body}, document))}
        if ask == "check_run":
            question = {"name": CHECK_NAME, "conclusion": "action_required", "title": message.splitlines()[0][:200]}
            planned = self._ways[ask].plan({**question, "summary": message}, document)
            return {"ask": ask, "question": {**planned, "actions": [BUTTON]}}
        return {"ask": ask}

    def look_up(self, effect: Effect) -> Written | None:
        """Looks for the question; that nothing was to be asked is found at once."""
        way = self._ways.get(effect.request["ask"])
        if way is None:
            return Written(effect.id, None)
        found = way.look_up(_question(effect))
        return None if found is None else Written(effect.id, found.url)

    def write(self, effect: Effect) -> Written:
        """Puts the question."""
        way = self._ways.get(effect.request["ask"])
        return Written(effect.id, None if way is None else way.write(_question(effect)).url, {"status": "waiting"})

    def read(self, agent_run_id: str) -> AgentReport:
        """Tells whether somebody has approved; ``agent_run_id`` is the effect's."""
        approved_by = self._instructions.read_approval(agent_run_id)
        if approved_by is None:
            return AgentReport(NAME, agent_run_id, "waiting", "working")
        return AgentReport(NAME, agent_run_id, "approved", "succeeded", result=f"approved by {approved_by}")

    def cancel(self, agent_run_id: str) -> None:
        """Has nothing to stop: nobody works."""


def _question(effect: Effect) -> Effect:
    return Effect(effect.id, effect.kind, effect.request["question"], effect.planned_at)
