"""How fast a side applies what waits: from the first user that is in Postgres to the last."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.bench.people import Person, crowd
from benchmarks.bench.sides import Side, Stalled

STALLED_AFTER: Final = 60.0
"""Seconds without any progress."""
_LOOK: Final = (0.003, 0.1)
"""Seconds between two looks at least and at most: each look costs Postgres a count, on all sides alike."""
_PILOT: Final = 100
_CHECKED: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Drained:
    """What came of one drain."""

    users: int
    rate: float
    """Users a second."""
    wal_bytes: int


def drain(side: Side, people: Sequence[Person], *, from_checkpoint: bool = False) -> Drained:
    """Stage the users, release them, and watch Postgres until all are there.

    from_checkpoint: begin with one, so that the WAL can be compared with that of others who do.

    Raises:
        Stalled: they do not come.
    """
    side.stage(people)
    if from_checkpoint:
        side.ground.checkpoint()
    wal_before = side.ground.wal_bytes()
    released = time.perf_counter()
    side.release()
    seen, begin, total = _wait_for_more(side, 0, released), time.perf_counter(), len(people)
    if seen > total / 5:
        # So fast that the first look came late: the time before it counts as well.
        seen, begin = 0, released
    now, done = begin, seen
    while done < total:
        pace = (done - seen) / (now - begin) if done > seen else 0.0
        left = (total - done) / pace if pace else _LOOK[1]
        time.sleep(min(max(left / 2, _LOOK[0]), _LOOK[1]))
        done, now = _wait_for_more(side, done, now), time.perf_counter()
    end = time.perf_counter()
    wal = side.ground.wal_bytes() - wal_before
    _check(side, people)
    return Drained(users=total, rate=(total - seen) / (end - begin), wal_bytes=wal)


def sized(side: Side, seconds: float, most: int) -> int:
    """How many jobs keep the side busy for so long; also warms it up."""
    count = _PILOT
    while True:
        rate = drain(side, crowd(count, known=side.known)).rate
        if count / rate >= seconds / 4 or count >= most:
            return max(_PILOT, min(most, int(rate * seconds)))
        count = min(most, count * 4)


def _wait_for_more(side: Side, done: int, since: float) -> int:
    while (found := side.applied()) <= done:
        side.check()
        if time.perf_counter() - since > STALLED_AFTER:
            raise Stalled(f"{side.name} has applied {done} and no more for {STALLED_AFTER:.0f} s{side.last_words()}")
        time.sleep(_LOOK[0])
    return found


def _check(side: Side, people: Sequence[Person]) -> None:
    """A rate counts only if the work was done."""
    for person in people[:: max(1, len(people) // _CHECKED)]:
        if side.visit_of(person.id) != person.traits["visit"]:
            raise Stalled(f"{side.name} says that all is applied, and {person.id} is not")
