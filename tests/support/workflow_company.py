"""A repository's workflows at the sandbox GitHub, and what is asked of them."""

from functools import cache
from typing import Any

import httpx

from shared.adapters.github.authorization import TokenAuthorization
from shared.adapters.github.client import GitHubClient
from shared.adapters.github.dispatches import Dispatch, RerunFailed
from shared.adapters.github.workflow_agent import WorkflowAgent
from shared.domain.effect import Effect
from shared.domain.task import AgentPhase
from tests.support.outside import GITHUB_ERRORS, check_exchanges, read_document
from tests.support.sandbox_server import Contract, SandboxServer


@cache
def read_contract() -> Contract:
    """Returns GitHub's document, which takes seconds to read."""
    return Contract("github-openapi-trimmed.json", "https://api.github.com", GITHUB_ERRORS)


class WorkflowCompany:
    """The sandbox GitHub; every request is checked against GitHub's document."""

    name = "actions"

    def __init__(self, server: SandboxServer) -> None:
        server.client.post("/_reset").raise_for_status()
        self.server = server
        self.client = httpx.Client(
            base_url=server.url, trust_env=False, event_hooks={"response": [check_exchanges(read_contract())]}
        )
        github = GitHubClient(self.client, TokenAuthorization("made-up"))
        self.agent = WorkflowAgent(github, actor="sandbox")
        self.dispatch = Dispatch(github)
        self.rerun = RerunFailed(github)

    def script(self, phase: AgentPhase, result: str) -> None:
        del result
        conclusion = {"succeeded": "success", "failed": "timed_out", "cancelled": "cancelled"}.get(phase, "success")
        self.script_conclusion(conclusion, None if phase == "working" else 0.0)

    def script_conclusion(self, conclusion: str, after_seconds: float | None = 0.0) -> None:
        outcome = {"match": "", "conclusion": conclusion, "after_seconds": after_seconds}
        self.server.client.post("/_workflow_outcome", json=outcome).raise_for_status()

    def wait(self) -> None:
        pass

    def plan(self, **arguments: object) -> Effect:
        request = self.agent.plan({"workflow": "work.yml", **arguments}, read_document())
        return Effect("e1", "actions.run", request)

    def start(self) -> str:
        return self.agent.write(self.plan()).external_id

    def list_sent(self) -> list[dict[str, Any]]:
        return [received["body"] for received in self.server.list_received(method="POST")]
