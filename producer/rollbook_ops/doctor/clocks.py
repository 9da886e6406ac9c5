"""Whether the clocks agree. A job is stamped by the clock of whoever sends it, and stamps decide what stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from rollbook_ops.doctor.findings import Finding, ok, problem, warning

Clock = Callable[[], float]
"""Seconds since 1970, on this machine."""
NOTICED_SECONDS: Final = 1.0
_ADVICE: Final = "Keep the clocks of all machines in step, with NTP."


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server's clock said, and how far ahead of ours that is."""

    ahead: float
    doubt: float
    """Half of the time that asking took: by so much it may be wrong either way."""


def read(ask: Callable[[], float], clock: Clock = time.time) -> Reading:
    """Ask a server for its time, three times, and take the answer that came soonest."""
    readings = []
    for _ in range(3):
        before = clock()
        theirs = ask()
        after = clock()
        readings.append(Reading(ahead=theirs - (before + after) / 2, doubt=(after - before) / 2))
    return min(readings, key=lambda reading: reading.doubt)


def check_clock(server: str, reading: Reading, future: timedelta) -> Finding:
    """Whether this machine's clock and the server's agree. `future`: how far ahead a job may be stamped."""
    name = f"{server} clock"
    apart = abs(reading.ahead)
    said = f"{apart:.3f} s {'behind' if reading.ahead > 0 else 'ahead of'} the clock of {server}, this machine is"
    if apart - reading.doubt > future.total_seconds():
        return problem(name, said, f"{_ADVICE} Jobs that are stamped in the future wait until then.")
    if apart - reading.doubt > NOTICED_SECONDS:
        return warning(name, said, _ADVICE)
    return ok(name, f"in step within {apart + reading.doubt:.3f} s")
