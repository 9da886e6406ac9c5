"""Where a page of jobs ended: the time and the id of its last item, as text."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, NamedTuple

from rollbook_shared.domain.stamps import JOB_ID, datetime_of, microseconds
from rollbook_shared.errors import InvalidRequest, Problem

_TEXT: Final = re.compile(rf"(?P<at>[0-9a-f]{{14}})(?P<key>[0-9a-f]{{32}})?\.(?P<id>{JOB_ID.pattern})")


class JobCursor(NamedTuple):
    """A place in a list that is sorted by time and id (and by key, where an id comes more than once)."""

    at: datetime
    id: str
    key: str = ""

    def as_text(self) -> str:
        """The place as a page's `after`; `place_of` reads it."""
        return f"{microseconds(self.at):014x}{self.key}.{self.id}"


def place_of(after: str | None) -> JobCursor | None:
    """The place that a page's `after` names; None for the first page.

    Raises:
        InvalidRequest: it is not the `after` of such a page.
    """
    if after is None:
        return None
    found = _TEXT.fullmatch(after)
    if found is None:
        raise InvalidRequest([Problem("after", "must be the `after` of a page")])
    return JobCursor(datetime_of(int(found["at"], 16)), found["id"], found["key"] or "")
