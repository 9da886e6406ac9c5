"""Activities: what was triggered for users, and by them."""

from __future__ import annotations

from typing import get_args

from rollbook.models import Activity, ActivityRole, Page
from rollbook.queries.cursors import cursor_of
from rollbook.queries.validation import checked_choice, checked_page, checked_user_id
from rollbook.resources.context import ClientContext


class Activities:
    """Read what was triggered for users, and by them. Needs the database, and no broker."""

    def __init__(self, context: ClientContext) -> None:
        self._context = context

    def list(
        self, user_id: str, *, limit: int = 50, after: str | None = None, role: ActivityRole = "recipient"
    ) -> Page[Activity]:
        """Read a page of a user's activities, newest first. Nobody's id, and a merged-away one, has none.

        An activity is there whatever the recipient's preferences let through as messages.

        limit: 1 to 1,000.
        after: the `after` of the page before.
        role: `recipient`, what concerned the user; `actor`, what the user caused, once for each recipient who still
            is somebody.

        Raises:
            InvalidRequest: an argument cannot be used; the problem names it.
            NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
                (`rollbook migrate`), or the URL's role may not read them.
            Unavailable: the database does not answer.
        """
        user_id = checked_user_id(user_id)
        checked_page(limit, after)
        checked_choice("role", role, get_args(ActivityRole))
        return self._context.reader().activities(user_id, role, limit, cursor_of(after))
