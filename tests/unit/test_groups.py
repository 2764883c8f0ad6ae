"""Groups, superseding, approvals and agents that are to end, whatever dies meanwhile: never two agents of a group."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.approvals import ApprovalWait
from shared.adapters.memory.database import EffectRow
from shared.adapters.memory.instructions import MemoryInstructions
from shared.adapters.memory.world import MemoryAction, MemoryAgent
from shared.domain.effect import Effect, Written
from shared.domain.errors import OutcomeUnknown
from shared.domain.instruction import Instruction, InstructionKind
from shared.domain.statuses import Status
from shared.domain.workflow import Workflow
from tests.support.factories import build_envelope, build_payload
from tests.support.orchestra import MAX_ROUNDS, Interrupter, Orchestra

WORK_SECONDS = 60.0
APPROVAL = {"uses": "approval.wait"}
COMMENT = {"uses": "github.comment", "with": {"body": "Done"}}


def build_grouped(on_conflict: str, *before: dict[str, Any], debounce: int = 0) -> Workflow:
    """Returns a workflow of the conflict's name, whose agent says in its prompt whose it is."""
    agent = {"id": "work", "uses": "codegen.run", "with": {"prompt": f"{on_conflict} {{{{ subject.key }}}}"}}
    return Workflow.model_validate(
        {
            "name": on_conflict,
            "on": {"pull_request": {}},
            "concurrency": {"on_conflict": on_conflict},
            "steps": [*before, agent, COMMENT],
            **({"debounce": f"{debounce}s"} if debounce else {}),
        }
    )


WORKFLOWS = (
    build_grouped("cancel"),
    build_grouped("queue", APPROVAL),
    build_grouped("skip"),
    build_grouped("once", debounce=20),
)


class WatchedAgent(MemoryAgent):
    """Notes agents that are started while another of their group works."""

    def __init__(self, orchestra: Orchestra) -> None:
        super().__init__(orchestra.world, work_seconds=WORK_SECONDS)
        self._orchestra = orchestra
        self.faults: list[str] = []

    def list_working(self) -> dict[str, Effect]:
        """Returns the effects whose agents work now, by the agent runs' ids."""
        started = [(str(number), effect) for number, effect in enumerate(self._orchestra.world.writes, start=1)]
        return {
            agent_run_id: effect
            for agent_run_id, effect in started
            if effect.kind == "codegen.run" and self._read(agent_run_id) == "working"
        }

    def write(self, effect: Effect) -> Written:
        """Starts an agent run."""
        if effect.request["prompt"] in {each.request["prompt"] for each in self.list_working().values()}:
            self.faults.append(f"two at once: {effect.request['prompt']}")
        return super().write(effect)

    def _read(self, agent_run_id: str) -> str:
        return self._orchestra.world.read_agent_run("codegen", agent_run_id, WORK_SECONDS).phase


