"""The header `Retry-After`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 86_400.0
"""Seconds; a longer wait is shortened."""
_SECONDS: Final = re.compile(r"[0-9]{1,15}")


def parse_retry_after(text: str, now: datetime) -> float | None:
    """The seconds to wait from `now`; None if the text says none."""
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max(0.0, (when - now).total_seconds()), LONGEST)
