"""The calls of `AsyncRollbook`: those of `Rollbook`, awaited. `rollbook.resources.awaited` makes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Unpack, overload

from rollbook.resources.activities import Activities
from rollbook.resources.async_jobs import AsyncJobHandle
from rollbook.resources.awaited import read, returning
from rollbook.resources.feeds import Feeds
from rollbook.resources.measurements import Measurements
from rollbook.resources.messages import Messages
from rollbook.resources.users import PAGE_USERS, Users
from rollbook.resources.workflows import Workflows

if TYPE_CHECKING:
    from rollbook.commands import WriteOptions
    from rollbook.models import MergePreview, User
    from rollbook.queries import UserSort
    from rollbook.resources.async_context import AsyncClientContext
    from rollbook.resources.jobs import JobHandle

P = ParamSpec("P")


def write(
    method: Callable[Concatenate[Any, P], JobHandle],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, AsyncJobHandle]]:
    """The method that sends a job, as a coroutine function."""
    return returning(AsyncJobHandle, method)


class _Resource:
    def __init__(self, context: AsyncClientContext) -> None:
        self._context = context


class AsyncUsers(_Resource):
    """Create, update, delete, merge and read users, their preferences and their channel data.

    The methods of `Users`, with the same arguments and errors, to be awaited.
    """

    identify = write(Users.identify)
    bulk_identify = write(Users.bulk_identify)
    delete = write(Users.delete)
    bulk_delete = write(Users.bulk_delete)
    set_preferences = write(Users.set_preferences)
    update_preferences = write(Users.update_preferences)
    unset_preferences = write(Users.unset_preferences)
    bulk_set_preferences = write(Users.bulk_set_preferences)
    set_channel_data = write(Users.set_channel_data)
    add_push_token = write(Users.add_push_token)
    remove_push_token = write(Users.remove_push_token)
    unset_channel_data = write(Users.unset_channel_data)
    get = read(Users.get)
    get_many = read(Users.get_many)
    list = read(Users.list)
    find = read(Users.find)
    count = read(Users.count)
    export = read(Users.export)
    explain = read(Users.explain)
    get_preferences = read(Users.get_preferences)
    list_preferences = read(Users.list_preferences)
    get_channel_data = read(Users.get_channel_data)

    async def all(
        self, *, where: Mapping[str, Any] | None = None, prefix: str | None = None, sort: UserSort | None = None
    ) -> AsyncIterator[User]:
        """Read all users page by page, each page as it is when the iteration reaches it; arguments as in `list`.

            async for user in rb.users.all(where={"plan": "pro"}): ...

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `list`; raised when a page is read.
        """
        after: str | None = None
        while True:
            page = await self.list(limit=PAGE_USERS, after=after, where=where, prefix=prefix, sort=sort)
            for user in page.items:
                yield user
            if (after := page.after) is None:
                return

    if TYPE_CHECKING:

        @overload
        def merge(
            self,
            user_id: str,
            from_user_id: str,
            *,
            dry_run: Literal[False] = ...,
            keep_opt_outs: bool = ...,
            merge_tokens: bool = ...,
            **options: Unpack[WriteOptions],
        ) -> Coroutine[Any, Any, AsyncJobHandle]: ...

        @overload
        def merge(
            self,
            user_id: str,
            from_user_id: str,
            *,
            dry_run: Literal[True],
            keep_opt_outs: bool = ...,
            merge_tokens: bool = ...,
            **options: Unpack[WriteOptions],
        ) -> Coroutine[Any, Any, MergePreview]: ...

        @overload
        def merge(
            self,
            user_id: str,
            from_user_id: str,
            *,
            dry_run: bool,
            keep_opt_outs: bool = ...,
            merge_tokens: bool = ...,
            **options: Unpack[WriteOptions],
        ) -> Coroutine[Any, Any, AsyncJobHandle | MergePreview]: ...

        def merge(self, *_: Any, **__: Any) -> Any: ...

    else:
        merge = read(Users.merge)  # its return type depends on an argument, which needs the overloads


class AsyncWorkflows(_Resource):
    """Trigger workflows. The methods of `Workflows`, to be awaited."""

    trigger = write(Workflows.trigger)


class AsyncFeeds(_Resource):
    """Read feeds. The methods of `Feeds`, to be awaited."""

    list = read(Feeds.list)
    user_ids = read(Feeds.user_ids)


class AsyncMessages(_Resource):
    """Read messages of every channel, and record engagement. The methods of `Messages`, to be awaited."""

    list = read(Messages.list)
    get = read(Messages.get)
    get_many = read(Messages.get_many)
    explain = read(Messages.explain)
    explain_recipient = read(Messages.explain_recipient)
    mark = write(Messages.mark)
    mark_all = write(Messages.mark_all)


class AsyncActivities(_Resource):
    """Read activities. The methods of `Activities`, to be awaited."""

    list = read(Activities.list)


class AsyncMeasurements(_Resource):
    """Read what waited and what was done in the last hour. The methods of `Measurements`, to be awaited."""

    list = read(Measurements.list)
