"""WorkflowCatalog, WorkflowFiles and WorkflowLibrary: in memory and in Postgres."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from shared.adapters.postgres.database import Database, Row
from shared.adapters.postgres.workflows import (
    ABSENT_CHECK_SECONDS,
    CATALOG_SECONDS,
    CHECK_SECONDS,
    MAX_REPOSITORIES,
    PostgresWorkflows,
    put_defaults,
)
from shared.domain.delivery import Delivery
from shared.domain.errors import Transient
from shared.domain.run import PlannedRun
from shared.domain.workflow import Workflow
from shared.domain.workflow_file import Fault, FileState, build_report
from tests.support.clock import ManualClock
from tests.support.factories import SHA, build_delivery, build_workflow
from tests.support.record_stores import EMPTY, RecordStore

REPOSITORY, OTHER = "acme/widgets", "acme/gadgets"
UNKNOWN = FileState()
FIRST = FileState('W/"1"', "blob-1")
FAULTY = FileState('W/"2"', "blob-2", (Fault(12, 'a key "x" \x00'), Fault(13, "no steps")))


def build(name: str, body: str) -> Workflow:
    return build_workflow({"uses": "github.comment", "with": {"body": body}}, name=name)


def build_fault_report() -> Workflow:
    return build_report(FAULTY.faults, repository=REPOSITORY, commit=SHA, url=None, has_checks=False)


DEFAULT, OTHER_DEFAULT = build("greet", "default"), build("part", "default")
OF_ORGANIZATION, OF_REPOSITORY = build("greet", "organization"), build("greet", "repository")


def put_file(store: RecordStore, *workflows: Workflow, repository: str = REPOSITORY) -> None:
    """Has a repository's first file come into force."""
    known = store.catalog.claim_check(repository, at_once=True)
    assert known is not None
    assert store.catalog.put_in_force(repository, workflows, known)


def record(store: RecordStore) -> Delivery:
    delivery = build_delivery()
    store.deliveries.record_delivery(delivery, [], [])
    return delivery


def list_runs(store: RecordStore, delivery: Delivery) -> list[dict[str, Any]]:
    document = store.reading.read_delivery("github", UUID(delivery.envelope.delivery_id))
    assert document is not None
    runs: list[dict[str, Any]] = document["runs"]
    return runs


def test_later_workflows_override_earlier_ones_by_name(store: RecordStore) -> None:
    store.put_workflows(OTHER_DEFAULT, DEFAULT)
    store.catalog.put_organization([OF_ORGANIZATION, build("more", "organization")])
    put_file(store, OF_REPOSITORY)
    catalog = store.another_catalog()
    assert list(catalog.read()) == [OF_ORGANIZATION, build("more", "organization"), OTHER_DEFAULT]
    assert list(catalog.read(OTHER)) == list(catalog.read())
    assert list(catalog.read(REPOSITORY)) == [OF_REPOSITORY, build("more", "organization"), OTHER_DEFAULT]


def test_versions_are_those_of_the_content(store: RecordStore) -> None:
    extremes = {"numbers": [0, -1, 0.5, 1.0, 1e-300, 123456789012345.6, 2**62], "text": "\u00e4 \U0001f600 \\u0000 '"}
    workflow = build_workflow({"uses": "github.comment", "with": {"b": True, "a": None, **extremes}}, name="greet")
    put_file(store, workflow)
    assert [each.version for each in store.catalog.read(REPOSITORY)] == [workflow.version]


def test_what_is_switched_off_is_still_there_to_say_so(store: RecordStore) -> None:
    store.put_workflows(DEFAULT)
    off = Workflow.model_validate({**OF_REPOSITORY.definition, "enabled": False})
    put_file(store, off)
    assert list(store.catalog.read(REPOSITORY)) == [off]
    assert list(store.catalog.read()) == [DEFAULT]


