"""The workflow agent against answers that nobody promised."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from shared.adapters.budgets import GitHubRules
from shared.adapters.github.authorization import TokenAuthorization
from shared.adapters.github.client import GitHubClient
from shared.adapters.github.workflow_agent import WorkflowAgent
from shared.domain.effect import Effect
from shared.domain.errors import OutcomeUnknown, Transient
from tests.support.mock_client import open_mock

RUN = "acme/widgets/actions/runs/7"
REQUEST = {"repository": "acme/widgets", "workflow": "work.yml", "ref": "main", "inputs": {}}


def answering(content: Any, status: int = 200) -> WorkflowAgent:  # noqa: ANN401 - JSON is anything
    client = open_mock(GitHubRules(), lambda _: httpx.Response(status, json=content))
    return WorkflowAgent(GitHubClient(client, TokenAuthorization("made-up")))


@pytest.mark.parametrize("content", [None, [], "completed", {}, {"status": None}, {"status": 5}])
def test_an_answer_without_a_status_is_asked_for_again(content: Any) -> None:  # noqa: ANN401 - JSON is anything
    with pytest.raises(Transient, match="cannot be read"):
        answering(content).read(RUN)


@pytest.mark.parametrize("wrong", [None, 5, [], {}])
def test_fields_of_another_type_are_read_as_missing(wrong: Any) -> None:  # noqa: ANN401 - JSON is anything
    run = {"status": "completed", "conclusion": wrong, "html_url": wrong, "display_title": wrong}
    report = answering(run).read(RUN)
    assert (report.phase, report.url, report.summary) == ("failed", None, None)


@pytest.mark.parametrize("status", ["queued", "in_progress", "waiting", "requested", "a_word_of_tomorrow"])
def test_what_is_not_completed_is_still_going(status: str) -> None:
    report = answering({"status": status, "conclusion": None}).read(RUN)
    assert (report.status, report.phase, report.detail) == (status, "working", None)


@pytest.mark.parametrize("status", [404, 410])
def test_a_run_that_is_gone_has_failed(status: int) -> None:
    assert answering({"message": "Gone"}, status).read(RUN).phase == "failed"


@pytest.mark.parametrize("content", [None, [], {}, {"workflow_run_id": None}, {"workflow_run_id": "7"}])
def test_a_start_that_names_no_run_is_looked_for(content: Any) -> None:  # noqa: ANN401 - JSON is anything
    with pytest.raises(OutcomeUnknown):
        answering(content).write(Effect("e1", "actions.run", REQUEST))


def test_a_run_of_an_earlier_second_is_ours() -> None:
    planned_at = datetime(2026, 11, 24, 8, 0, 0, 900_000, tzinfo=UTC)
    runs = [{"id": 8, "created_at": "2026-11-24T08:00:00Z"}, {"id": 7, "created_at": "2026-11-24T07:59:50Z"}]
    agent = answering({"total_count": 2, "workflow_runs": runs})
    found = agent.look_up(Effect("e1", "actions.run", REQUEST, planned_at))
    assert found is not None
    assert found.external_id == "acme/widgets/actions/runs/8"
