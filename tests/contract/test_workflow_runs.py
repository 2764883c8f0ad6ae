"""GitHub Actions at the sandbox: what is sent, what is found again, and what nobody can tell."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.effect import Effect
from shared.domain.errors import Limited, OutcomeUnknown, Permanent, Transient
from tests.support.outside import read_document
from tests.support.sandbox_server import SandboxServer
from tests.support.workflow_company import WorkflowCompany

FAILED_RUN = {"id": 30433642, "run_attempt": 2}


@pytest.fixture
def workflows(github_server: SandboxServer) -> Iterator[WorkflowCompany]:
    company = WorkflowCompany(github_server)
    yield company
    company.client.close()


def plan_again(effect: Effect, seconds: float = 0.0) -> Effect:
    """Returns the effect as a later attempt finds it, planned so many seconds from now."""
    return replace(effect, planned_at=datetime.now(UTC) + timedelta(seconds=seconds))


def test_what_is_sent(workflows: WorkflowCompany) -> None:
    workflows.agent.write(workflows.plan(inputs={"text": "a", "flag": True, "number": 7, "part": 0.5}))
    workflows.agent.write(workflows.plan(ref="refs/heads/release/1", workflow="4711"))
    inputs = {"text": "a", "flag": "true", "number": "7", "part": "0.5"}
    assert workflows.list_sent() == [
        {"ref": "main", "inputs": inputs, "return_run_details": True},
        {"ref": "release/1", "inputs": {}, "return_run_details": True},
    ]
    paths = [received["path"] for received in workflows.server.list_received(method="POST")]
    assert paths == [f"/repos/acme/widgets/actions/workflows/{name}/dispatches" for name in ("work.yml", "4711")]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"workflow": ""}, "needs 'workflow'"),
        ({"workflow": "../../dispatches"}, "wants a file name or an id as 'workflow'"),
        ({"workflow": "a/b.yml"}, "wants a file name or an id as 'workflow'"),
        ({"workflow": ".."}, "wants a file name or an id as 'workflow'"),
        ({"workflow": "work"}, "wants a file name or an id as 'workflow'"),
        ({"repository": "acme/other"}, "needs 'ref': the event does not say the default branch of acme/other"),
        ({"inputs": {str(number): "" for number in range(26)}}, "takes at most 25 'inputs', not 26"),
        ({"inputs": {"list": ["a"]}}, "takes texts as 'inputs', and 'list' is none"),
        ({"inputs": {"nothing": None}}, "takes texts as 'inputs', and 'nothing' is none"),
    ],
)
def test_arguments_that_cannot_be_sent(workflows: WorkflowCompany, arguments: dict[str, Any], wanted: str) -> None:
    with pytest.raises(Permanent, match=wanted):
        workflows.plan(**arguments)


def test_a_server_that_does_not_name_the_run(workflows: WorkflowCompany) -> None:
    effect = workflows.plan()
    workflows.server.add_faults({"method": "POST", "status": 204, "applied": True})
    with pytest.raises(OutcomeUnknown, match="did not say which run"):
        workflows.agent.write(effect)
    found = workflows.agent.look_up(plan_again(effect))
    assert found is not None
    assert workflows.agent.read(found.external_id).phase == "working"
    [listed] = workflows.server.list_received(method="GET", path="/repos/acme/widgets/actions/workflows")
    assert listed["query"] == "per_page=100&event=workflow_dispatch&branch=main&actor=sandbox"


def test_runs_of_before_or_of_another_branch_are_not_ours(workflows: WorkflowCompany) -> None:
    workflows.start()
    assert workflows.agent.look_up(plan_again(workflows.plan(), seconds=60.0)) is None
    assert workflows.agent.look_up(plan_again(workflows.plan(ref="next"))) is None


def test_which_of_several_is_ours_cannot_be_told(workflows: WorkflowCompany) -> None:
    for _ in range(2):
        workflows.start()
    with pytest.raises(Permanent, match=r"unknown_outcome: 2 runs of work\.yml"):
        workflows.agent.look_up(plan_again(workflows.plan()))


@pytest.mark.parametrize("conclusion", ["failure", "timed_out", "neutral", "skipped", "action_required"])
def test_any_conclusion_but_success_is_a_failure(workflows: WorkflowCompany, conclusion: str) -> None:
    workflows.script_conclusion(conclusion)
    report = workflows.agent.read(workflows.start())
    assert (report.status, report.phase) == (conclusion, "failed")
    assert report.detail == f"the workflow run ended as {conclusion}"


def test_a_refused_cancellation_is_told(workflows: WorkflowCompany) -> None:
    workflows.script("working", "")
    agent_run_id = workflows.start()
    workflows.server.add_faults({"path": "/cancel$", "status": 403})
    with pytest.raises(Permanent, match="github answered 403"):
        workflows.agent.cancel(agent_run_id)


def plan_event(workflows: WorkflowCompany, **arguments: object) -> Effect:
    request = workflows.dispatch.plan({"event_type": "analysed", **arguments}, read_document())
    return Effect("e1", "github.dispatch", request)


def test_an_event_is_sent(workflows: WorkflowCompany) -> None:
    payload = {"number": 7, "nested": {"list": [1, None]}}
    written = workflows.dispatch.write(plan_event(workflows, client_payload=payload))
    workflows.dispatch.write(plan_event(workflows))
    assert written.external_id == "acme/widgets:analysed"
    assert workflows.list_sent() == [
        {"event_type": "analysed", "client_payload": payload},
        {"event_type": "analysed"},
    ]


@pytest.mark.parametrize("fault", [{"cut": "before"}, {"cut": "after"}, {"status": 502}])
def test_an_event_of_which_nobody_knows_is_not_sent_twice(workflows: WorkflowCompany, fault: dict[str, Any]) -> None:
    effect = plan_event(workflows)
    workflows.server.add_faults(fault)
    for call in (workflows.dispatch.write, workflows.dispatch.look_up):
        with pytest.raises(Permanent, match="unknown_outcome: whether the event 'analysed' to acme/widgets was sent"):
            call(effect)


def test_an_event_that_was_not_sent_may_be_sent_later(workflows: WorkflowCompany) -> None:
    workflows.server.add_faults({"status": 429, "retry_after": 7})
    with pytest.raises(Limited):
        workflows.dispatch.write(plan_event(workflows))


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"event_type": ""}, "needs 'event_type' or 'workflow'"),
        ({"workflow": "work.yml"}, "takes either 'event_type' or 'workflow'"),
        ({"event_type": "x" * 101}, "at most 100 characters"),
        ({"client_payload": {str(number): 0 for number in range(11)}}, "at most 10 keys"),
        ({"client_payload": {"a": "x" * 65_536}}, "less than 65536 bytes"),
    ],
)
def test_an_event_that_github_would_not_take(
    workflows: WorkflowCompany, arguments: dict[str, Any], wanted: str
) -> None:
    with pytest.raises(Permanent, match=wanted):
        plan_event(workflows, **arguments)


def plan_rerun(workflows: WorkflowCompany, document: dict[str, Any], **arguments: object) -> Effect:
    return Effect("e1", "github.rerun_failed", workflows.rerun.plan(arguments, {**read_document(), **document}))


def start_failed_run(workflows: WorkflowCompany) -> int:
    workflows.script_conclusion("failure")
    return int(workflows.start().rpartition("/")[2])


def test_failed_jobs_run_again_once(workflows: WorkflowCompany) -> None:
    run_id = start_failed_run(workflows)
    effect = plan_rerun(workflows, {}, run_id=run_id)
    assert workflows.rerun.look_up(effect) is None
    workflows.server.add_faults({"method": "POST", "cut": "after"})
    with pytest.raises(OutcomeUnknown):
        workflows.rerun.write(effect)
    found = workflows.rerun.look_up(effect)
    assert found is not None
    assert found.external_id == f"acme/widgets/actions/runs/{run_id}"
    assert found.url == f"{workflows.server.url}/{found.external_id}"


def test_the_events_run_is_run_again(workflows: WorkflowCompany) -> None:
    run_id = start_failed_run(workflows)
    asked = len(workflows.server.list_received(method="GET"))
    effect = plan_rerun(workflows, {"workflow_run": {"id": run_id, "run_attempt": 1}})
    assert len(workflows.server.list_received(method="GET")) == asked
    assert workflows.rerun.write(effect) == workflows.rerun.look_up(effect)


def test_a_run_of_which_the_event_says_little_is_asked_for(workflows: WorkflowCompany) -> None:
    run_id = start_failed_run(workflows)
    for event in ({"id": run_id}, {"id": run_id, "run_attempt": "1"}, FAILED_RUN, None):
        assert plan_rerun(workflows, {"workflow_run": event}, run_id=str(run_id)).request["attempt"] == 1


def test_a_run_must_be_named(workflows: WorkflowCompany) -> None:
    with pytest.raises(Permanent, match="needs 'run_id': the event is about no workflow run"):
        plan_rerun(workflows, {})


def test_a_run_that_github_does_not_start_again(workflows: WorkflowCompany) -> None:
    workflows.script("succeeded", "")
    run_id = int(workflows.start().rpartition("/")[2])
    effect = plan_rerun(workflows, {}, run_id=run_id)
    with pytest.raises(Permanent, match="cannot be retried"):
        workflows.rerun.write(effect)
    workflows.server.add_faults({"status": 502})
    with pytest.raises(Transient):
        workflows.rerun.look_up(effect)
