"""Which messages of a user one page is to hold, as parameters of the statement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rollbook.queries.message_filter import MessageFilter
from rollbook.queries.page_cursor import BOTTOM, PageCursor
from rollbook_shared.domain.stamps import INFINITY, microseconds, stamp_floor

if TYPE_CHECKING:
    from rollbook.models import ArchivedFilter, FeedStatus

_STATUSES: Final[Mapping[FeedStatus | None, tuple[str, ArchivedFilter]]] = {
    None: ("all", "include"),
    "all": ("all", "exclude"),
    "unseen": ("unseen", "exclude"),
    "seen": ("seen", "exclude"),
    "unread": ("unread", "exclude"),
    "read": ("read", "exclude"),
    "archived": ("all", "only"),
}
"""What each status means: which engagement, and whether archived messages are meant, unless the caller says it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageSelection:
    """Which messages of a user, all checked."""

    channel: str | None = None
    """None: of every channel."""
    status: FeedStatus | None = None
    """None: all of them, archived or not."""
    archived: ArchivedFilter | None = None
    """None: as the status says."""
    where: MessageFilter = field(default_factory=MessageFilter)
    after: PageCursor | None = None
    before: PageCursor | None = None

    def parameters(self) -> dict[str, object]:
        """The statement's parameters but the page's size, its user and `after`."""
        where, (status, archived) = self.where, _STATUSES[self.status]
        newer_than = self.before or BOTTOM
        causes = {
            "job_id": where.job_id,
            "workflow": where.workflow,
            "categories": list(where.categories) or None,
            "tenant": where.tenant,
            "has_tenant": where.has_tenant,
            "data": None if where.data is None else json.dumps(where.data),
        }
        return {
            **causes,
            "asks_of_trigger": any(value is not None for value in causes.values()),
            "since": "" if where.since is None else stamp_floor(microseconds(where.since)),
            "until": INFINITY if where.until is None else stamp_floor(microseconds(where.until)),
            "channel": self.channel,
            "status": status,
            "archived": self.archived or archived,
            "newer_than_stamp": newer_than.time,
            "newer_than_id": newer_than.id,
        }
