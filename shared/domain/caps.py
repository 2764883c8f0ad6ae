"""What stands against starting an agent: the kill switch, newer news, an agent that still works, the caps."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from shared.domain.workflow import Caps


class AgentCounts(NamedTuple):
    """Agent runs that were started within 24 hours."""

    per_subject: int = 0
    per_repository: int = 0
    per_day: int = 0


_NONE = AgentCounts()


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What the records say at the moment an agent is to be started.

    Attributes:
        off: who switched agents off and why; None: nobody did.
        moved_on_by: the delivery that told of a newer head of the subject, or None.
        busy_run_id: a run of the same group whose agent still works, or None.
        counts: of the whole deployment.
        own_counts: of this workflow.
    """

    off: str | None = None
    moved_on_by: str | None = None
    busy_run_id: str | None = None
    counts: AgentCounts = _NONE
    own_counts: AgentCounts = _NONE


class Refusal(NamedTuple):
    """Why an agent is not started: ``declined`` and ``superseded`` for good, ``busy`` for now."""

    kind: Literal["declined", "superseded", "busy"]
    reason: str


def refuse_agent(facts: AgentFacts, own: Caps, fleet: Caps) -> Refusal | None:
    """Returns why the agent is not to be started; None when it may be.

    Args:
        facts: what the records say.
        own: the workflow's caps.
        fleet: the deployment's.
    """
    if facts.off is not None:
        return Refusal("declined", f"agents are switched off: {facts.off}")
    if facts.moved_on_by is not None:
        return Refusal("superseded", f"the subject has moved on: delivery {facts.moved_on_by} told of a newer head")
    for name, caps, counts in (
        ("guard.max_agent_runs", own, facts.own_counts),
        ("the deployment's max_agent_runs", fleet, facts.counts),
    ):
        for scope in AgentCounts._fields:
            cap, count = getattr(caps, scope), getattr(counts, scope)
            if cap is not None and count >= cap:
                return Refusal("declined", f"{name}.{scope} is {cap}, and {count} were started within 24 hours")
    if facts.busy_run_id is not None:
        return Refusal("busy", f"the agent of run {facts.busy_run_id} still works")
    return None
