"""Workflows: those in force, repositories' files, and what people see of both."""

import json
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any, Generic, TypeVar

from psycopg.types.json import Jsonb
from pydantic import ValidationError

from shared.adapters.postgres.database import Database, Row
from shared.domain.delivery import Delivery
from shared.domain.errors import Transient
from shared.domain.subject import storable_json
from shared.domain.workflow import Workflow
from shared.domain.workflow_file import ORGANIZATION, Fault, FileState
from shared.sql import read_queries

CATALOG_SECONDS = 30.0
MAX_REPOSITORIES = 512
# How often a file is looked at; one that is not there, which costs GitHub's budget each time, less often.
CHECK_SECONDS = 60.0
ABSENT_CHECK_SECONDS = 300.0

Value = TypeVar("Value")


class PostgresWorkflows:
    """See ``shared.ports.WorkflowCatalog``, ``WorkflowFiles`` and ``WorkflowLibrary``.

    It remembers per repository what is in force and when its file was asked about, so that most deliveries cost no
    statement here; a version is parsed once.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._queries = read_queries("workflows.sql")
        self._in_force = _Recent[tuple[Workflow, ...]](CATALOG_SECONDS, clock)
        self._own = _Recent[frozenset[str]](CATALOG_SECONDS, clock)
        self._claimed = _Recent[bool](CHECK_SECONDS, clock)

    def read(self, repository: str | None = None) -> Sequence[Workflow]:
        """Returns the workflows in force."""
        if repository not in self._list_own():
            # Most repositories have none of their own, and share what all have.
            repository = None
        workflows = self._in_force.get(repository)
        if workflows is None:
            rows = self._database.fetch(self._queries["workflows_in_force"], {"repository": repository})
            workflows = tuple(_parse(row["definition"]) for row in rows)
            self._in_force.put(repository, workflows)
        return workflows

    def _list_own(self) -> frozenset[str]:
        own = self._own.get(None)
        if own is None:
            own = frozenset(row["scope"] for row in self._database.fetch(self._queries["list_own"]))
            self._own.put(None, own)
        return own

    def claim_check(self, repository: str, *, at_once: bool) -> FileState | None:
        """Returns what is known of a file that is due, to one caller."""
        if not at_once and self._claimed.get(repository):
            return None
        parameters = {"repository": repository, "at_once": at_once, "check_seconds": CHECK_SECONDS}
        rows = self._database.fetch(self._queries["claim_check"], parameters)
        self._claimed.put(repository, True)  # noqa: FBT003 - it is the value
        if not rows:
            return None
        faults = tuple(Fault(each["line"], each["message"]) for each in rows[0]["faults"])
        return FileState(rows[0]["etag"], rows[0]["sha"], faults)

    def put_in_force(self, repository: str, workflows: Sequence[Workflow], known: FileState) -> bool:
        """Puts a file's workflows into force."""
        is_put = self._put(repository, workflows, known.sha)
        self._in_force.drop(repository)
        self._own.drop(None)
        return is_put

    def settle_check(
        self, repository: str, found: FileState, known: FileState, report: Workflow | None, delivery: Delivery
    ) -> Sequence[str]:
        """Records what a check found, and the run that reports it."""
        parameters = {
            "repository": repository,
            "etag": found.etag,
            "sha": found.sha,
            "faults": Jsonb(storable_json([fault._asdict() for fault in found.faults])),
            "known_sha": known.sha,
            "next_check_seconds": ABSENT_CHECK_SECONDS if found.sha is None else CHECK_SECONDS,
            "source": delivery.envelope.source,
            "delivery_id": delivery.envelope.delivery_id,
            "name": report and report.name,
            "version": report and report.version,
            "definition": report and Jsonb(report.definition),
            "step": report and report.step_name(0),
            "uses": report and report.steps[0].uses,
        }
        return [row["task_id"] for row in self._database.fetch(self._queries["settle_check"], parameters)]

    def list_workflows(self, repository: str | None) -> dict[str, Any]:
        """Returns the workflows in force with their origin, and the file of the repository."""
        [row] = self._database.fetch(self._queries["list_workflows"], {"repository": repository})
        return row

    def list_versions(self, name: str) -> Sequence[dict[str, Any]]:
        """Returns the versions of that name."""
        return [row["document"] for row in self._database.fetch(self._queries["list_versions"], {"name": name})]

    def put_organization(self, workflows: Sequence[Workflow]) -> None:
        """Puts the organisation's workflows into force."""
        self._put(ORGANIZATION, workflows, None)

    def drop_organization(self, name: str) -> bool:
        """Takes the organisation's workflow of that name out of force."""
        parameters = {"scope": ORGANIZATION, "name": name}
        return bool(self._database.fetch(self._queries["delete_override"], parameters))

    def _put(self, scope: str, workflows: Sequence[Workflow], known_sha: str | None) -> bool:
        parameters = {
            "scope": scope,
            "known_sha": known_sha,
            "workflows": Jsonb([_columns(workflow) for workflow in workflows]),
            "names": [workflow.name for workflow in workflows],
        }
        return bool(self._database.fetch(self._queries["put_overrides"], parameters))


class _Recent(Generic[Value]):
    """Values by key, each for some seconds; of too many the oldest go. Threads may share it."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._kept: dict[str | None, tuple[float, Value]] = {}
        self._lock = Lock()

    def get(self, key: str | None) -> Value | None:
        """Returns the value, unless it is too old."""
        kept = self._kept.get(key)
        return kept[1] if kept is not None and self._clock() - kept[0] < self._seconds else None

    def put(self, key: str | None, value: Value) -> None:
        """Keeps the value."""
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = (self._clock(), value)
            while len(self._kept) > MAX_REPOSITORIES:
                del self._kept[next(iter(self._kept))]

    def drop(self, key: str | None) -> None:
        """Forgets the value."""
        with self._lock:
            self._kept.pop(key, None)


@lru_cache(maxsize=1024)
def _parse(definition: str) -> Workflow:
    try:
        return Workflow.model_validate(json.loads(definition))
    except ValidationError as error:
        # It was valid when it was put into force, so a newer release did that, and is being deployed or rolled back.
        raise Transient(f"a workflow in force is not for this release: {error}") from error


def _columns(workflow: Workflow) -> Row:
    return {"name": workflow.name, "version": workflow.version, "definition": workflow.definition}


def put_defaults(database: Database, workflows: Sequence[Workflow]) -> None:
    """Puts the workflows that ship with the bundle into force, each as a new version where it differs."""
    queries = read_queries("workflows.sql")
    for workflow in workflows:
        parameters = {**_columns(workflow), "definition": Jsonb(workflow.definition), "origin": "default"}
        database.fetch(queries["add_workflow_version"], parameters)
        database.fetch(queries["put_workflow_in_force"], parameters)
