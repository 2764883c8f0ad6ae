"""Backtest: what draft workflows would have matched among stored deliveries, beside what did match then."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from shared.domain.delivery import Delivery, read_delivery
from shared.domain.envelope import UnreadableEnvelope
from shared.domain.errors import Permanent, Refused
from shared.domain.workflow import Verdict, Workflow, judge
from shared.ports import BodyStore, StoredDeliveries, StoredDelivery
from shared.usecases.route import read_body

# So many are kept of each kind; the counts are complete.
MAX_KEPT: Final = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """A delivery on which draft and past disagree."""

    delivery_id: str
    received_at: int
    event: str
    action: str | None
    subject: str
    because: str


@dataclass(slots=True)
class Backtest:
    """How a draft compares with the workflow of its name.

    Attributes:
        would_match: how many deliveries the draft would have matched.
        did_match: how many the workflow of its name did match.
        both: how many of them are the same.
        gained: those that only the draft matches; the first 100.
        lost: those that it does not match any more, with its reason; the first 100.
    """

    would_match: int = 0
    did_match: int = 0
    both: int = 0
    gained: list[Difference] = field(default_factory=list)
    lost: list[Difference] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """What became of a backtest: how many deliveries were looked at, how many had no readable body, and each draft."""

    deliveries: int = 0
    unreadable: int = 0
    workflows: dict[str, Backtest] = field(default_factory=dict)


def backtest(
    drafts: Sequence[Workflow],
    deliveries: StoredDeliveries,
    bodies: BodyStore | None,
    since: datetime,
    on_progress: Callable[[int], None],
) -> Report:
    """Judges every stored delivery since then by every draft.

    Args:
        drafts: the workflows to try.
        deliveries: what they are tried on.
        bodies: where large bodies rest; None: they are counted as unreadable.
        since: the earliest moment of receipt.
        on_progress: called with 1 after each delivery.

    Raises:
        Transient: when the database or the body store cannot be reached.
    """
    report = Report(workflows={draft.name: Backtest() for draft in drafts})
    events = {event for draft in drafts for event in draft.on}
    for stored in deliveries.list_since(since, events):
        report.deliveries += 1
        # Of an event that no draft reacts to, the payload is not needed to say so.
        is_wanted = stored.envelope.event in events
        delivery = read_stored(stored, bodies) if is_wanted else None
        if is_wanted and delivery is None:
            report.unreadable += 1
        else:
            action, document = (None, {}) if delivery is None else (delivery.action, delivery.document)
            for draft in drafts:
                verdict = judge(draft, stored.envelope.event, action, document)
                _compare(report.workflows[draft.name], verdict, action, stored)
        on_progress(1)
    return report


def read_stored(stored: StoredDelivery, bodies: BodyStore | None) -> Delivery | None:
    """Returns a stored delivery with its payload read; None when its body is out of reach or cannot be read."""
    envelope = stored.envelope
    if envelope.deflated is None and (bodies is None or envelope.body_key is None):
        return None
    try:
        deflated = envelope.deflated if bodies is None else read_body(envelope, bodies)
        return None if deflated is None else read_delivery(envelope, deflated)
    except (UnreadableEnvelope, Refused, Permanent):
        return None


def _compare(found: Backtest, verdict: Verdict, action: str | None, stored: StoredDelivery) -> None:
    did_match = verdict.workflow in stored.matched
    found.would_match += verdict.matched
    found.did_match += did_match
    found.both += verdict.matched and did_match
    kept = found.gained if verdict.matched else found.lost
    if verdict.matched != did_match and len(kept) < MAX_KEPT:
        envelope = stored.envelope
        kept.append(
            Difference(
                envelope.delivery_id,
                envelope.received_at,
                envelope.event,
                action,
                envelope.subject,
                verdict.because,
            )
        )
