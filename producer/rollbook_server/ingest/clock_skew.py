"""When the calls of a batch happened: by the sender's clock, corrected, and in the order of the batch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rollbook.formats.timestamps import parse_time

_MICROSECOND: Final = timedelta(microseconds=1)


def call_time(
    call: Mapping[str, Any], index: int, *, sent_at: datetime | None, now: datetime, skew: timedelta
) -> datetime:
    """When the call happened.

    `sentAt` and the time of receipt show how far the sender's clock is off. Segment's libraries write milliseconds, so
    several calls of a batch have the same time: the place in the batch counts as microseconds, and keeps their order.
    What still lies further ahead than `skew` happened now.

    index: the place in the batch, from 0.
    sent_at: the sender's time when it sent the batch.
    now: the time of receipt.
    """
    given = parse_time(call.get("timestamp")) or parse_time(call.get("originalTimestamp"))
    if given is None:
        return now + index * _MICROSECOND
    corrected = given if sent_at is None else given + (now - sent_at)
    if not datetime(1970, 1, 1, tzinfo=UTC) <= corrected <= now + skew:
        corrected = now
    return corrected + index * _MICROSECOND
