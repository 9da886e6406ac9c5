"""Times as other products write them: ISO 8601 with or without an offset, a date alone, seconds or milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_MILLISECONDS: Final = 100_000_000_000
"""From this number on a number counts milliseconds: as seconds it would be after the year 5138."""


def parse_time(value: object) -> datetime | None:
    """Return the aware datetime that `value` means, in UTC if it has no offset; None if it is not a time."""
    match value:
        case bool():
            return None
        case int() | float():
            return _from_number(value)
        case str() if value.isdecimal() and value.isascii() and len(value) in (10, 13):
            return _from_number(int(value))
        case str():
            return _from_text(value)
        case _:
            return None


def parse_offset_time(text: str) -> datetime | None:
    """Return the aware datetime of a text that has an offset, as Postgres writes it; None for any other text."""
    time = text.strip().upper()
    if time.endswith("UTC"):
        time = time.removesuffix("UTC").rstrip() + "+00:00"
    try:
        found = datetime.fromisoformat(time)
        return None if found.utcoffset() is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _from_number(number: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _from_text(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text.strip().upper().removesuffix("UTC").rstrip())
        # Near the first and the last year the time may not exist in UTC.
        return time.replace(tzinfo=UTC) if time.utcoffset() is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
