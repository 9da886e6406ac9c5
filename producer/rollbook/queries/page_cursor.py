"""Where a page of a list ended: the sort key of its last item, as text that callers pass on as `after`.

The next page begins after that key, so items that arrive meanwhile do not shift the pages.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Final, NamedTuple

from rollbook_shared.domain.stamps import JOB_ID, datetime_of, microseconds
from rollbook_shared.errors import InvalidRequest, Problem

HISTORY: Final = re.compile(rf"([0-9a-f]{{14}}{JOB_ID.pattern}![0-9a-f]{{4}}) ([0-9a-f]{{32}}) ()")
"""Cursors of messages and activities: a stamp and a UUID."""
CHANGES: Final = re.compile(r"([0-9a-f]{14}) ([0-9a-f]{32}) ()")
"""Cursors of deliveries: a time and a UUID."""
DEFERRED_JOBS: Final = re.compile(rf"([0-9a-f]{{14}}) ({JOB_ID.pattern}) ()")
"""Cursors of deferred jobs: a time and a job id."""
DEAD_LETTERS: Final = re.compile(rf"([0-9a-f]{{14}}) ({JOB_ID.pattern}) ([0-9a-f]{{32}})")
"""Cursors of dead letters: a time, a job id, and the key that distinguishes dead letters of one id."""

JOBS: Final = re.compile(rf"([0-9a-f]{{14}}) ({JOB_ID.pattern}) ([0-9a-f]{{32}}|)")
"""Cursors of jobs and dead letters in one list: a time, a job id, and of a dead letter its key."""


class PageCursor(NamedTuple):
    """The sort key of one item of a list."""

    time: str
    """The item's stamp, or its time as 14 hexadecimal digits of microseconds since 1970."""
    id: str
    key: str = ""
    """Distinguishes items that have the same id."""

    @classmethod
    def at(cls, time: datetime, id: str, key: str = "") -> PageCursor:
        """The cursor of an item that is sorted by a time."""
        return cls(f"{microseconds(time):014x}", id, key)

    @property
    def datetime(self) -> datetime:
        """The time of an item that is sorted by a time."""
        return datetime_of(int(self.time, 16))

    def as_text(self) -> str:
        """The cursor as a page's `after`."""
        return urlsafe_b64encode(" ".join(self).encode()).decode().rstrip("=")


TOP: Final = PageCursor("~", "f" * 32)
"""Before the newest message or activity."""
BOTTOM: Final = PageCursor("", "0" * 32)
"""After the oldest one."""


def parse_cursor(after: str | None, pattern: re.Pattern[str]) -> PageCursor | None:
    """The cursor that a page's `after` holds; None for the first page.

    pattern: what cursors of the list look like.

    Raises:
        InvalidRequest: it is not the `after` of such a page.
    """
    if after is None:
        return None
    try:
        text = urlsafe_b64decode(after.encode() + b"=" * (-len(after) % 4)).decode("ascii")
    except ValueError:
        text = ""
    if (found := pattern.fullmatch(text)) is None:
        raise InvalidRequest([Problem("after", "must be the `after` of a page")])
    return PageCursor(*found.groups())
