"""Where a page of messages or activities ended: the stamp and id of its last item, as text that says nothing.

The next page holds what is older. So what arrives meanwhile shifts no page, however late it is delivered: newer items
are before the first page, older ones are where their stamp puts them.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple
from uuid import UUID

from rollbook_shared.domain.stamps import JOB_ID, Stamp
from rollbook_shared.errors import InvalidRequest, Problem

_TEXT: Final = re.compile(rf"(?P<stamp>[0-9a-f]{{14}}{JOB_ID.pattern}![0-9a-f]{{4}}) (?P<id>[0-9a-f]{{32}})")


class Cursor(NamedTuple):
    """A place in a list that is sorted by stamp and id, newest first."""

    stamp: Stamp
    id: UUID

    def as_text(self) -> str:
        """The place as a page's `after`; `cursor_of` reads it."""
        return urlsafe_b64encode(f"{self.stamp} {self.id.hex}".encode()).decode().rstrip("=")


TOP: Final = Cursor(Stamp("~"), UUID(int=(1 << 128) - 1))
"""Before the newest item."""


def cursor_of(after: str | None) -> Cursor:
    """The place that a page's `after` names; the top for None.

    Raises:
        InvalidRequest: it is not the `after` of such a page.
    """
    if after is None:
        return TOP
    try:
        found = _TEXT.fullmatch(urlsafe_b64decode(after.encode() + b"=" * (-len(after) % 4)).decode("ascii"))
    except ValueError:
        found = None
    if found is None:
        raise InvalidRequest([Problem("after", "must be the `after` of a page")])
    return Cursor(Stamp(found["stamp"]), UUID(found["id"]))
