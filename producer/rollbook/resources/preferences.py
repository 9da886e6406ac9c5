"""The preference sets of users: which notifications they want."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from rollbook import commands, queries

if TYPE_CHECKING:
    from rollbook.commands import WriteOptions
    from rollbook.resources.context import ClientContext
    from rollbook.resources.jobs import JobHandle


class UserPreferences:
    """The methods of `Users` for preferences."""

    def __init__(self, context: ClientContext) -> None:
        self._context = context

    def set_preferences(
        self,
        user_id: str,
        set_id: str,
        settings: Mapping[str, Any],
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Replace one preference set of a user, `default` or a tenant's. An unknown user is created.

            rb.users.set_preferences("ann", "default", {
                "workflows": {"digest": False, "comment": {"channel_types": {"sms": False}}},
                "categories": {"marketing": False},
                "channel_types": {"email": True},
            })

        A message is made only if every setting that applies to it is true or absent.

        set_id: `default` or the id of a tenant, 1 to 256 characters.
        settings: `workflows` and `categories` (each key to a bool or to `{"channel_types": {...}}`), and
            `channel_types` (each key to a bool); at most 256 KiB as JSON.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        job = commands.set_preferences(
            user_id, set_id, settings, limits=self._context.limits, now=self._context.now(), **options
        )
        return self._context.publish(job)

    def update_preferences(
        self,
        user_id: str,
        set_id: str,
        changes: Mapping[str, Any],
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Change keys of one preference set of a user, and leave the others as they are. An unknown user is created.

            rb.users.update_preferences("ann", "default", {
                "workflows": {"digest": False},
                "channel_types": {"sms": None},
            })

        Each workflow, category and channel type is a value of its own with its own time. Two changes of different keys
        both hold, also if two processes send them at once; of two changes of one key the later holds. A
        `set_preferences` replaces all keys that are older than it, and none that are newer, in whatever order they
        arrive.

        set_id: `default` or the id of a tenant, 1 to 256 characters.
        changes: as the settings of `set_preferences`, with the changed keys only. None removes a key; the setting of a
            workflow or category with `channel_types` is one value, and replaced whole.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        job = commands.update_preferences(
            user_id, set_id, changes, limits=self._context.limits, now=self._context.now(), **options
        )
        return self._context.publish(job)

    def unset_preferences(self, user_id: str, set_id: str, **options: Unpack[WriteOptions]) -> JobHandle:
        """Remove one preference set of a user. An unknown user stays unknown.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        job = commands.unset_preferences(
            user_id, set_id, limits=self._context.limits, now=self._context.now(), **options
        )
        return self._context.publish(job)

    def bulk_set_preferences(
        self,
        user_ids: Iterable[str],
        set_id: str,
        settings: Mapping[str, Any],
        **options: Unpack[WriteOptions],
    ) -> JobHandle:
        """Replace one preference set of 1 to 100 users (see `Limits`) in one job, each as `set_preferences` does.

        Raises:
            InvalidRequest, NotConfigured, NotSent: see `Users`.
        """
        job = commands.bulk_set_preferences(
            user_ids, set_id, settings, limits=self._context.limits, now=self._context.now(), **options
        )
        return self._context.publish(job)

    def get_preferences(self, user_id: str, set_id: str = "default") -> dict[str, Any] | None:
        """Read one preference set of a user; None if the user has no such set.

        Raises:
            UserNotFound: no user has this id. If it was merged away, `merged_into` is the primary's id.
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        return self._context.read(queries.find_preference_set(queries.checked_user_id(user_id), set_id))

    def list_preferences(self, user_id: str) -> dict[str, dict[str, Any]]:
        """Read all preference sets of a user, by set id, each as it was set.

        Raises:
            UserNotFound: no user has this id. If it was merged away, `merged_into` is the primary's id.
            InvalidRequest, NotConfigured, Unavailable: see `Users`.
        """
        return self._context.read(queries.find_preferences(queries.checked_user_id(user_id)))
