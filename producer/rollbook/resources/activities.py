"""Activities: which triggers concerned a user, and which the user caused."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from rollbook import models, queries

if TYPE_CHECKING:
    from rollbook.models import Activity, ActivityRole, Page
    from rollbook.resources.context import ClientContext


class Activities:
    """Read activities. Needs the database, and no broker."""

    def __init__(self, context: ClientContext) -> None:
        self._context = context

    def list(
        self, user_id: str, *, limit: int = 50, after: str | None = None, role: ActivityRole = "recipient"
    ) -> Page[Activity]:
        """Read a page of a user's activities, newest first. An unknown id and a merged-away id have none.

        Activities do not depend on the recipient's preferences, which only decide about messages.

        limit: 1 to 1,000 activities.
        after: the `after` of the previous page.
        role: `recipient`: triggers that concerned the user. `actor`: triggers that the user caused, one activity for
            each recipient that still exists.

        Raises:
            InvalidRequest: an argument is invalid; the problem names it.
            NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
                (`rollbook migrate`), or the role in the URL may not read them.
            Unavailable: the database does not answer.
        """
        user_id = queries.checked_user_id(user_id)
        queries.check_page(limit, after)
        queries.check_choice("role", role, get_args(models.ActivityRole))
        cursor = queries.parse_cursor(after, queries.HISTORY)
        return self._context.read(queries.find_activities(user_id, role, limit, cursor))
