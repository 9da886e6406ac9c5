"""Times as other products write them: ISO 8601 with or without an offset, a date alone, seconds or milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_MILLISECONDS: Final = 100_000_000_000
"""Numbers from here on count milliseconds: as seconds they would lie beyond the year 5138."""


def instant(value: object) -> datetime | None:
    """The aware datetime that is meant, UTC where nothing is said; None if it is none."""
    match value:
        case bool():
            return None
        case int() | float():
            return _since_1970(value)
        case str() if value.isdecimal() and value.isascii() and len(value) in (10, 13):
            return _since_1970(int(value))
        case str():
            return _written(value)
        case _:
            return None


def _since_1970(number: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _written(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip().upper().removesuffix("UTC").rstrip())
        # near the first and the last year there is no such moment in UTC
        return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
