"""What Codegen says about an agent run, field by field: any may be missing, null or of another type.

https://docs.codegen.com/api-reference/agents/get-agent-run
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.task import AgentPhase

MARK = "webhook_orchestrator_effect"
PAUSED = "PAUSED"

# The ends that are known, and what a bad one says to a person. Whatever else it says is still going, until our own
# deadline.
_ENDS: dict[str, tuple[AgentPhase, str | None]] = {
    "COMPLETE": ("succeeded", None),
    "COMPLETED": ("succeeded", None),
    "ERROR": ("failed", "the agent met an error"),
    "FAILED": ("failed", "the agent did not succeed"),
    "TIMEOUT": ("failed", "the agent's time was used up"),
    "MAX_ITERATIONS_REACHED": ("failed", "the agent's iterations were used up"),
    "OUT_OF_TOKENS": ("failed", "the agent's tokens were used up"),
    "CANCELLED": ("cancelled", "the agent was stopped"),
    "CANCELED": ("cancelled", "the agent was stopped"),
    "STOPPED": ("cancelled", "the agent was stopped"),
}


@dataclass(frozen=True, slots=True)
class AgentRun:
    """An agent run as far as it could be read.

    Attributes:
        id: None when it said none.
        status: in Codegen's own words; PENDING when it said none.
        url: a page that shows it, if it is an address of one.
        result: the agent's final text.
        summary: a short text.
        pull_requests: addresses of what it opened.
        effect_id: of the effect that started it, when it was ours.
    """

    id: str | None
    status: str
    url: str | None
    result: str | None
    summary: str | None
    pull_requests: tuple[str, ...]
    effect_id: str | None

    @property
    def word(self) -> str:
        """The status as it is compared: sources disagree about its case."""
        return self.status.strip().upper()

    @property
    def phase(self) -> AgentPhase:
        """What the status means to us."""
        return _ENDS[self.word][0] if self.word in _ENDS else "working"

    @property
    def ending(self) -> str | None:
        """What a bad end says to a person; None when it is none."""
        meaning = _ENDS[self.word][1] if self.word in _ENDS else None
        return meaning and f"{meaning} ({self.word})"

    @property
    def fingerprint(self) -> str:
        """A text that is another one once the agent has gone on."""
        seen = json.dumps([self.word, self.result, self.summary, self.pull_requests])
        return hashlib.sha256(seen.encode()).hexdigest()


def read_agent_run(answer: Mapping[str, object]) -> AgentRun:
    """Returns what ``answer`` says; never fails."""
    number, metadata, pulls = answer.get("id"), answer.get("metadata"), answer.get("github_pull_requests")
    effect_id = metadata.get(MARK) if isinstance(metadata, dict) else None
    addresses = (
        [_address(pull.get("url")) for pull in pulls if isinstance(pull, dict)] if isinstance(pulls, list) else []
    )
    return AgentRun(
        id=str(number) if type(number) is int else None,
        status=_text(answer.get("status")) or "PENDING",
        url=_address(answer.get("web_url")),
        result=_text(answer.get("result")),
        summary=_text(answer.get("summary")),
        pull_requests=tuple(address for address in addresses if address is not None),
        effect_id=_text(effect_id),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _address(value: object) -> str | None:
    # It becomes a link in comments and on our pages.
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else None
