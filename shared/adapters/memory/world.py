"""An outside world in memory: it remembers what was written to it, and fails when told to."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from shared.domain.effect import Effect, Written
from shared.domain.errors import Permanent
from shared.domain.task import AgentPhase, AgentReport

Call = Literal["write", "look_up", "read", "cancel"]


class _Fault(NamedTuple):
    call: Call
    error: Exception
    is_applied: bool


class _Ending(NamedTuple):
    phase: AgentPhase = "succeeded"
    result: str | None = "The work is done."


class MemoryWorld:
    """What is outside, shared by its actions and agents.

    Args:
        clock: seconds; agent runs take their time by it.

    Attributes:
        writes: every effect that was applied, in order; one that was applied twice is in it twice.
        cancelled: the agent runs that were asked to stop before they had ended, in order.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.writes: list[Effect] = []
        self.cancelled: list[str] = []
        self._clock = clock
        self._written: dict[str, Written] = {}
        self._written_at: dict[str, float] = {}
        self._endings: dict[str, _Ending] = {}
        self._faults: list[_Fault] = []

    def fail_next(self, error: Exception, call: Call = "write", *, is_applied: bool = False) -> None:
        """Has the next such call raise ``error``; a write is carried out first when ``is_applied``."""
        self._faults.append(_Fault(call, error, is_applied))

    def end_agent_run(self, agent_run_id: str, phase: AgentPhase, result: str | None = None) -> None:
        """Decides how an agent run will have ended once its time is over."""
        self._endings[agent_run_id] = _Ending(phase, result)

    def list_written(self, kind: str) -> list[Effect]:
        """Returns the effects of one kind that were applied."""
        return [effect for effect in self.writes if effect.kind == kind]

    def write(self, effect: Effect, outputs: Mapping[str, Any]) -> Written:
        """Applies the effect, unless a fault prevents it."""
        fault = self._take_fault("write")
        if fault is not None and not fault.is_applied:
            raise fault.error
        self.writes.append(effect)
        number = str(len(self.writes))
        self._written[effect.id] = Written(number, f"memory://{effect.kind}/{number}", outputs)
        self._written_at[number] = self._clock()
        if fault is not None:
            raise fault.error
        return self._written[effect.id]

    def look_up(self, effect: Effect) -> Written | None:
        """Returns what the effect has left here, or None."""
        self._heed_fault("look_up")
        return self._written.get(effect.id)

    def read_agent_run(self, agent: str, agent_run_id: str, work_seconds: float) -> AgentReport:
        """Returns how an agent run stands that takes ``work_seconds``."""
        self._heed_fault("read")
        if agent_run_id not in self._written_at:
            return AgentReport(agent, agent_run_id, "GONE", "failed", detail="the agent run is gone")
        url = f"memory://{agent}/{agent_run_id}"
        if agent_run_id in self.cancelled:
            return AgentReport(agent, agent_run_id, "CANCELLED", "cancelled", url)
        if self._clock() - self._written_at[agent_run_id] < work_seconds:
            return AgentReport(agent, agent_run_id, "ACTIVE", "working", url)
        ending = self._endings.get(agent_run_id, _Ending())
        return AgentReport(agent, agent_run_id, ending.phase.upper(), ending.phase, url, ending.result)

    def cancel_agent_run(self, agent_run_id: str, work_seconds: float) -> None:
        """Stops an agent run that takes ``work_seconds`` and has not ended."""
        self._heed_fault("cancel")
        started_at = self._written_at.get(agent_run_id)
        is_working = started_at is not None and self._clock() - started_at < work_seconds
        if is_working and agent_run_id not in self.cancelled:
            self.cancelled.append(agent_run_id)

    def _take_fault(self, call: Call) -> _Fault | None:
        for index, fault in enumerate(self._faults):
            if fault.call == call:
                return self._faults.pop(index)
        return None

    def _heed_fault(self, call: Call) -> None:
        fault = self._take_fault(call)
        if fault is not None:
            raise fault.error


class MemoryAction:
    """See ``shared.ports.Action``: writes its arguments and the subject's key."""

    def __init__(self, world: MemoryWorld) -> None:
        self._world = world

    def plan(self, arguments: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """Takes any arguments, at least one."""
        if not arguments:
            raise Permanent("there is nothing to write: give 'with' some arguments")
        return {**arguments, "subject": document["subject"]["key"]}

    def look_up(self, effect: Effect) -> Written | None:
        """Looks for the effect's id."""
        return self._world.look_up(effect)

    def write(self, effect: Effect) -> Written:
        """Applies the effect."""
        return self._world.write(effect, {})


class MemoryAgent(MemoryAction):
    """See ``shared.ports.Agent``: works for ``work_seconds`` and then succeeds, unless the world decides otherwise."""

    def __init__(self, world: MemoryWorld, name: str = "codegen", work_seconds: float = 60.0) -> None:
        super().__init__(world)
        self._name = name
        self._work_seconds = work_seconds

    def write(self, effect: Effect) -> Written:
        """Starts an agent run."""
        return self._world.write(effect, {"status": "ACTIVE"})

    def read(self, agent_run_id: str) -> AgentReport:
        """Returns how the agent run stands."""
        return self._world.read_agent_run(self._name, agent_run_id, self._work_seconds)

    def cancel(self, agent_run_id: str) -> None:
        """Stops the agent run."""
        self._world.cancel_agent_run(agent_run_id, self._work_seconds)
