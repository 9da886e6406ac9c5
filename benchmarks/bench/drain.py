"""Measures how fast a contender applies waiting jobs: from the first user in Postgres to the last."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.bench.contenders import Contender, Stalled
from benchmarks.bench.users import UserRecord, make_users

STALLED_AFTER: Final = 60.0
"""Seconds without progress."""
_POLL_SECONDS: Final = (0.003, 0.1)
"""The shortest and the longest time between two polls, in seconds. Each poll is a count in Postgres, for all alike."""
_PILOT: Final = 100
_CHECKED: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainResult:
    """The result of one drain."""

    users: int
    rate: float
    """Users a second."""
    wal_bytes: int


def drain(contender: Contender, users: Sequence[UserRecord], *, from_checkpoint: bool = False) -> DrainResult:
    """Stage the users, release them, and poll Postgres until all are there.

    from_checkpoint: start with a checkpoint, so that the WAL can be compared with that of other drains.

    Raises:
        Stalled: they do not arrive.
    """
    contender.stage(users)
    result = drain_staged(contender, len(users), from_checkpoint=from_checkpoint)
    _check(contender, users)
    return result


def drain_staged(contender: Contender, total: int, *, from_checkpoint: bool = False) -> DrainResult:
    """The same with jobs that are staged already; `total` of what the contender counts.

    Raises:
        Stalled: they are not applied.
    """
    if from_checkpoint:
        contender.environment.checkpoint()
    wal_before = contender.environment.wal_bytes()
    released = time.perf_counter()
    contender.release()
    seen, begin = _wait_for_more(contender, 0, released), time.perf_counter()
    if seen > total / 5:
        # So fast that the first poll came late: the time before it counts as well.
        seen, begin = 0, released
    now, done = begin, seen
    while done < total:
        pace = (done - seen) / (now - begin) if done > seen else 0.0
        left = (total - done) / pace if pace else _POLL_SECONDS[1]
        time.sleep(min(max(left / 2, _POLL_SECONDS[0]), _POLL_SECONDS[1]))
        done, now = _wait_for_more(contender, done, now), time.perf_counter()
    end = time.perf_counter()
    wal = contender.environment.wal_bytes() - wal_before
    return DrainResult(users=total, rate=(total - seen) / (end - begin), wal_bytes=wal)


def find_size(contender: Contender, seconds: float, most: int) -> int:
    """How many jobs keep the contender busy for this time. Also warms it up."""
    count = _PILOT
    while True:
        rate = drain(contender, make_users(count, known=contender.known)).rate
        if count / rate >= seconds / 4 or count >= most:
            return max(_PILOT, min(most, int(rate * seconds)))
        count = min(most, count * 4)


def _wait_for_more(contender: Contender, done: int, since: float) -> int:
    while (found := contender.count_applied()) <= done:
        contender.check()
        if time.perf_counter() - since > STALLED_AFTER:
            progress = f"{contender.name} has applied {done} and no more for {STALLED_AFTER:.0f} s"
            raise Stalled(f"{progress}{contender.log_tails()}")
        time.sleep(_POLL_SECONDS[0])
    return found


def _check(contender: Contender, users: Sequence[UserRecord]) -> None:
    """Check that the work was done; otherwise the rate does not count."""
    for user in users[:: max(1, len(users) // _CHECKED)]:
        if contender.read_visit(user.id) != user.traits["visit"]:
            raise Stalled(f"{contender.name} reports all jobs as applied, but {user.id} is not")
