"""Picks one finding of the doctor, and checks that no finding shows personal data or a password."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from rollbook_ops.doctor import Finding, Level

MARKED: Final = "marked-4711"
"""The text of every password and of everything personal."""
NO_REDIS: Final = f"redis://:{MARKED}@127.0.0.1:1/0"
NO_DATABASE: Final = f"postgresql://{MARKED}:{MARKED}@127.0.0.1:1/{MARKED}"
HOUR: Final = 3_600
DAY: Final = 24 * HOUR


def named(findings: Iterable[Finding], name: str) -> Finding:
    """Return the finding of that name. No finding shows what it must not; each that is not ok has advice."""
    found = list(findings)
    assert MARKED not in repr(found)
    assert [finding for finding in found if bool(finding.advice) == (finding.level is Level.OK)] == []
    (one,) = [finding for finding in found if finding.name == name]
    return one


def microseconds(ago: float = 0) -> int:
    return int((time.time() - ago) * 1_000_000)
