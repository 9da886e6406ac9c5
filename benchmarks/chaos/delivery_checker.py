"""Checks the history of deliveries: each message ends in a final state, and none is handed over again without a need.

A message may be handed over again only under a further claim; a claim is made only where the one before has ended: its
lease is over, or its sender has reported a failure or released it. What was reported as sent is not claimed again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeVar

from benchmarks.chaos.delivery_history import DeliveryHistory
from benchmarks.chaos.delivery_journal import Claim, Report

FINAL: Final = frozenset({"sent", "delivered", "undeliverable", "skipped", "cancelled"})
HANDED_OVER: Final = frozenset({"sent", "delivered"})
UNKNOWN: Final = ("pending", "unknown recipient")
"""How a delivery waits whose recipient was never identified."""
_ROUNDING: Final = 0.000_1
"""Seconds that times lose as floating point numbers, and more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryResult:
    """What is wrong, as ids of messages; and how often messages were handed over."""

    without_delivery: tuple[str, ...] = ()
    """Messages that were to leave, and have no delivery."""
    not_final: tuple[str, ...] = ()
    """Deliveries that wait at the end, and not for their recipient."""
    never_handed_over: tuple[str, ...] = ()
    """Deliveries in the state `sent` that no sender handed over."""
    handed_over_twice: tuple[str, ...] = ()
    """Messages that one claim handed over twice, or that no sender had claimed."""
    claimed_twice: tuple[str, ...] = ()
    """Deliveries that two senders had at once."""
    claimed_after_sent: tuple[str, ...] = ()
    """Deliveries that were claimed after they were reported as sent."""
    believed: tuple[str, ...] = ()
    """Deliveries of which a report counted that was a lie, or of a claim that another had replaced."""
    handed_over: int = 0
    """Messages that were handed over."""
    again: int = 0
    """How often a message was handed over again: its sender died, or lost its lease, before it had reported."""

    @property
    def found(self) -> dict[str, tuple[str, ...]]:
        """All that is wrong, by what it is."""
        return {
            "without delivery": self.without_delivery,
            "not final": self.not_final,
            "sent by no sender": self.never_handed_over,
            "handed over twice": self.handed_over_twice,
            "claimed twice": self.claimed_twice,
            "claimed after sent": self.claimed_after_sent,
            "lies believed": self.believed,
        }


def check_deliveries(history: DeliveryHistory, known: Collection[str]) -> DeliveryResult:
    """Check the history. `known` are the messages that belong to a user, by the reference."""
    claims = _by_delivery(history.claims)
    reports = _by_delivery(history.reports)
    times = Counter((each.id, each.claim) for each in history.hand_overs)
    of_messages = Counter(each.id for each in history.hand_overs)
    claimed = {(each.id, each.claim) for each in history.claims}
    return DeliveryResult(
        without_delivery=_sorted(id_ for id_, row in history.rows.items() if row.state is None),
        not_final=_sorted(
            id_
            for id_, row in history.rows.items()
            if row.state is not None
            and row.state not in FINAL
            and not ((row.state, row.reason) == UNKNOWN and id_ not in known)
        ),
        never_handed_over=_sorted(
            id_ for id_, row in history.rows.items() if row.state in HANDED_OVER and id_ not in of_messages
        ),
        handed_over_twice=_sorted(id_ for (id_, claim), n in times.items() if n > 1 or (id_, claim) not in claimed),
        claimed_twice=_sorted(id_ for id_, own in claims.items() if _overlap(own, reports.get(id_, ()))),
        claimed_after_sent=_sorted(id_ for id_, own in claims.items() if _claimed_late(own, reports.get(id_, ()))),
        believed=_sorted(id_ for id_, own in reports.items() if _believed(own, claims.get(id_, ()))),
        handed_over=len(of_messages),
        again=of_messages.total() - len(of_messages),
    )


def _overlap(claims: Iterable[Claim], reports: Iterable[Report]) -> bool:
    """Whether a claim was made during another one's lease, which had not ended it: by a failure or a release, even if
    the answer to that report was lost.
    """
    ended = {each.claim for each in reports if each.outcome in ("failed", "release")}
    ordered = sorted(claims, key=lambda each: each.claim)
    return any(
        one.claim == other.claim or (other.claimed_at < one.lease_ends_at - _ROUNDING and one.claim not in ended)
        for one, other in pairwise(ordered)
    )


def _claimed_late(claims: Iterable[Claim], reports: Iterable[Report]) -> bool:
    """Whether a claim was made after a report had counted that it was sent."""
    sent_at = [
        each.answered_at
        for each in reports
        if each.outcome == "sent" and each.counts and not each.is_lie and each.answered_at is not None
    ]
    return bool(sent_at) and any(each.claimed_at > min(sent_at) for each in claims)


def _believed(reports: Iterable[Report], claims: Iterable[Claim]) -> bool:
    """Whether a report counted although it was of no claim, of one that another had replaced, or of a failure after the
    delivery was reported as sent.
    """
    counting = [each for each in reports if each.counts]
    sent_at = [each.answered_at for each in counting if each.outcome == "sent" and each.answered_at is not None]
    return any(
        each.is_lie
        or any(later.claim > each.claim and later.claimed_at < each.begun_at for later in claims)
        or (each.outcome != "sent" and any(at < each.begun_at for at in sent_at))
        for each in counting
    )


_RecordT = TypeVar("_RecordT", Claim, Report)


def _by_delivery(records: Iterable[_RecordT]) -> Mapping[str, list[_RecordT]]:
    found: defaultdict[str, list[_RecordT]] = defaultdict(list)
    for record in records:
        found[record.id].append(record)
    return found


def _sorted(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(ids)))


def lines_of(result: DeliveryResult, shown: int) -> Iterator[str]:
    """What is wrong, for people."""
    for what, ids in result.found.items():
        if ids:
            yield f"{len(ids)} deliveries {what}, such as {', '.join(ids[:shown])}"
