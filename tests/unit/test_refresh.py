"""Refresh: files come into force with the delivery that finds them, and what is faulty stops nothing."""

import re
from uuid import UUID

import pytest

from shared.adapters.memory.database import DeliveryRow
from shared.adapters.memory.workflows import ABSENT_CHECK_SECONDS, CHECK_SECONDS, MemoryWorkflowSource
from shared.domain.envelope import Envelope
from shared.domain.errors import Limited, Permanent, Transient
from shared.domain.statuses import Status
from shared.domain.workflow_file import FILE_PATH
from tests.support.factories import SHA, build_envelope, build_payload, build_workflow
from tests.support.faulty_files import FAULTS
from tests.support.orchestra import Interrupter, Orchestra

REPOSITORY = "acme/widgets"
DEFAULT = build_workflow({"uses": "github.comment", "with": {"body": "The default"}})
GOOD = """
version: 1
workflows:
  greet:
    on: {pull_request: {}}
    steps: [{uses: github.comment, with: {body: "The repository's"}}]
"""
BETTER = GOOD.replace("The repository's", "The better one")
FAULTY = GOOD.replace("uses:", "use:")
WORSE = GOOD.replace("uses:", "used:")


@pytest.fixture
def source() -> MemoryWorkflowSource:
    return MemoryWorkflowSource()


@pytest.fixture
def orchestra(source: MemoryWorkflowSource) -> Orchestra:
    return Orchestra(DEFAULT, source=source)


def build_push(path: str = FILE_PATH) -> Envelope:
    payload = build_payload(ref="refs/heads/main", after=SHA, commits=[{"modified": [path]}])
    del payload["pull_request"], payload["action"], payload["number"]
    return build_envelope(payload, event="push")


def send(orchestra: Orchestra, envelope: Envelope | None = None) -> DeliveryRow:
    envelope = envelope or build_envelope()
    orchestra.deliveries.send(envelope)
    orchestra.run_to_end()
    return orchestra.database.deliveries["github", UUID(envelope.delivery_id)]


def comment(orchestra: Orchestra, repository: str = REPOSITORY) -> str:
    """Returns what a pull request is commented with now."""
    about = {"id": 1, "full_name": repository, "default_branch": "main"}
    send(orchestra, build_envelope(build_payload(repository=about)))
    return str(orchestra.world.list_written("github.comment")[-1].request["body"])


def list_reports(orchestra: Orchestra) -> list[tuple[str, str]]:
    requests = [effect.request for effect in orchestra.world.list_written("github.status")]
    return [(request["state"], request["sha"]) for request in requests]


def test_the_first_delivery_of_a_repository_is_judged_by_its_file(
    orchestra: Orchestra, source: MemoryWorkflowSource
) -> None:
    source.texts[REPOSITORY] = GOOD
    assert comment(orchestra) == "The repository's"
    assert list_reports(orchestra) == []
    assert "workflow_file.adopted" in orchestra.telemetry.messages


def test_other_repositories_keep_theirs(orchestra: Orchestra, source: MemoryWorkflowSource) -> None:
    source.texts["acme/gadgets"] = GOOD
    assert comment(orchestra) == "The default"


def test_a_file_is_asked_about_once_a_minute_and_at_once_when_a_push_touches_it(
    orchestra: Orchestra, source: MemoryWorkflowSource
) -> None:
    source.texts[REPOSITORY] = GOOD
    for _ in range(3):
        send(orchestra)
    assert len(source.asked) == 1
    source.texts[REPOSITORY] = BETTER
    send(orchestra, build_push("README.md"))
    assert (len(source.asked), comment(orchestra)) == (1, "The repository's")
    send(orchestra, build_push())
    assert (len(source.asked), comment(orchestra)) == (2, "The better one")
    orchestra.clock.advance(CHECK_SECONDS)
    send(orchestra)
    assert len(source.asked) == 3


def test_a_file_that_is_not_there_is_asked_about_less_often(orchestra: Orchestra, source: MemoryWorkflowSource) -> None:
    for _ in range(int(ABSENT_CHECK_SECONDS / CHECK_SECONDS)):
        send(orchestra)
        orchestra.clock.advance(CHECK_SECONDS)
    assert len(source.asked) == 1
    send(orchestra)
    assert len(source.asked) == 2


def test_a_file_that_is_removed_leaves_what_was_there_before(
    orchestra: Orchestra, source: MemoryWorkflowSource
) -> None:
    source.texts[REPOSITORY] = GOOD
    assert comment(orchestra) == "The repository's"
    del source.texts[REPOSITORY]
    send(orchestra, build_push())
    assert comment(orchestra) == "The default"


def test_a_repository_switches_a_default_off(orchestra: Orchestra, source: MemoryWorkflowSource) -> None:
    source.texts[REPOSITORY] = GOOD.replace("    on:", "    enabled: false\n    on:")
    row = send(orchestra)
    assert row.runs == []
    assert [each["because"] for each in row.verdicts] == ["the workflow is switched off: enabled is false"]


