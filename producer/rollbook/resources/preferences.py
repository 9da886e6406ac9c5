"""The preference sets of users: what they want to hear of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from rollbook.commands import WriteOptions, as_list, plain
from rollbook.queries.validation import checked_user_id
from rollbook.resources.context import ClientContext
from rollbook.resources.jobs import JobHandle
from rollbook_shared import jobs
from rollbook_shared.errors import Problem
from rollbook_shared.jobs.limits import HARD_BULK_USERS


class PreferenceCalls:
    """The part of `Users` that is about preferences."""

    def __init__(self, context: ClientContext) -> None:
        self._context = context

    @property
    def _bulk_limit(self) -> int:
        return min(self._context.limits.bulk_users, HARD_BULK_USERS)

    def set_preferences(
        self,
        user_id: str,
        set_id: str,
        settings: Mapping[str, Any],
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Replace one preference set of a user, `default` or a tenant's; an unknown user is created.

            rb.users.set_preferences("ann", "default", {
                "workflows": {"digest": False, "comment": {"channel_types": {"sms": False}}},
                "categories": {"marketing": False},
                "channel_types": {"email": True},
            })

        A message is made only if every setting that applies to it is true or absent.

        set_id: `default`, or the id of a tenant: 1 to 256 characters.
        settings: `workflows` and `categories` (each key to a bool or `{"channel_types": {...}}`), `channel_types`
            (each to a bool); at most 256 KiB as JSON.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        return self._context.send(
            jobs.SetPreferences, [], options, user_id=user_id, set_id=set_id, settings=plain(settings)
        )

    def unset_preferences(self, user_id: str, set_id: str, **options: Unpack[WriteOptions]) -> JobHandle:
        """Take one preference set from a user; an unknown user stays unknown.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        return self._context.send(jobs.UnsetPreferences, [], options, user_id=user_id, set_id=set_id)

    def bulk_set_preferences(
        self,
        user_ids: Iterable[str],
        set_id: str,
        settings: Mapping[str, Any],
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Replace one preference set of 1 to 100 users (see `Limits`) in one job, each as `set_preferences` would.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        found: list[Problem] = []
        given = as_list(found, user_ids, "user_ids", limit=self._bulk_limit, what="user ids")
        return self._context.send(
            jobs.BulkSetPreferences,
            found,
            options,
            user_ids=given,
            set_id=set_id,
            settings=plain(settings),
        )

    def get_preferences(self, user_id: str, set_id: str = "default") -> dict[str, Any] | None:
        """Read one preference set of a user; None when it has no such set.

        Raises:
            UserNotFound: nobody has this id now; `merged_into` names the user that a merged-away id stands for.
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        return self.list_preferences(user_id).get(set_id)

    def list_preferences(self, user_id: str) -> dict[str, dict[str, Any]]:
        """Read all preference sets of a user, by set id, each as it was set.

        Raises:
            UserNotFound: nobody has this id now; `merged_into` names the user that a merged-away id stands for.
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        user_id = checked_user_id(user_id)
        return self._context.reader().preferences(user_id)