def test_an_organisation_s_file_takes_the_place_of_all_it_had(store: RecordStore) -> None:
    store.put_workflows(DEFAULT)
    store.catalog.put_organization([OF_ORGANIZATION, build("more", "1")])
    store.catalog.put_organization([build("more", "2")])
    assert list(store.another_catalog().read()) == [DEFAULT, build("more", "2")]
    assert store.catalog.drop_organization("more")
    assert not store.catalog.drop_organization("more")
    assert not store.catalog.drop_organization("greet")
    assert list(store.another_catalog().read()) == [DEFAULT]


def test_a_file_without_workflows_leaves_none(store: RecordStore) -> None:
    put_file(store, OF_REPOSITORY)
    put_file(store)
    assert list(store.catalog.read(REPOSITORY)) == []


def test_a_file_s_workflows_are_read_at_once_by_the_worker_that_put_them(store: RecordStore) -> None:
    assert list(store.catalog.read(REPOSITORY)) == []
    put_file(store, OF_REPOSITORY)
    assert list(store.catalog.read(REPOSITORY)) == [OF_REPOSITORY]


def test_one_worker_of_many_looks(store: RecordStore) -> None:
    workers = [store.another_catalog() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda worker: worker.claim_check(REPOSITORY, at_once=False), workers))
    assert (found.count(None), found.count(UNKNOWN)) == (7, 1)
    assert store.catalog.claim_check(OTHER, at_once=False) == UNKNOWN


def test_a_check_is_due_a_minute_after_the_one_before_whatever_came_of_it(store: RecordStore) -> None:
    catalog = store.catalog
    assert catalog.claim_check(REPOSITORY, at_once=False) is not None
    store.advance(CHECK_SECONDS / 2)
    assert catalog.claim_check(REPOSITORY, at_once=False) is None
    assert catalog.claim_check(REPOSITORY, at_once=True) is not None
    store.advance(CHECK_SECONDS / 2)
    assert store.another_catalog().claim_check(REPOSITORY, at_once=False) is None
    store.advance(CHECK_SECONDS / 2 + 1)
    assert catalog.claim_check(REPOSITORY, at_once=False) is not None


def test_a_file_that_is_not_there_is_looked_for_less_often(store: RecordStore) -> None:
    delivery = record(store)
    assert store.catalog.claim_check(REPOSITORY, at_once=False) == UNKNOWN
    store.catalog.settle_check(REPOSITORY, UNKNOWN, UNKNOWN, None, delivery)
    store.advance(ABSENT_CHECK_SECONDS - 10)
    assert store.catalog.claim_check(REPOSITORY, at_once=False) is None
    store.advance(CHECK_SECONDS + 10)
    assert store.catalog.claim_check(REPOSITORY, at_once=False) == UNKNOWN


def test_what_was_settled_is_known_at_the_next_check(store: RecordStore) -> None:
    delivery = record(store)
    assert store.catalog.claim_check(REPOSITORY, at_once=True) == UNKNOWN
    assert list(store.catalog.settle_check(REPOSITORY, FIRST, UNKNOWN, None, delivery)) == []
    assert store.catalog.claim_check(REPOSITORY, at_once=True) == FIRST
    store.catalog.settle_check(REPOSITORY, FAULTY, FIRST, None, delivery)
    kept = store.another_catalog().claim_check(REPOSITORY, at_once=True)
    assert kept is not None
    assert (kept.etag, kept.sha) == (FAULTY.etag, FAULTY.sha)
    assert [fault.line for fault in kept.faults] == [12, 13]
    assert list_runs(store, delivery) == []


def test_a_report_is_a_run_of_its_delivery(store: RecordStore) -> None:
    delivery = record(store)
    assert store.catalog.claim_check(REPOSITORY, at_once=True) == UNKNOWN
    [task_id] = store.catalog.settle_check(REPOSITORY, FAULTY, UNKNOWN, build_fault_report(), delivery)
    [run] = list_runs(store, delivery)
    assert (run["workflow"], run["version"]) == ("workflow_file", build_fault_report().version)
    assert [(task["task_id"], task["uses"], task["status"]) for task in run["tasks"]] == [
        (task_id, "github.status", "queued")
    ]
    claimed = store.tasks.claim_task(task_id, 90.0)
    assert claimed is not None
    assert claimed.workflow == build_fault_report()
    assert len(store.reading.list_runs({"repository": REPOSITORY, "workflow": "workflow_file"}, 10, None).items) == 1


