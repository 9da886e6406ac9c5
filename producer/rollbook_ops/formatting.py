"""Numbers as text for people: counts, durations, sizes."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def format_count(count: int, noun: str) -> str:
    """Return `1 activity`, `2,000 activities`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("y") else f"{count:,} {noun}s"


def format_duration(seconds: float) -> str:
    """Return a duration in the largest unit of which there are at least two: `3 h`, `90 s`, `0.4 s`."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def format_size(size: int) -> str:
    """Return a number of bytes in MB."""
    return f"{size / 1024 / 1024:,.1f} MB"
