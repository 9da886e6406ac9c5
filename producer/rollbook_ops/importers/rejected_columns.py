"""What an import adds to each record in the file of its rejected records, so that these can be imported alone.

A mended record keeps the time of its first import, so it does not overwrite what the application has sent since.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from rollbook.formats.timestamps import parse_offset_time

LINE: Final = "_rollbook_line"
FIELD: Final = "_rollbook_field"
REASON: Final = "_rollbook_reason"
OCCURRED_AT: Final = "_rollbook_occurred_at"
COLUMNS: Final = (LINE, FIELD, REASON, OCCURRED_AT)
TEXT: Final = "_rollbook_text"
"""The text of a record that is no JSON object."""


def provenance(line: int, field: str, reason: str, occurred_at: datetime | None) -> dict[str, Any]:
    """Return the added values by their names."""
    time = {} if occurred_at is None else {OCCURRED_AT: occurred_at.isoformat()}
    return {LINE: line, FIELD: field, REASON: reason, **time}


def split_provenance(record: Mapping[str, Any]) -> tuple[dict[str, Any], datetime | None]:
    """Return a record without what a first import added, and the time that it had there.

    Raises:
        ValueError: the time is not a time.
    """
    rest = {name: value for name, value in record.items() if name not in COLUMNS}
    if (value := record.get(OCCURRED_AT)) is None:
        return rest, None
    if (time := parse_first_import(value)) is None:
        raise ValueError(f"{OCCURRED_AT} must be a time")
    return rest, time


def parse_first_import(value: object) -> datetime | None:
    """Return the time that a first import gave to a record; None if it is not a time."""
    return parse_offset_time(value) if isinstance(value, str) else None