def test_of_many_who_find_a_fault_one_reports_it(store: RecordStore) -> None:
    delivery = record(store)
    workers = [store.another_catalog() for _ in range(8)]
    known = [worker.claim_check(REPOSITORY, at_once=True) for worker in workers]
    assert known == [UNKNOWN] * 8
    with ThreadPoolExecutor(8) as pool:
        created = pool.map(
            lambda worker: worker.settle_check(REPOSITORY, FAULTY, UNKNOWN, build_fault_report(), delivery), workers
        )
        assert sorted(len(task_ids) for task_ids in created) == [0] * 7 + [1]
    assert len(list_runs(store, delivery)) == 1


def test_the_slower_of_two_does_not_undo_the_other(store: RecordStore) -> None:
    delivery = record(store)
    slow, fast = store.another_catalog(), store.another_catalog()
    for worker in (slow, fast):
        assert worker.claim_check(REPOSITORY, at_once=True) == UNKNOWN
    assert fast.put_in_force(REPOSITORY, [OF_REPOSITORY], UNKNOWN)
    fast.settle_check(REPOSITORY, FIRST, UNKNOWN, None, delivery)
    assert not slow.put_in_force(REPOSITORY, [DEFAULT], UNKNOWN)
    assert list(slow.settle_check(REPOSITORY, FAULTY, UNKNOWN, build_fault_report(), delivery)) == []
    assert list(slow.read(REPOSITORY)) == [OF_REPOSITORY]
    assert slow.claim_check(REPOSITORY, at_once=True) == FIRST
    assert list_runs(store, delivery) == []


def test_a_run_keeps_the_version_it_started_with(store: RecordStore) -> None:
    put_file(store, OF_REPOSITORY)
    delivery = build_delivery()
    [task_id] = store.deliveries.record_delivery(delivery, [], [PlannedRun(OF_REPOSITORY)]).task_ids
    put_file(store, build("greet", "newer"))
    claimed = store.tasks.claim_task(task_id, 90.0)
    assert claimed is not None
    assert claimed.workflow == OF_REPOSITORY


def test_workflows_are_listed_with_their_origin(store: RecordStore) -> None:
    store.put_workflows(DEFAULT, OTHER_DEFAULT)
    store.catalog.put_organization([OF_ORGANIZATION])
    put_file(store, build("own", "repository"))
    listed = store.catalog.list_workflows(REPOSITORY)
    assert listed["file"] is None
    assert [(each["name"], each["origin"], each["version"]) for each in listed["workflows"]] == [
        ("greet", "organization", OF_ORGANIZATION.version),
        ("own", "repository", build("own", "repository").version),
        ("part", "default", OTHER_DEFAULT.version),
    ]
    assert listed["workflows"][0]["definition"] == OF_ORGANIZATION.definition
    assert [each["name"] for each in store.catalog.list_workflows(None)["workflows"]] == ["greet", "part"]


def test_a_file_is_shown_with_what_is_wrong_with_it(store: RecordStore) -> None:
    delivery = record(store)
    assert store.catalog.claim_check(REPOSITORY, at_once=True) == UNKNOWN
    assert store.catalog.list_workflows(REPOSITORY)["file"] is None
    faulty = FAULTY._replace(faults=(Fault(12, "a key"),))
    store.catalog.settle_check(REPOSITORY, faulty, UNKNOWN, None, delivery)
    file = store.catalog.list_workflows(REPOSITORY)["file"]
    assert (file["sha"], file["faults"]) == ("blob-2", [{"line": 12, "message": "a key"}])
    assert file["settled_at"]


