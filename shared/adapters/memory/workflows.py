"""Workflows in memory: those in force, repositories' files, what people see of both, and where files are."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from shared.adapters.memory.database import MemoryDatabase, RunRow, WorkflowFileRow
from shared.domain.delivery import Delivery
from shared.domain.workflow import Workflow
from shared.domain.workflow_file import ORGANIZATION, FileState, FoundFile

CHECK_SECONDS = 60.0
ABSENT_CHECK_SECONDS = 300.0


class MemoryWorkflows:
    """See ``shared.ports.WorkflowCatalog``, ``WorkflowFiles`` and ``WorkflowLibrary``."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    def read(self, repository: str | None = None) -> Sequence[Workflow]:
        """Returns the workflows in force."""
        with self._database.transact():
            return [workflow for workflow, _ in self._in_force(repository)]

    def claim_check(self, repository: str, *, at_once: bool) -> FileState | None:
        """Returns what is known of a file that is due, to one caller."""
        with self._database.transact() as now:
            row = self._database.files.setdefault(repository, WorkflowFileRow(next_check_at=now))
            if row.next_check_at > now and not at_once:
                return None
            row.next_check_at = now + CHECK_SECONDS
            return row.state

    def put_in_force(self, repository: str, workflows: Sequence[Workflow], known: FileState) -> bool:
        """Puts a file's workflows into force."""
        with self._database.transact():
            if not self._is_current(repository, known):
                return False
            self._put(repository, workflows)
            return True

    def settle_check(
        self, repository: str, found: FileState, known: FileState, report: Workflow | None, delivery: Delivery
    ) -> Sequence[str]:
        """Records what a check found, and the run that reports it."""
        database = self._database
        with database.transact() as now:
            if not self._is_current(repository, known):
                return []
            row = database.files[repository]
            row.state, row.settled_at = found, now
            wait_seconds = ABSENT_CHECK_SECONDS if found.sha is None else CHECK_SECONDS
            row.next_check_at = max(row.next_check_at, now + wait_seconds)
            if report is None:
                return []
            database.versions.setdefault(report.version, report)
            recorded = database.deliveries[delivery.envelope.source, UUID(delivery.envelope.delivery_id)]
            run = RunRow(
                id=database.new_id(), delivery=recorded, workflow=report, subject=recorded.subject, created_at=now
            )
            recorded.runs.append(run)
            return [str(database.add_task(run, 0, now).id)]

    def list_workflows(self, repository: str | None) -> dict[str, Any]:
        """Returns the workflows in force with their origin, and the file of the repository."""
        with self._database.transact():
            row = self._database.files.get(repository or "")
            file = None
            if row is not None and row.settled_at is not None:
                faults = [fault._asdict() for fault in row.state.faults]
                file = {"sha": row.state.sha, "faults": faults, "settled_at": _time(row.settled_at)}
            listed = [
                {"name": each.name, "origin": origin, "version": each.version, "definition": each.definition}
                for each, origin in self._in_force(repository)
            ]
            return {"workflows": listed, "file": file}

    def list_versions(self, name: str) -> Sequence[dict[str, Any]]:
        """Returns the versions of that name."""
        with self._database.transact():
            scopes = {"default": self._database.workflows} | {
                "organization" if scope == ORGANIZATION else scope: workflows
                for scope, workflows in self._database.overrides.items()
            }
            return [
                {
                    "version": version,
                    "definition": workflow.definition,
                    "in_force_for": sorted(
                        scope
                        for scope, workflows in scopes.items()
                        if name in workflows and workflows[name].version == version
                    ),
                }
                for version, workflow in reversed(self._database.versions.items())
                if workflow.name == name
            ]

    def put_organization(self, workflows: Sequence[Workflow]) -> None:
        """Puts the organisation's workflows into force."""
        with self._database.transact():
            self._put(ORGANIZATION, workflows)

    def drop_organization(self, name: str) -> bool:
        """Takes the organisation's workflow of that name out of force."""
        with self._database.transact():
            return self._database.overrides.get(ORGANIZATION, {}).pop(name, None) is not None

    def _in_force(self, repository: str | None) -> list[tuple[Workflow, str]]:
        database = self._database
        named = {name: (workflow, "default") for name, workflow in database.workflows.items()}
        for scope, origin in ((ORGANIZATION, "organization"), (repository, "repository")):
            if scope is not None:
                named |= {name: (each, origin) for name, each in database.overrides.get(scope, {}).items()}
        return [each for _, each in sorted(named.items())]

    def _is_current(self, repository: str, known: FileState) -> bool:
        row = self._database.files.get(repository)
        return row is not None and row.state.sha == known.sha

    def _put(self, scope: str, workflows: Sequence[Workflow]) -> None:
        self._database.overrides[scope] = {workflow.name: workflow for workflow in workflows}
        for workflow in workflows:
            self._database.versions.setdefault(workflow.version, workflow)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


class MemoryWorkflowSource:
    """See ``shared.ports.WorkflowSource``.

    Attributes:
        texts: the file of each repository that has one.
        asked: the repositories that were asked about, in order.
        error: what the next calls raise, if anything.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str | None] = {}
        self.asked: list[str] = []
        self.error: Exception | None = None

    def fetch(self, repository: str, etag: str | None) -> FoundFile | Literal["unchanged", "absent"]:
        """Returns the file, unless it is still the one that ``etag`` came with."""
        self.asked.append(repository)
        if self.error is not None:
            raise self.error
        if repository not in self.texts:
            return "absent"
        text = self.texts[repository]
        sha = hashlib.sha256((text or "").encode()).hexdigest()
        if etag == sha:
            return "unchanged"
        return FoundFile(sha, sha, text, f"memory://{repository}/{sha}")

    def find_head(self, repository: str, branch: str) -> str:
        """Returns the branch's last commit."""
        if self.error is not None:
            raise self.error
        return hashlib.sha256(f"{repository}@{branch}".encode()).hexdigest()
