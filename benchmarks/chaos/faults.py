"""Schedules the faults: a pure function of a random generator."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from benchmarks.chaos.fault_kinds import FAULT_KINDS, ONLY_WITH_OUTBOX

_FIRST_SECONDS: Final = 0.3
"""No fault before this time, so that work is under way."""
_REST_SECONDS: Final = 1.5
"""Time from the end of a fault to the next one with the same target, so that it does some work in between."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One fault."""

    at: float
    """Seconds after the start of the phase."""
    kind: str
    target: str
    duration: float
    choice: float
    """From 0 to 1; decides what else is random: the byte of a cut, the table that is full."""

    def __str__(self) -> str:
        return f"{self.at:6.2f} s {self.kind} {self.target} for {self.duration:.2f} s ({self.choice:.3f})"


def schedule_faults(rng: Random, *, seconds: float, kinds: Collection[str], every: float) -> tuple[Fault, ...]:
    """Schedule faults of the kinds, one every `every` seconds on average. Each kind occurs before any occurs again; the
    kinds of `ONLY_WITH_OUTBOX` come first.
    """
    if not kinds:
        return ()
    faults: list[Fault] = []
    busy: dict[str, float] = {}
    waiting = sorted(ONLY_WITH_OUTBOX.intersection(kinds))
    at = _FIRST_SECONDS
    while True:
        at += rng.expovariate(1 / every)
        if at >= seconds:
            return tuple(faults)
        if len(waiting) < len(kinds):
            waiting += rng.sample(sorted(kinds), len(kinds))
        for kind, target in _possible(waiting, busy, at, rng):
            duration = rng.uniform(*FAULT_KINDS[kind].duration)
            faults.append(Fault(at=at, kind=kind, target=target, duration=duration, choice=rng.random()))
            busy[target] = at + duration + _REST_SECONDS
            waiting.remove(kind)
            break


def _possible(waiting: list[str], busy: dict[str, float], at: float, rng: Random) -> Iterator[tuple[str, str]]:
    """The kinds that wait, in order, each with a target that has no other fault now."""
    for kind in waiting:
        if free := [target for target in FAULT_KINDS[kind].targets if busy.get(target, 0.0) <= at]:
            yield kind, rng.choice(free)