def test_versions_are_listed_newest_first_with_those_they_are_in_force_for(store: RecordStore) -> None:
    store.put_workflows(DEFAULT)
    store.catalog.put_organization([OF_ORGANIZATION])
    put_file(store, OF_ORGANIZATION)
    store.catalog.put_organization([OF_REPOSITORY])
    listed = store.catalog.list_versions("greet")
    assert [(each["version"], each["in_force_for"]) for each in listed] == [
        (OF_REPOSITORY.version, ["organization"]),
        (OF_ORGANIZATION.version, [REPOSITORY]),
        (DEFAULT.version, ["default"]),
    ]
    assert listed[0]["definition"] == OF_REPOSITORY.definition
    assert list(store.catalog.list_versions("nobody")) == []


def test_names_and_scopes_are_only_data(store: RecordStore) -> None:
    hostile = "'; drop table workflows; --%(name)s"
    assert list(store.catalog.read(hostile)) == []
    assert store.catalog.list_workflows(hostile) == {"workflows": [], "file": None}
    assert list(store.catalog.list_versions(hostile)) == []
    assert not store.catalog.drop_organization(hostile)


CALLS: list[Callable[[RecordStore], object]] = [
    lambda store: store.catalog.claim_check(REPOSITORY, at_once=True),
    lambda store: store.catalog.put_in_force(REPOSITORY, [], UNKNOWN),
    lambda store: store.catalog.settle_check(REPOSITORY, UNKNOWN, UNKNOWN, None, build_delivery()),
    lambda store: store.catalog.list_workflows(None),
    lambda store: store.catalog.list_versions("greet"),
    lambda store: store.catalog.put_organization([]),
    lambda store: store.catalog.drop_organization("greet"),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: ".".join(call.__code__.co_names[:2]))
def test_an_unreachable_database_is_transient(store: RecordStore, call: Callable[[RecordStore], object]) -> None:
    call(store)
    store.switch_off()
    with pytest.raises(Transient, match="the database cannot be used"):
        call(store)


class CountingDatabase(Database):
    """Postgres, which tells how often it was asked."""

    statements = 0

    def fetch(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        self.statements += 1
        return super().fetch(query, parameters)


@pytest.fixture
def database(database_url: str) -> Iterator[CountingDatabase]:
    database = CountingDatabase(database_url)
    database.fetch(EMPTY)
    database.statements = 0
    yield database
    database.close()


def test_most_deliveries_cost_no_statement(database: CountingDatabase) -> None:
    clock = ManualClock()
    workflows = PostgresWorkflows(database, clock)
    for _ in range(30):
        workflows.read(REPOSITORY)
        workflows.claim_check(REPOSITORY, at_once=False)
        clock.advance(CATALOG_SECONDS / 30)
    # Who has workflows of their own, what all have, and whether the file is due.
    assert database.statements == 3
    workflows.read(REPOSITORY)
    workflows.claim_check(REPOSITORY, at_once=False)
    assert database.statements == 5
    workflows.read("acme/another")
    assert database.statements == 5


def test_a_worker_remembers_no_more_repositories_than_it_may(database: CountingDatabase) -> None:
    workflows = PostgresWorkflows(database, ManualClock())
    for number in range(MAX_REPOSITORIES + 1):
        workflows.claim_check(f"acme/{number}", at_once=False)
    assert database.statements == MAX_REPOSITORIES + 1
    workflows.claim_check(f"acme/{MAX_REPOSITORIES}", at_once=False)
    workflows.claim_check("acme/1", at_once=False)
    assert database.statements == MAX_REPOSITORIES + 1
    workflows.claim_check("acme/0", at_once=False)
    assert database.statements == MAX_REPOSITORIES + 2


def test_a_version_is_parsed_once(database: CountingDatabase) -> None:
    put_defaults(database, [DEFAULT])
    workflows = PostgresWorkflows(database)
    assert workflows.read(REPOSITORY)[0] is workflows.read(OTHER)[0]


def test_a_workflow_of_a_newer_release_keeps_deliveries_rather_than_losing_them(database: CountingDatabase) -> None:
    put_defaults(database, [DEFAULT])
    database.fetch("update workflow_versions set definition = definition || '{\"unheard_of\": 1}'")
    with pytest.raises(Transient, match="not for this release"):
        PostgresWorkflows(database).read()
