"""Codegen's agent API, behind the port of an agent.

It knows no idempotency key and no callback, its statuses are free strings, and it may be switched off by its
owner: so a run carries our mark in its ``metadata``, and everything it answers may be missing.
https://docs.codegen.com/api-reference/agents/create-agent-run
"""

from collections.abc import Mapping
from typing import Any

import httpx

from shared.adapters.http import read_object, read_retry_after, send_request
from shared.domain.effect import Effect, Written
from shared.domain.errors import Limited, Permanent
from shared.domain.task import AgentPhase, AgentReport

UPSTREAM = "codegen"
MARK = "webhook_orchestrator_effect"
PAGE_SIZE = 100
MAX_PAGES = 10
# Its 429 names no time; its budgets are counted by the minute.
LIMIT_SECONDS = 60.0

_PHASES: dict[str, AgentPhase] = {
    "COMPLETE": "succeeded",
    "COMPLETED": "succeeded",
    "ERROR": "failed",
    "FAILED": "failed",
    "TIMEOUT": "failed",
    "MAX_ITERATIONS_REACHED": "failed",
    "OUT_OF_TOKENS": "failed",
    "CANCELLED": "cancelled",
    "CANCELED": "cancelled",
    "STOPPED": "cancelled",
}


class CodegenAgent:
    """``codegen.run``: starts an agent run with a prompt and follows it to its end.

    Args:
        client: with Codegen's address as its base.
        token: of the API.
        org_id: the organisation that pays for the runs.
    """

    def __init__(self, client: httpx.Client, token: str, org_id: int) -> None:
        self._client = client
        self._token = token
        self._organization = f"/v1/organizations/{org_id}/agent"

    def plan(self, arguments: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """Takes ``prompt``, and ``model`` and ``repo_id`` when they are given."""
        prompt = str(arguments.get("prompt") or "").strip()
        if not prompt:
            raise Permanent("codegen.run needs a 'prompt' that is not empty")
        request = {"prompt": prompt, "subject": document["subject"]["key"]}
        return request | {name: arguments[name] for name in ("model", "repo_id") if arguments.get(name)}

    def look_up(self, effect: Effect) -> Written | None:
        """Looks for the mark in the runs that were started through the API, newest first."""
        for page in range(MAX_PAGES):
            params = {"source_type": "API", "skip": page * PAGE_SIZE, "limit": PAGE_SIZE}
            runs = self._request("GET", "/runs", params=params).get("items") or []
            for run in runs:
                if (run.get("metadata") or {}).get(MARK) == effect.id:
                    return _written(run)
            if len(runs) < PAGE_SIZE:
                return None
        # Rather dead than twice: an agent run costs money and opens pull requests.
        raise Permanent(f"unknown_outcome: the agent run is not among the newest {MAX_PAGES * PAGE_SIZE}")

    def write(self, effect: Effect) -> Written:
        """Creates the agent run."""
        body = {name: effect.request[name] for name in ("prompt", "model", "repo_id") if name in effect.request}
        body["metadata"] = {MARK: effect.id, "subject": effect.request["subject"]}
        return _written(self._request("POST", "/run", json=body))

    def read(self, agent_run_id: str) -> AgentReport:
        """Returns how the agent run stands."""
        run = self._request("GET", f"/run/{agent_run_id}")
        status = str(run.get("status") or "PENDING")
        return AgentReport(
            agent=UPSTREAM,
            agent_run_id=agent_run_id,
            status=status,
            # What is none of the known ends is still going, until our own deadline.
            phase=_PHASES.get(status.strip().upper(), "working"),
            url=run.get("web_url"),
            result=run.get("result"),
            summary=run.get("summary"),
            pull_requests=tuple(str(pull["url"]) for pull in run.get("github_pull_requests") or [] if pull.get("url")),
        )

    def _request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        response = send_request(
            self._client,
            UPSTREAM,
            method,
            self._organization + path,
            headers={"authorization": f"Bearer {self._token}"},
            json=json,
            params=params,
        )
        body = read_object(response)
        if response.is_success:
            return body
        # Two shapes are in use: `message` and `detail`, the latter a text or a list.
        message = body.get("message") or body.get("detail") or ""
        reason = f"codegen answered {response.status_code} to {method} {path}: {message}"
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise Limited(UPSTREAM, reason, read_retry_after(response) or LIMIT_SECONDS)
        raise Permanent(reason)


def _written(run: Mapping[str, Any]) -> Written:
    if "id" not in run:
        raise Permanent("unknown_outcome: codegen accepted the agent run and did not say its id")
    return Written(str(run["id"]), run.get("web_url"), {"status": run.get("status") or "PENDING"})
