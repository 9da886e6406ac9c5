"""What the doctor reports: one finding for each check. No finding holds personal data or a password."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How severe a finding is. Only a problem stops or loses jobs."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, and what to do about it (empty if all is well)."""

    name: str
    level: Level
    summary: str
    advice: str = ""


def ok(name: str, summary: str) -> Finding:
    """All is well."""
    return Finding(name, Level.OK, summary)


def warning(name: str, summary: str, advice: str) -> Finding:
    """Something may become a problem."""
    return Finding(name, Level.WARNING, summary, advice)


def problem(name: str, summary: str, advice: str) -> Finding:
    """Jobs stop, or are lost."""
    return Finding(name, Level.PROBLEM, summary, advice)
