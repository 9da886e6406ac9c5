"""Stamps: the order of jobs. `(occurred_at, job id, ordinal in the job)` as one text that sorts like the three.

`occurred_at` is in microseconds since 1970 (UTC), written as 14 hexadecimal digits (enough until the year 4253). The
job id is followed by `!`, which is smaller than every character of a job id, so that a job whose id begins with another
job's id cannot sort between the ordinals of that other job. Stamps compare byte by byte, in Python and under Postgres'
"C" collation alike.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final, NewType

Stamp = NewType("Stamp", str)
"""Compare two with `<`: the smaller happened first."""

INFINITY: Final = Stamp("~")
"""After every stamp."""
JOB_ID: Final = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
"""What an id of a job looks like; all of its characters are larger than `!` and smaller than `~`."""
MAX_ORDINAL: Final = 0xFFFF
_TIME_DIGITS: Final = 14
_ORDINAL_DIGITS: Final = 4
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def stamp(occurred_at: int, job_id: str, ordinal: int = 0) -> Stamp:
    """The stamp of one item of a job; `occurred_at` in microseconds since 1970."""
    return Stamp(f"{occurred_at:014x}{job_id}!{ordinal:04x}")


def occurred_at_of(stamp: Stamp) -> int:
    """When the job occurred, in microseconds since 1970."""
    return int(stamp[:_TIME_DIGITS], 16)


def job_id_of(stamp: Stamp) -> str:
    """The id of the job."""
    return stamp[_TIME_DIGITS : -_ORDINAL_DIGITS - 1]


def ordinal_of(stamp: Stamp) -> int:
    """The item's position in the job, from 0."""
    return int(stamp[-_ORDINAL_DIGITS:], 16)


def stamp_floor(occurred_at: int) -> Stamp:
    """The boundary just before every stamp of `occurred_at`; nothing is stamped earlier than 1970."""
    return Stamp(f"{max(occurred_at, 0):014x}")


def microseconds(at: datetime) -> int:
    """Microseconds since 1970 of an aware datetime, without the rounding of a float."""
    return (at - _EPOCH) // _MICROSECOND


def datetime_of(occurred_at: int) -> datetime:
    """The aware datetime (UTC) of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=occurred_at)


def new_job_id(now: int) -> str:
    """A new id that sorts by creation time, so that the index on it grows at one end: 14 digits of time, 18 random
    digits.
    """
    return f"{now:014x}{secrets.token_hex(9)}"
