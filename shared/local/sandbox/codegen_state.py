"""What the sandbox Codegen remembers: agent runs, and how coming ones shall end."""

import json
import re
import time
from sqlite3 import Row

from pydantic import BaseModel, ConfigDict, Field

from shared.local.sandbox.store import Store, format_time

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, organization_id INTEGER NOT NULL, prompt TEXT NOT NULL,
    metadata TEXT, source_type TEXT NOT NULL, created_at TEXT NOT NULL,
    ends_at REAL NOT NULL, end_status TEXT NOT NULL, end_result TEXT, end_pulls TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_by_organization ON runs (organization_id, id);
CREATE TABLE IF NOT EXISTS outcomes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, definition TEXT NOT NULL
);
"""

ACTIVE = "ACTIVE"
COMPLETE = "COMPLETE"
CANCELLED = "CANCELLED"
_SUMMARY_CHARACTERS = 120


class Outcome(BaseModel):
    """How the agent runs whose prompt a regular expression is found in shall end.

    Attributes:
        match: the regular expression.
        status: what they end with, such as COMPLETE, FAILED, OUT_OF_TOKENS or PAUSED; ACTIVE never ends.
        after_seconds: how long they are active; the server's own figure unless given.
        result: their result text; a COMPLETE run derives one from its prompt unless given.
        pull_requests: addresses of the pull requests they open, ``https://github.com/{owner}/{repo}/pull/{n}``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: re.Pattern[str]
    status: str = Field(default=COMPLETE, min_length=1)
    after_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    result: str | None = None
    pull_requests: list[str] = []


class CodegenState:
    """The agent runs of every organization; organizations exist by being named."""

    def __init__(self, store: Store, base_url: str, run_seconds: float) -> None:
        self._store = store
        self.base_url = base_url
        self._run_seconds = run_seconds

    def add_outcome(self, outcome: Outcome) -> None:
        """Scripts how coming runs end; a later outcome goes before an earlier one."""
        self._store.insert_row("INSERT INTO outcomes (definition) VALUES (?)", (outcome.model_dump_json(),))

    def add_run(self, organization_id: int, prompt: str, metadata: dict[str, object] | None) -> int:
        """Starts an agent run and returns its id."""
        return self._store.insert_row(
            "INSERT INTO runs"
            " (organization_id, prompt, metadata, source_type, created_at, ends_at, end_status, end_result, end_pulls)"
            " VALUES (?, ?, ?, 'API', ?, ?, ?, ?, ?)",
            (
                organization_id,
                prompt,
                None if metadata is None else json.dumps(metadata),
                format_time(),
                *self._plan_end(prompt),
            ),
        )

    def resume_run(self, run_id: int, prompt: str) -> None:
        """Makes a run active again; the new prompt decides how it ends."""
        sql = "UPDATE runs SET prompt = ?, ends_at = ?, end_status = ?, end_result = ?, end_pulls = ? WHERE id = ?"
        self._store.change_rows(sql, (prompt, *self._plan_end(prompt), run_id))

    def stop_run(self, run_id: int) -> None:
        """Cancels a run unless it has ended already."""
        now = time.time()
        self._store.change_rows(
            "UPDATE runs SET ends_at = ?, end_status = ?, end_result = NULL"
            " WHERE id = ? AND (ends_at > ? OR end_status IN ('ACTIVE', 'EVALUATION', 'PAUSED', 'PENDING'))",
            (now, CANCELLED, run_id, now),
        )

    def read_run(self, run_id: int) -> Row | None:
        """Returns a run, or None."""
        return self._store.read_row("SELECT * FROM runs WHERE id = ?", (run_id,))

    def count_runs(self, organization_id: int, source_type: str | None) -> int:
        """Returns how many runs an organization has, of one source or of any."""
        sql = "SELECT count(*) FROM runs WHERE organization_id = ? AND source_type = coalesce(?, source_type)"
        return self._store.count_rows(sql, (organization_id, source_type))

    def list_runs(self, organization_id: int, source_type: str | None, *, limit: int, offset: int) -> list[Row]:
        """Returns an organization's runs, newest first."""
        return self._store.list_rows(
            "SELECT * FROM runs WHERE organization_id = ? AND source_type = coalesce(?, source_type)"
            " ORDER BY id DESC LIMIT ? OFFSET ?",
            (organization_id, source_type, limit, offset),
        )

    def _plan_end(self, prompt: str) -> tuple[float, str, str | None, str]:
        """Returns when a run with this prompt ends (epoch seconds), its status, result and pull requests."""
        for row in self._store.list_rows("SELECT definition FROM outcomes ORDER BY id DESC"):
            outcome = Outcome.model_validate_json(row["definition"])
            if outcome.match.search(prompt):
                seconds = self._run_seconds if outcome.after_seconds is None else outcome.after_seconds
                return time.time() + seconds, outcome.status, outcome.result, json.dumps(outcome.pull_requests)
        return time.time() + self._run_seconds, COMPLETE, None, "[]"


def build_run(base_url: str, row: Row) -> dict[str, object]:
    """Returns an agent run as the API shows it: ``AgentRunResponse``."""
    status = row["end_status"] if time.time() >= row["ends_at"] else ACTIVE
    subject = next(iter(row["prompt"].strip().splitlines()), "")[:_SUMMARY_CHARACTERS]
    result = row["end_result"] if status != ACTIVE else None
    if status == COMPLETE and result is None:
        result = f"The sandbox did nothing, as always, and calls this done: {subject}"
    pulls = json.loads(row["end_pulls"]) if status != ACTIVE else []
    return {
        "id": row["id"],
        "organization_id": row["organization_id"],
        "status": status,
        "created_at": row["created_at"],
        "web_url": f"{base_url}/agent/trace/{row['id']}",
        "result": result,
        "summary": f"{status}: {subject}" if status != ACTIVE else None,
        "source_type": row["source_type"],
        # Codegen's own ids of pull requests are not GitHub's numbers.
        "github_pull_requests": [
            {
                "id": 1000 + place,
                "title": subject,
                "url": url,
                "created_at": row["created_at"],
                "head_branch_name": None,
            }
            for place, url in enumerate(pulls)
        ],
        "metadata": None if row["metadata"] is None else json.loads(row["metadata"]),
    }
