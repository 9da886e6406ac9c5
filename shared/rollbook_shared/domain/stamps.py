"""A job's place in time: `(occurred_at, job id, place in the job)` as one text that sorts like the three.

`occurred_at` is in microseconds since 1970 (UTC), written as 14 hexadecimal digits (enough until the year 4253). The
job id is followed by `!`, which is smaller than every character a job id may hold, so that no id that begins with
another one can slip in between the places of that other job. Text compares byte by byte here and under Postgres' "C"
collation alike.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final, NewType

Stamp = NewType("Stamp", str)
"""Compare two with `<`: the smaller happened first."""

JOB_ID: Final = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
"""What an id of a job looks like; all of its characters are larger than `!`."""
MAX_PLACE: Final = 0xFFFF
"""The last place that a job has."""
_TIME_DIGITS: Final = 14
_PLACE_DIGITS: Final = 4
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def stamp(occurred_at: int, job_id: str, place: int = 0) -> Stamp:
    """The stamp of one place in a job; `occurred_at` in microseconds since 1970."""
    return Stamp(f"{occurred_at:014x}{job_id}!{place:04x}")


def occurred_at_of(stamp: Stamp) -> int:
    """When it happened, in microseconds since 1970."""
    return int(stamp[:_TIME_DIGITS], 16)


def job_id_of(stamp: Stamp) -> str:
    """Which job said it."""
    return stamp[_TIME_DIGITS : -_PLACE_DIGITS - 1]


def place_of(stamp: Stamp) -> int:
    """Its place in the job, from 0."""
    return int(stamp[-_PLACE_DIGITS:], 16)


def edge(occurred_at: int) -> Stamp:
    """The boundary just before everything that happened at `occurred_at`; nothing is stamped earlier than 1970."""
    return Stamp(f"{max(occurred_at, 0):014x}")


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime, without the rounding of a float."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(occurred_at: int) -> datetime:
    """The aware datetime (UTC) of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=occurred_at)


def new_job_id(now: int) -> str:
    """A fresh id that sorts by time of making, so that the index on it grows at one end: 14 digits of time, 18 of
    chance.
    """
    return f"{now:014x}{secrets.token_hex(9)}"
