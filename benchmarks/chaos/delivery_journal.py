"""What senders do with deliveries, as lines of a file: claims and reports. A line survives its process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rollbook.models import Delivery, DeliveryOutcome

JOURNAL: Final = "CHAOS_DELIVERY_JOURNAL"
"""The environment variable with a sender's file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A sender has claimed a delivery. Times are seconds since 1970, here by the clock of Postgres."""

    id: str
    claim: int
    claimed_at: float
    lease_ends_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class HandOver:
    """The sink has taken a message."""

    id: str
    claim: int
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A report of a delivery, once when it is begun and once when it is answered."""

    id: str
    claim: int
    outcome: DeliveryOutcome
    begun_at: float
    answered_at: float | None = None
    counts: bool = False
    """The answer: whether the report counts."""
    is_lie: bool = False
    """Of a claim that there never was."""


Record = Claim | Report
_KINDS: Final = {kind.__name__: kind for kind in (Claim, Report)}


class DeliveryJournal:
    """The journal of one sender; it goes on after a restart."""

    def __init__(self, file: Path) -> None:
        self._lines = file.open("a", encoding="utf-8", buffering=1)

    def claimed(self, deliveries: Iterable[Delivery], lease: float) -> None:
        """Record a claim, of which Postgres has said when its lease ends."""
        for each in deliveries:
            ends = each.lease_ends_at.timestamp()
            self.add(Claim(id=each.id, claim=each.claim, claimed_at=ends - lease, lease_ends_at=ends))

    def add(self, record: Record) -> None:
        """Write a line. A process that is killed now has written all of it or nothing."""
        self._lines.write(json.dumps([type(record).__name__, asdict(record)]) + "\n")


def read_records(files: Iterable[Path]) -> Iterator[Record]:
    """The records of several journals, without the last line of one that ends within it."""
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                kind, fields = json.loads(line)
                yield _KINDS[kind](**fields)
