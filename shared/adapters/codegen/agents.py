"""``codegen.run`` and ``codegen.resume``."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from shared.adapters.absences import TextCache
from shared.adapters.codegen.answers import MARK, PAUSED, AgentRun, read_agent_run
from shared.adapters.codegen.client import UPSTREAM, CodegenClient, NotFound
from shared.domain.action_arguments import read_arguments
from shared.domain.effect import Effect, Written
from shared.domain.errors import Permanent, Transient, Unavailable
from shared.domain.task import AgentReport

PAGE_SIZE = 100
MAX_PAGES = 10
# Somebody may answer the agent on its page meanwhile; a step for failures may resume it afterwards.
PAUSED_SECONDS = 600.0
_PAUSE_KEPT_SECONDS = 24 * 3600.0


class CodegenAgent:
    """``codegen.run``: starts an agent run with a prompt and follows it to its end.

    POST /v1/organizations/{org_id}/agent/run. Idempotent by our mark in the run's ``metadata``, which is looked
    for before a second write: https://docs.codegen.com/api-reference/agents/create-agent-run

    Args:
        client: of Codegen's API.
        cache: where the workers keep since when a run is paused.
        clock: seconds since 1970, UTC.
    """

    def __init__(self, client: CodegenClient, cache: TextCache, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._cache = cache
        self._clock = clock

    def plan(self, arguments: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments, read. Raises Permanent."""
        return {**read_arguments("codegen.run", arguments, document), "subject": document["subject"]["key"]}

    def look_up(self, effect: Effect) -> Written | None:
        """Looks for the mark in the runs that were started through the API, newest first."""
        for page in range(MAX_PAGES):
            params = {"source_type": "API", "skip": page * PAGE_SIZE, "limit": PAGE_SIZE}
            items = self._ask("GET", "/runs", params=params).get("items")
            if not isinstance(items, list):
                # Rather late than twice: that there is no such run was not said.
                raise Transient("codegen's list of agent runs cannot be read")
            for item in items:
                run = read_agent_run(item) if isinstance(item, dict) else None
                if run is not None and run.effect_id == effect.id:
                    return _written(run)
            if len(items) < PAGE_SIZE:
                return None
        # Rather dead than twice: an agent run costs money and opens pull requests.
        raise Permanent(f"unknown_outcome: the agent run is not among the newest {MAX_PAGES * PAGE_SIZE}")

    def write(self, effect: Effect) -> Written:
        """Creates the agent run."""
        self._client.require()
        body = {name: effect.request[name] for name in ("prompt", "model", "repo_id") if name in effect.request}
        body["metadata"] = {MARK: effect.id, "subject": effect.request["subject"]}
        try:
            return _written(read_agent_run(self._client.request("POST", "/run", json=body)))
        except NotFound as error:
            if "repo_id" in body:
                # One workflow's wrong repository is not to keep the others from the agent.
                raise Unavailable(f"agent unavailable: {error}") from error
            raise self._client.declare_absent(str(error)) from error

    def read(self, agent_run_id: str) -> AgentReport:
        """Returns how the agent run stands; one that is gone, or has been paused for long, has failed."""
        try:
            run = self._read_run(agent_run_id)
        except NotFound as error:
            return AgentReport(UPSTREAM, agent_run_id, "GONE", "failed", detail=f"the agent run is gone: {error}")
        phase, detail = run.phase, run.ending
        if self._has_paused_for_long(agent_run_id, is_paused=run.word == PAUSED):
            phase, detail = "failed", "paused: the agent waits for input"
        return AgentReport(
            agent=UPSTREAM,
            agent_run_id=agent_run_id,
            status=run.status,
            phase=phase,
            url=run.url,
            result=run.result,
            summary=run.summary,
            pull_requests=run.pull_requests,
            detail=detail,
        )

    def cancel(self, agent_run_id: str) -> None:
        """Stops the agents on the run's pull request, of which there must be one.

        Codegen stops no single run: it bans a pull request, which stops all agents on it and keeps its checks
        from waking them. So only a run that still works is banned, and the ban is lifted at once; what was
        stopped stays stopped. A run without a pull request cannot be stopped and goes on to its own end.
        https://docs.codegen.com/api-reference/agents/ban-all-checks-for-agent-run
        """
        try:
            run = self._read_run(agent_run_id)
        except NotFound:
            return
        if run.phase == "working":
            self._move_ban("ban", agent_run_id)
        if run.phase in {"working", "cancelled"}:
            # Of a cancelled one too: a worker may have died between the ban and its end.
            self._move_ban("unban", agent_run_id)

    def _move_ban(self, operation: str, agent_run_id: str) -> None:
        try:
            self._client.request("POST", f"/run/{operation}", json={"agent_run_id": int(agent_run_id)})
        except Permanent:
            return

    def _read_run(self, agent_run_id: str) -> AgentRun:
        run = read_agent_run(self._client.request("GET", f"/run/{agent_run_id}"))
        if run.id != agent_run_id:
            raise Transient(f"codegen's answer about agent run {agent_run_id} cannot be read")
        return run

    def _ask(self, method: str, path: str, *, params: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._client.request(method, path, params=params)
        except NotFound as error:
            raise Unavailable(f"agent unavailable: {error}") from error

    def _has_paused_for_long(self, agent_run_id: str, *, is_paused: bool) -> bool:
        key = f"codegen:paused:{agent_run_id}"
        if not is_paused:
            self._cache.drop(key)
            return False
        since = self._cache.get(key)
        if since is None:
            self._cache.put(key, str(self._clock()), _PAUSE_KEPT_SECONDS)
            return False
        return self._clock() - float(since) >= PAUSED_SECONDS


class CodegenResume(CodegenAgent):
    """``codegen.resume``: gives an earlier agent run a further prompt and follows it to its next end.

    POST /v1/organizations/{org_id}/agent/run/resume. There is no key to leave, so the plan notes how the run
    stands before the prompt. After an ambiguous failure a run that stands otherwise is taken for resumed; of one
    that stands as before nobody knows, and the step is dead with ``unknown_outcome`` rather than prompted twice.
    https://docs.codegen.com/api-reference/agents/resume-agent-run
    """

    def plan(self, arguments: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments, read, and how the run stands. Raises Transient, Permanent, Unavailable."""
        request = read_arguments("codegen.resume", arguments, document)
        return {**request, "before": self._find_run(str(request["agent_run_id"])).fingerprint}

    def look_up(self, effect: Effect) -> Written | None:
        """Takes the run for resumed when it does not stand as it did before."""
        run = self._find_run(str(effect.request["agent_run_id"]))
        if run.fingerprint == effect.request["before"]:
            raise Permanent("unknown_outcome: the agent run stands as before it was resumed, or was to be")
        return _written(run)

    def write(self, effect: Effect) -> Written:
        """Resumes the agent run."""
        self._client.require()
        body = {name: effect.request[name] for name in ("agent_run_id", "prompt")}
        try:
            run = read_agent_run(self._client.request("POST", "/run/resume", json=body))
        except NotFound as error:
            raise Unavailable(f"agent unavailable: {error}") from error
        return Written(str(body["agent_run_id"]), run.url, {"status": run.status})

    def _find_run(self, agent_run_id: str) -> AgentRun:
        try:
            return self._read_run(agent_run_id)
        except NotFound as error:
            raise Unavailable(f"agent unavailable: {error}") from error


def _written(run: AgentRun) -> Written:
    if run.id is None:
        raise Permanent("unknown_outcome: codegen accepted the agent run and did not say its id")
    return Written(run.id, run.url, {"status": run.status})
