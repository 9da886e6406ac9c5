"""Times in requests: of query strings, headers and bodies."""

from __future__ import annotations

from datetime import datetime

from rollbook_server.http.errors import invalid
from rollbook_shared.errors import Problem


def parse_time(field: str, text: str | None) -> datetime | None:
    """The aware time in ISO 8601; None if there is no text.

    field: its name in the error.

    Raises:
        ApiError: 422, it is no such time.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.utcoffset() is None:
        raise invalid([Problem(field, "must be a time in ISO 8601 with its offset")])
    return time
