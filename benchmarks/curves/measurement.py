"""The processor time of operations, ours and that of Postgres."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psutil
from benchmarks.curves.operations import Operation
from benchmarks.curves.points import Point
from benchmarks.read_scale import seconds_of


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Microseconds of processor time a unit, the medians of rounds."""

    ours_us: float
    postgres_us: float


_BACKENDS: Final = """
SELECT pid
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def measure(
    points: Mapping[int, Point], operations: Mapping[str, Operation], rounds: int
) -> dict[int, dict[str, Cost]]:
    """The cost of each operation at each point, in turns: other load of the machine affects all of them. The first
    round warms up.
    """
    turns = [(number, name) for number in points for name in operations]
    used: dict[tuple[int, str], list[tuple[float, float]]] = {turn: [] for turn in turns}
    for round_ in range(rounds + 1):
        for number, name in random.sample(turns, len(turns)):
            cost = _cost(points[number], operations[name])
            if round_:
                used[number, name].append(cost)
    return {number: {name: _median(used[number, name]) for name in operations} for number in points}


def _cost(point: Point, operation: Operation) -> tuple[float, float]:
    turn = operation.prepare(point)
    server_before, before = _server_seconds(point), time.thread_time()
    turn.run()
    ours = time.thread_time() - before
    theirs = sum(seconds - server_before.get(pid, 0.0) for pid, seconds in _server_seconds(point).items())
    return ours / turn.units * 1e6, theirs / turn.units * 1e6


def _median(costs: Sequence[tuple[float, float]]) -> Cost:
    ours, theirs = zip(*costs, strict=True)
    return Cost(ours_us=statistics.median(ours), postgres_us=statistics.median(theirs))


def _server_seconds(point: Point) -> dict[int, float]:
    """The processor time so far of the server processes of our connections, by process id."""
    return {pid: seconds_of(psutil.Process(pid)) for (pid,) in point.connection.execute(_BACKENDS).fetchall()}