def test_a_faulty_file_leaves_the_last_good_one_in_force_and_is_reported_once(
    orchestra: Orchestra, source: MemoryWorkflowSource
) -> None:
    source.texts[REPOSITORY] = GOOD
    assert comment(orchestra) == "The repository's"
    source.texts[REPOSITORY] = FAULTY
    row = send(orchestra, build_push())
    assert [(run.workflow.name, run.status) for run in row.runs] == [("workflow_file", Status.SUCCEEDED)]
    [effect] = orchestra.world.list_written("github.status")
    assert effect.request["description"].startswith(f"{FILE_PATH}:6: workflows.greet.steps[0]")
    for _ in range(3):
        send(orchestra, build_push())
        orchestra.clock.advance(CHECK_SECONDS)
        assert comment(orchestra) == "The repository's"
    assert list_reports(orchestra) == [("error", SHA)]


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_no_fault_stops_the_others(orchestra: Orchestra, source: MemoryWorkflowSource, text: str) -> None:
    source.texts[REPOSITORY] = GOOD
    assert comment(orchestra) == "The repository's"
    source.texts |= {REPOSITORY: text, "acme/gadgets": BETTER}
    send(orchestra, build_push())
    send(orchestra, build_push())
    assert list_reports(orchestra) == [("error", SHA)]
    [effect] = orchestra.world.list_written("github.status")
    assert re.match(rf"{re.escape(FILE_PATH)}:\d+: .+", effect.request["description"])
    assert re.search(r"#L\d+$", effect.request["target_url"])
    assert comment(orchestra) == "The repository's"
    assert comment(orchestra, "acme/gadgets") == "The better one"
    source.texts[REPOSITORY] = BETTER
    send(orchestra, build_push())
    assert list_reports(orchestra) == [("error", SHA), ("success", SHA)]
    assert comment(orchestra) == "The better one"


def test_each_faulty_version_is_reported_and_so_is_the_mend(orchestra: Orchestra, source: MemoryWorkflowSource) -> None:
    for text in (FAULTY, WORSE, BETTER, GOOD, FAULTY):
        source.texts[REPOSITORY] = text
        send(orchestra, build_push())
    assert [state for state, _ in list_reports(orchestra)] == ["error", "error", "success", "error"]
    assert comment(orchestra) == "The repository's"
    del source.texts[REPOSITORY]
    send(orchestra, build_push())
    assert [state for state, _ in list_reports(orchestra)][-1] == "success"
    assert comment(orchestra) == "The default"


def test_a_fault_found_with_another_event_is_reported_on_the_default_branch(
    orchestra: Orchestra, source: MemoryWorkflowSource
) -> None:
    source.texts[REPOSITORY] = FAULTY
    send(orchestra)
    assert list_reports(orchestra) == [("error", source.find_head(REPOSITORY, "main"))]


@pytest.mark.parametrize("error", [Transient("away"), Limited("github", "too much", 60.0), Permanent("403")])
def test_a_source_that_fails_fails_no_delivery(
    orchestra: Orchestra, source: MemoryWorkflowSource, error: Exception
) -> None:
    source.texts[REPOSITORY] = GOOD
    assert comment(orchestra) == "The repository's"
    source.texts[REPOSITORY] = BETTER
    source.error = error
    assert send(orchestra, build_push()).status is Status.SUCCEEDED
    assert (comment(orchestra), len(source.asked)) == ("The repository's", 2)
    assert orchestra.telemetry.metrics["workflow_files_unread"] == 1
    source.error = None
    assert (comment(orchestra), len(source.asked)) == ("The repository's", 2)
    orchestra.clock.advance(CHECK_SECONDS)
    assert comment(orchestra) == "The better one"


@pytest.mark.parametrize("name", ["*", "acme", "acme/widgets/../../user", "acme/widgets?ref=evil", ""])
def test_only_a_repository_has_a_file(orchestra: Orchestra, source: MemoryWorkflowSource, name: str) -> None:
    send(orchestra, build_envelope(build_payload(repository={"id": 1, "full_name": name})))
    assert source.asked == []


def play(*kill_after: int) -> Orchestra:
    """Has the process die while it finds a fault."""
    source = MemoryWorkflowSource()
    source.texts[REPOSITORY] = FAULTY
    orchestra = Orchestra(DEFAULT, source=source, interrupter=Interrupter(*kill_after))
    send(orchestra, build_push())
    return orchestra


CALLS = play().interrupter.calls


@pytest.mark.parametrize("step", range(1, len(CALLS) + 1), ids=lambda step: f"{step}-{CALLS[step - 1]}")
def test_wherever_the_process_dies_a_fault_is_reported_once(step: int) -> None:
    orchestra = play(step)
    orchestra.clock.advance(CHECK_SECONDS)
    comment(orchestra)
    assert [state for state, _ in list_reports(orchestra)] == ["error"]
