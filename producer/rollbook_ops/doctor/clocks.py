"""Checks that the clocks agree. The sender's clock stamps a job, and stamps decide which value is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from rollbook_shared.observability.findings import Finding, ok, problem, warning

LocalClock = Callable[[], float]
"""Seconds since 1970, on this machine."""
WARNING_SECONDS: Final = 1.0
_ADVICE: Final = "Synchronise the clocks of all machines with NTP."


@dataclass(frozen=True, slots=True)
class ClockReading:
    """How far a server's clock is ahead of this machine's, in seconds."""

    ahead: float
    error: float
    """Half of the time that the request took: the reading may be wrong by so much either way."""


def read_clock(ask_time: Callable[[], float], clock: LocalClock = time.time) -> ClockReading:
    """Ask a server for its time, three times, and return the reading with the fastest answer."""
    readings = []
    for _ in range(3):
        before = clock()
        server_time = ask_time()
        after = clock()
        readings.append(ClockReading(ahead=server_time - (before + after) / 2, error=(after - before) / 2))
    return min(readings, key=lambda reading: reading.error)


def check_clock(server: str, reading: ClockReading, max_clock_skew: timedelta) -> Finding:
    """Check that this machine's clock and the server's agree. `max_clock_skew`: how far ahead a job may be stamped."""
    name = f"{server} clock"
    apart = abs(reading.ahead)
    direction = "behind" if reading.ahead > 0 else "ahead of"
    summary = f"the clock of this machine is {apart:.3f} s {direction} that of {server}"
    if apart - reading.error > max_clock_skew.total_seconds():
        return problem(name, summary, f"{_ADVICE} A job that is stamped in the future waits until then.")
    if apart - reading.error > WARNING_SECONDS:
        return warning(name, summary, _ADVICE)
    return ok(name, f"differs by less than {math.ceil((apart + reading.error) * 1000) or 1} ms")
