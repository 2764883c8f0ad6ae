"""Route: every delivery is recorded, judged by every workflow, and never lost."""

from dataclasses import replace
from uuid import UUID

import pytest

from shared.adapters.memory.database import DeliveryRow
from shared.domain.envelope import Envelope, deflate
from shared.domain.errors import Transient
from shared.domain.statuses import Status
from shared.usecases.route import bury_delivery, read_body, route
from tests.support.factories import build_envelope, build_payload, build_workflow
from tests.support.orchestra import Orchestra


def find(orchestra: Orchestra, envelope: Envelope) -> DeliveryRow:
    return orchestra.database.deliveries["github", UUID(envelope.delivery_id)]


def test_a_delivery_is_judged_by_every_workflow_and_runs_those_that_match() -> None:
    orchestra = Orchestra(
        build_workflow(name="b-matches"),
        build_workflow(name="a-matches"),
        build_workflow(name="c-not", on={"push": {}}),
    )
    envelope = build_envelope(build_payload(action="opened"))

    tasks = route(envelope, orchestra.route_deps)

    row = find(orchestra, envelope)
    assert (row.status, row.subject, row.repository) == (Status.SUCCEEDED, "acme/widgets#7", "acme/widgets")
    assert (row.action, row.sender, row.hook_id) == ("opened", "ada", "12345")
    assert [(each["workflow"], each["matched"]) for each in row.verdicts] == [
        ("a-matches", True),
        ("b-matches", True),
        ("c-not", False),
    ]
    assert row.verdicts[2]["because"] == 'event is "pull_request", wants "push"'
    assert [run.workflow.name for run in row.runs] == ["a-matches", "b-matches"]
    assert [str(run.tasks[0].id) for run in row.runs] == [task.task_id for task in tasks]
    assert orchestra.telemetry.messages == ["delivery.routed"]
    assert orchestra.telemetry.lines[0].fields["matched"] == ["a-matches", "b-matches"]
    assert orchestra.telemetry.metrics == {"routed": 1, "runs_started": 2}


def test_that_nothing_matches_is_a_verdict() -> None:
    orchestra = Orchestra(build_workflow(on={"push": {}}))
    envelope = build_envelope()
    assert list(route(envelope, orchestra.route_deps)) == []
    assert find(orchestra, envelope).status is Status.SUCCEEDED
    assert len(find(orchestra, envelope).verdicts) == 1


def test_a_known_delivery_is_counted_and_goes_no_further() -> None:
    orchestra = Orchestra(build_workflow())
    envelope = build_envelope()
    first = route(envelope, orchestra.route_deps)
    again = route(replace(envelope, delivery_id=envelope.delivery_id.upper()), orchestra.route_deps)
    assert (len(first), len(again)) == (1, 0)
    assert find(orchestra, envelope).duplicate_count == 1
    assert len(find(orchestra, envelope).runs) == 1
    assert orchestra.telemetry.messages == ["delivery.routed", "delivery.recognised"]
    assert orchestra.telemetry.metrics["duplicates"] == 1


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        (replace(build_envelope(), deflated=b"damaged"), "cannot be inflated"),
        (replace(build_envelope(), deflated=deflate(b"[]")), "must be a JSON object"),
        (replace(build_envelope(), deflated=None), "neither a body nor the key of one"),
        (replace(build_envelope(), deflated=None, body_key="github/gone"), "no body under 'github/gone'"),
    ],
)
def test_what_cannot_be_read_is_dead_and_seen(envelope: Envelope, reason: str) -> None:
    orchestra = Orchestra(build_workflow())
    assert list(route(envelope, orchestra.route_deps)) == []
    row = find(orchestra, envelope)
    assert row.status is Status.DEAD
    assert reason in (row.reason or "")
    [line] = orchestra.telemetry.lines
    assert (line.message, line.level, line.fields["delivery_id"]) == ("delivery.died", "ERROR", envelope.delivery_id)
    assert orchestra.telemetry.metrics == {"dead_deliveries": 1}


def test_a_dead_delivery_is_taken_up_again() -> None:
    orchestra = Orchestra(build_workflow())
    envelope = build_envelope()
    bury_delivery(envelope, "it was a bad day", orchestra.route_deps.records, orchestra.route_deps.telemetry)
    assert len(route(envelope, orchestra.route_deps)) == 1
    assert (find(orchestra, envelope).status, find(orchestra, envelope).reason) == (Status.SUCCEEDED, None)


def test_a_routed_delivery_is_not_buried() -> None:
    orchestra = Orchestra(build_workflow())
    envelope = build_envelope()
    route(envelope, orchestra.route_deps)
    bury_delivery(envelope, "too late", orchestra.route_deps.records, orchestra.route_deps.telemetry)
    assert find(orchestra, envelope).status is Status.SUCCEEDED
    assert orchestra.telemetry.messages == ["delivery.routed"]


def test_a_body_stored_apart_is_fetched() -> None:
    orchestra = Orchestra(build_workflow())
    envelope = build_envelope()
    assert envelope.deflated is not None
    orchestra.bodies.put(envelope.stored_key, envelope.deflated)
    assert len(route(envelope.stored_apart(), orchestra.route_deps)) == 1
    assert read_body(envelope.stored_apart(), orchestra.bodies) == envelope.deflated


def test_an_outage_keeps_the_message() -> None:
    orchestra = Orchestra(build_workflow())
    envelope = build_envelope()
    orchestra.database.is_up = False
    with pytest.raises(Transient):
        route(envelope, orchestra.route_deps)
    orchestra.database.is_up = True
    assert len(route(envelope, orchestra.route_deps)) == 1
