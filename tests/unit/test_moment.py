"""The moment of its subject that a delivery tells of."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.moment import Moment, read_moment
from tests.support.factories import SHA, read_events, read_payloads

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
TEXT = "2026-11-01T12:00:00Z"


@pytest.mark.parametrize(
    ("event", "payload", "state", "is_telling"),
    [
        ("pull_request", {"pull_request": {"updated_at": TEXT, "state": "open"}}, "open", True),
        ("pull_request", {"pull_request": {"updated_at": "2026-11-01T13:00:00+01:00", "state": "merged"}}, None, True),
        ("issues", {"issue": {"updated_at": TEXT, "state": "closed"}}, "closed", True),
        ("push", {"repository": {"pushed_at": int(NOON.timestamp())}}, None, True),
        ("push", {"repository": {"pushed_at": TEXT}}, None, True),
        ("check_run", {"check_run": {"started_at": TEXT}}, None, False),
        ("check_suite", {"check_suite": {"created_at": TEXT}}, None, False),
        ("workflow_run", {"workflow_run": {"run_started_at": TEXT, "created_at": "2026-01-01T00:00:00Z"}}, None, False),
        ("workflow_run", {"workflow_run": {"created_at": TEXT}}, None, False),
    ],
)
def test_what_is_told(event: str, payload: dict[str, Any], state: str | None, *, is_telling: bool) -> None:
    assert read_moment(event, payload, SHA) == Moment(NOON, SHA, state, is_telling)


@pytest.mark.parametrize("at", [None, "", "yesterday", "2026-11-01T12:00:00", True, 1.5, 10**30, -(10**30), [], {}])
@pytest.mark.parametrize(
    ("event", "member", "name"), [("issues", "issue", "updated_at"), ("push", "repository", "pushed_at")]
)
def test_what_is_no_time_tells_nothing(event: str, member: str, name: str, at: object) -> None:
    assert read_moment(event, {member: {name: at}}, SHA) is None
    assert read_moment(event, {member: [at]}, SHA) is None


def test_other_events_tell_of_no_moment() -> None:
    assert read_moment("issue_comment", {"issue": {"updated_at": TEXT}}, SHA) is None


def test_real_payloads_tell_of_theirs() -> None:
    telling = {"pull_request", "issues", "push", "check_run", "check_suite", "workflow_run"}
    for event, payloads in read_payloads().items():
        for payload in payloads:
            assert (read_moment(event, payload, None) is not None) == (event in telling), (event, payload.get("action"))


NAMES = ["pull_request", "issue", "repository", "check_run", "check_suite", "workflow_run"]
NAMES += ["updated_at", "state", "pushed_at", "started_at", "created_at", "run_started_at"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(TEXT)
JSON = st.recursive(
    SCALARS,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(NAMES), each, max_size=6),
    max_leaves=20,
)


@given(st.sampled_from(read_events()), st.dictionaries(st.sampled_from(NAMES), JSON))
@example("issues", {"issue": {"updated_at": TEXT, "state": []}})
def test_a_payload_may_hold_anything_anywhere(event: str, payload: dict[str, Any]) -> None:
    moment = read_moment(event, payload, SHA)
    assert moment is None or (moment.at.utcoffset() is not None and moment.state in {None, "open", "closed"})
