"""What a person tells the orchestrator about runs: by a slash command, a button or the API."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

InstructionKind = Literal["approve", "cancel", "retry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """An instruction about one run, or about the runs of a subject.

    Attributes:
        id: a UUID; the same instruction given again does nothing again.
        kind: ``approve`` what waits for it, ``cancel`` what is unfinished, ``retry`` what has failed.
        given_by: who gave it, for people to read.
        subject: whose runs it is about, or None.
        run_id: which run it is about, or None.
        effect_id: the question it answers, of ``approve`` by the button of a check, or None.
        except_run_id: the run that carries it out, which it is not about.
    """

    id: str
    kind: InstructionKind
    given_by: str
    subject: str | None = None
    run_id: str | None = None
    effect_id: str | None = None
    except_run_id: str | None = None


class Told(NamedTuple):
    """What an instruction came to.

    Attributes:
        run_ids: the runs that it was carried out on (of ``retry``, the new ones).
        task_ids: what workers are to be told of.
    """

    run_ids: Sequence[str]
    task_ids: Sequence[str] = ()
