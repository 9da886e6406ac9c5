"""What the doctor says: one finding for each thing that was looked at. None holds personal data, or a password."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Level(StrEnum):
    """How bad it is. Only a problem stops jobs, or loses them."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing, and what to do about it (nothing, if all is well)."""

    name: str
    level: Level
    summary: str
    advice: str = ""


def ok(name: str, said: str) -> Finding:
    return Finding(name, Level.OK, said)


def warning(name: str, said: str, advice: str) -> Finding:
    return Finding(name, Level.WARNING, said, advice)


def problem(name: str, said: str, advice: str) -> Finding:
    return Finding(name, Level.PROBLEM, said, advice)


_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(seconds: float) -> str:
    """A length of time, in the largest unit of which there are two."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def many(count: int, what: str) -> str:
    """A number of things."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
