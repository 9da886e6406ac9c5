"""What goes wrong, and when: a pure function of chance."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from benchmarks.chaos.kinds import KINDS, ONLY_WITH_OUTBOX

_FIRST_AFTER: Final = 0.3
"""Seconds; let something be under way."""
_APART: Final = 1.5
"""Seconds from the end of a fault to the next one that strikes the same: what was killed shall live a little."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    at: float
    """Seconds after the beginning of the act."""
    kind: str
    target: str
    lasts: float
    choice: float
    """Of 0 to 1, for what else there is to be chosen: the byte of a cut, the table that is full."""

    def __str__(self) -> str:
        return f"{self.at:6.2f} s {self.kind} {self.target} for {self.lasts:.2f} s ({self.choice:.3f})"


def schedule(chance: Random, *, seconds: float, kinds: Collection[str], every: float) -> tuple[Fault, ...]:
    """Faults of the kinds over the time, one in `every` seconds on average, each kind before any comes again. First
    those that an act of their own is for.
    """
    if not kinds:
        return ()
    faults: list[Fault] = []
    busy: dict[str, float] = {}
    waiting = sorted(ONLY_WITH_OUTBOX.intersection(kinds))
    at = _FIRST_AFTER
    while True:
        at += chance.expovariate(1 / every)
        if at >= seconds:
            return tuple(faults)
        if len(waiting) < len(kinds):
            waiting += chance.sample(sorted(kinds), len(kinds))
        for kind, target in _possible(waiting, busy, at, chance):
            lasts = chance.uniform(*KINDS[kind].lasts)
            faults.append(Fault(at=at, kind=kind, target=target, lasts=lasts, choice=chance.random()))
            busy[target] = at + lasts + _APART
            waiting.remove(kind)
            break


def _possible(waiting: list[str], busy: dict[str, float], at: float, chance: Random) -> Iterator[tuple[str, str]]:
    """The kinds that wait, in their order, with a target that nothing else strikes now."""
    for kind in waiting:
        if free := [target for target in KINDS[kind].targets if busy.get(target, 0.0) <= at]:
            yield kind, chance.choice(free)