class Company:
    """The orchestrator, people who tell it things, and a look at everything after each step."""

    def __init__(self, *kill_after: int) -> None:
        interrupter = Interrupter(*kill_after)
        self.orchestra = orchestra = Orchestra(*WORKFLOWS, interrupter=interrupter)
        self.agent = WatchedAgent(orchestra)
        self.instructions = MemoryInstructions(orchestra.database)
        ways = MemoryAction(orchestra.world), MemoryAction(orchestra.world)
        orchestra.execute_deps.agents.update(  # type: ignore[attr-defined] # it is a dict
            {
                "codegen.run": interrupter.watch("agent", self.agent),
                "approval.wait": interrupter.watch("approval", ApprovalWait(self.instructions, *ways)),
            }
        )

        self.steps: dict[str, Callable[[int], object]] = {
            "send": self.send,
            "work": self.work,
            "wait": orchestra.clock.advance,
            "fail": self.fail,
            "approve": lambda _: self.tell("approve"),
            "cancel": lambda _: self.tell("cancel"),
            "retry": lambda _: self.tell("retry"),
            "route": lambda _: orchestra.route_batch(),
            "execute": lambda _: orchestra.execute_batch(),
            "execute again": lambda _: orchestra.task_queue.send([str(each) for each in orchestra.database.tasks]),
            "reconcile": lambda _: orchestra.reconcile(),
        }

    def send(self, minute: int) -> None:
        """Tells of a pull request at a minute; its head is another each time."""
        told = {"number": 7, "head": {"sha": f"{minute:040}"}, "updated_at": f"2026-11-01T12:{minute:02}:00Z"}
        told |= {"author_association": "MEMBER", "user": {"login": "ada"}, "state": "open"}
        payload = build_payload(pull_request=told)
        self.orchestra.deliveries.send(build_envelope(payload))

    def tell(self, kind: InstructionKind) -> None:
        """Has somebody approve, cancel or retry."""
        told = Instruction(id=str(uuid4()), kind=kind, given_by="ada", subject="acme/widgets#7")
        self.orchestra.task_queue.send(self.instructions.carry_out(told).task_ids)

    def work(self, seconds: int) -> None:
        """Has the workers do what is to be done now, and lets time pass."""
        while self.orchestra.route_batch() | self.orchestra.execute_batch():
            self.look()
        self.orchestra.clock.advance(seconds)

    def fail(self, is_applied: int) -> None:
        """Has the next write get no answer."""
        self.orchestra.world.fail_next(OutcomeUnknown("the connection was cut"), is_applied=bool(is_applied))

    def look(self) -> None:
        """Checks that agents that are taken for ended do not work."""
        assert self.agent.faults == []
        open_effects = {row.effect.id for row in self.list_effects() if row.ended_at is None}
        assert {effect.id for effect in self.agent.list_working().values()} <= open_effects

    def list_effects(self) -> list[EffectRow]:
        rows = [task.effect for task in self.orchestra.database.tasks.values()]
        return [row for row in rows if row is not None and row.is_agent]

    def finish(self) -> None:
        """Works on until every run has ended, and so has every agent."""
        for _ in range(MAX_ROUNDS):
            is_busy = self.orchestra.route_batch() | self.orchestra.execute_batch()
            self.look()
            if not is_busy:
                if self.orchestra.is_done and all(row.ended_at is not None for row in self.list_effects()):
                    return
                self.tell("approve")
                self.orchestra.clock.advance(10.0)
                self.orchestra.reconcile()
        raise AssertionError("the orchestrator does not come to an end")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 9)),
        st.tuples(st.just("work"), st.integers(0, 60)),
        st.tuples(st.just("work"), st.integers(0, 60)),
        st.tuples(st.just("wait"), st.integers(0, 120)),
        st.tuples(st.just("fail"), st.integers(0, 1)),
        st.tuples(st.sampled_from(["approve", "cancel", "retry"]), st.just(0)),
        st.tuples(st.sampled_from(["route", "execute", "execute again", "reconcile"]), st.just(0)),
    ),
    max_size=40,
)


@given(STEPS, st.sets(st.integers(1, 300), max_size=4))
@settings(max_examples=200)
def test_never_two_agents_of_a_group_and_none_left_behind(steps: list[tuple[str, int]], kill_after: set[int]) -> None:
    company = Company(*kill_after)
    orchestra = company.orchestra
    for step, number in steps:
        company.steps[step](number)
        company.look()
    company.finish()

    assert set(Counter(effect.id for effect in orchestra.world.writes).values()) <= {1}
    assert company.agent.list_working() == {}
    for run in orchestra.database.runs:
        assert run.status.is_final
        if run.status in {Status.SUPERSEDED, Status.CANCELLED}:
            assert run.reason
        if run.status is Status.SUPERSEDED:
            assert run.superseded_by is not None or "the subject has moved on: delivery " in (run.reason or "")
