"""Instructions, approvals and switches: in memory and in Postgres."""

from typing import Any
from uuid import uuid4

import pytest

from shared.domain.caps import Refusal
from shared.domain.effect import Effect, Written
from shared.domain.instruction import Instruction, InstructionKind, Told
from shared.domain.statuses import Status
from shared.domain.task import AgentReport
from shared.domain.workflow import Caps, Workflow
from tests.contract.test_groups import build, plan_agent, read, start, start_agent
from tests.support.record_stores import RecordStore
from tests.support.task_steps import LEASE_SECONDS, claim, finish, plan, wait

SUBJECT = "acme/widgets#7"
APPROVAL = Workflow.model_validate(
    {"name": "asks", "on": {"pull_request": {}}, "steps": [{"uses": "approval.wait"}, {"uses": "github.comment"}]}
)


def tell(store: RecordStore, kind: InstructionKind, **fields: Any) -> Told:  # noqa: ANN401 - those of an instruction
    scope = fields if fields.keys() & {"subject", "run_id", "effect_id"} else {"subject": SUBJECT, **fields}
    return store.instructions.carry_out(Instruction(**{"id": str(uuid4()), "kind": kind, "given_by": "ada", **scope}))


def wait_for_approval(store: RecordStore) -> tuple[dict[str, Any], str, str]:
    """Returns a run whose first step waits, with the ids of the step's task and effect."""
    run, [task_id] = start(store, APPROVAL, None)
    task = claim(store, task_id)
    effect = plan(store, task)
    report = AgentReport("approval", effect.id, "waiting", "working")
    store.tasks.settle_task(task, wait(900.0, written=Written(effect.id, None), agent_run=report))
    return run, task_id, effect.id


def test_what_waits_is_approved_once_and_looked_at_at_once(store: RecordStore) -> None:
    run, task_id, effect_id = wait_for_approval(store)
    assert store.instructions.read_approval(effect_id) is None
    assert store.tasks.claim_task(task_id, LEASE_SECONDS) is None

    assert tell(store, "approve") == Told([run["run_id"]], [task_id])
    assert store.instructions.read_approval(effect_id) == "ada"
    assert claim(store, task_id).is_waiting
    assert tell(store, "approve", given_by="bob") == Told([], [])
    assert store.instructions.read_approval(effect_id) == "ada"


def test_only_what_is_meant_is_approved(store: RecordStore) -> None:
    run, _, effect_id = wait_for_approval(store)
    assert tell(store, "approve", subject="acme/widgets#8").run_ids == []
    assert tell(store, "approve", run_id=str(uuid4())).run_ids == []
    assert store.instructions.read_approval(effect_id) is None
    assert tell(store, "approve", run_id=run["run_id"]).run_ids == [run["run_id"]]


def test_a_question_is_answered_by_its_own_id(store: RecordStore) -> None:
    run, task_id, effect_id = wait_for_approval(store)
    assert tell(store, "approve", effect_id=str(uuid4())).run_ids == []
    assert tell(store, "approve", effect_id=effect_id) == Told([run["run_id"]], [task_id])
    assert store.instructions.read_approval(effect_id) == "ada"


def test_an_instruction_given_again_is_carried_out_once(store: RecordStore) -> None:
    first, _ = start(store, build(), None)
    instruction = Instruction(id=str(uuid4()), kind="cancel", given_by="ada", subject=SUBJECT)
    assert store.instructions.read(instruction.id) is None
    assert store.instructions.carry_out(instruction).run_ids == [first["run_id"]]
    second, _ = start(store, build(), None)
    assert store.instructions.carry_out(instruction) == Told([first["run_id"]])
    assert store.instructions.read(instruction.id) == Told([first["run_id"]])
    assert read(store, second)["status"] == "queued"


def test_cancel_ends_what_is_unfinished_and_its_agents(store: RecordStore) -> None:
    working, [task_id] = start(store, build(), None)
    start_agent(store, task_id)
    own, _ = start(store, build(), None)
    told = tell(store, "cancel", except_run_id=own["run_id"])
    assert told == Told([working["run_id"]], [task_id])
    shown = read(store, working)
    assert (shown["status"], shown["reason"]) == ("cancelled", "cancelled by ada")
    assert read(store, own)["status"] == "queued"
    store.advance(31.0)
    assert claim(store, task_id).is_over


def test_cancel_lets_the_next_of_the_group_begin(store: RecordStore) -> None:
    workflow = build("queue")
    first, [task_id] = start(store, workflow)
    claim(store, task_id)
    second, [waiting] = start(store, workflow)
    assert tell(store, "cancel", run_id=first["run_id"]).task_ids == [waiting]
    assert claim(store, waiting).run_id == second["run_id"]


@pytest.mark.parametrize("status", [Status.FAILED, Status.DEAD, Status.CANCELLED])
def test_retry_runs_once_more_what_did_not_come_about(store: RecordStore, status: Status) -> None:
    run, [task_id] = start(store, build("once"))
    store.tasks.settle_task(claim(store, task_id), finish(status))

    told = tell(store, "retry")

    [again] = told.run_ids
    shown = read(store, {"run_id": again})
    assert (shown["status"], shown["retry_of"], shown["version"]) == ("queued", run["run_id"], run["version"])
    assert (shown["subject"], shown["group"], shown["delivery_id"]) == (
        SUBJECT,
        "group",
        read(store, run)["delivery_id"],
    )
    [task] = told.task_ids
    claimed = claim(store, task)
    assert (claimed.step.id, claimed.attempt, claimed.effect, claimed.once_spent_by) == ("work", 1, None, None)
    assert tell(store, "retry").run_ids == []


def test_retry_leaves_what_did_well_or_is_under_way(store: RecordStore) -> None:
    _, [failed] = start(store, build(), None)
    store.tasks.settle_task(claim(store, failed), finish(Status.FAILED))
    _, [well] = start(store, build(), None)
    assert tell(store, "retry").run_ids == []
    store.tasks.settle_task(claim(store, well), finish())
    assert tell(store, "retry").run_ids == []


def test_a_step_without_an_id_can_be_retried(store: RecordStore) -> None:
    _, task_id, _ = wait_for_approval(store)
    store.advance(901.0)
    store.tasks.settle_task(claim(store, task_id), finish(Status.FAILED, outcome=None))
    [task] = tell(store, "retry").task_ids
    assert claim(store, task).step.uses == "approval.wait"


def test_the_kill_switch_holds_until_it_is_turned_back(store: RecordStore) -> None:
    _, [task_id] = start(store, build(), None)
    task = claim(store, task_id)
    assert store.switches.read() == []
    store.switches.put("agents", is_on=False, reason="the bill", changed_by="api")
    assert plan_agent(store, task) == Refusal("declined", "agents are switched off: the bill (api)")
    assert store.tasks.plan_effect(task, Effect(str(uuid4()), "github.comment", {}))
    [shown] = store.switches.read()
    assert {name: shown[name] for name in ("name", "is_on", "reason", "changed_by")} == {
        "name": "agents",
        "is_on": False,
        "reason": "the bill",
        "changed_by": "api",
    }
    store.switches.put("agents", is_on=True, reason=None, changed_by="api")
    _, [other] = start(store, build(), None)
    assert store.tasks.plan_agent(claim(store, other), Effect(str(uuid4()), "codegen.run", {}), Caps()) is True
