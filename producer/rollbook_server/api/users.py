"""Users: identify, read, list, delete, merge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from rollbook.errors import UserNotFound
from rollbook_server.access.permissions import Permission
from rollbook_server.api.inline_traits import convert_traits
from rollbook_server.api.paging import PAGE_PARAMETERS, page_size
from rollbook_server.api.shapes import UserBody, UserPage, page_info_as_json, sent_user_as_json, user_as_json
from rollbook_server.call import Call
from rollbook_server.http.answers import Answer
from rollbook_server.routes import ApiRoute, Parameter
from rollbook_server.writes import SentWrite, write

_ALL: Final = "*"
_EXTENDED: Final[Mapping[str, Permission]] = {
    "preferences": Permission.PREFERENCES_WRITE,
    "channel_data": Permission.CHANNEL_DATA_WRITE,
}
"""What a user's token must permit beside `users/write`, for these keys of an identify."""


class Traits(TypedDict, total=False):
    """Attributes and properties of a user. Every other key is a property with any JSON value."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    email: str | None
    name: str | None
    avatar: str | None
    phone_number: str | None
    locale: str | None
    timezone: str | None
    created_at: str | None
    preferences: dict[str, Any]
    channel_data: dict[str, Any]


class MergeBody(TypedDict):
    """Which user becomes part of the one in the path."""

    from_user_id: str
    keep_opt_outs: NotRequired[bool]
    merge_tokens: NotRequired[bool]


async def identify(call: Call) -> Answer:
    """Create a user or update it.

    Each key that is sent replaces the stored value whole; other keys stay.
    """
    user_id, traits = call.path["user_id"], convert_traits(_permitted(call, call.body))
    written = await write(call, lambda options: call.services.client.users.identify(user_id, traits, **options))
    return await _user_answer(call, written, user_id, traits)


async def get(call: Call) -> Answer:
    """Read a user.

    For an id that was merged away the answer is 404 with the primary's id in `merged_into`.
    """
    return Answer(body=user_as_json(await call.services.client.users.get(call.path["user_id"])))


async def list_users(call: Call) -> Answer:
    """List users by their ids."""
    size = page_size(call)
    descending = call.query.choice("order", ("asc", "desc"), "asc") == "desc"
    page = await call.services.client.users.list(
        limit=size,
        after=call.query.text("after"),
        before=call.query.text("before"),
        sort="-id" if descending else "id",
    )
    info = page_info_as_json(after=page.after, before=page.before, size=size)
    return Answer(body={"entries": [user_as_json(user) for user in page.items], "page_info": info})


async def delete(call: Call) -> Answer:
    """Delete a user. Deleting an unknown user is no error."""
    user_id = call.path["user_id"]
    written = await write(call, lambda options: call.services.client.users.delete(user_id, **options))
    return written.empty_answer()


async def merge(call: Call) -> Answer:
    """Make another user part of this one: what it has and this one lacks goes over, with 30 days of messages."""
    user_id = call.path["user_id"]
    written = await write(
        call,
        lambda options: call.services.client.users.merge(
            user_id,
            call.body["from_user_id"],
            keep_opt_outs=call.body.get("keep_opt_outs", False),
            merge_tokens=call.body.get("merge_tokens", False),
            **options,
        ),
    )
    return await _user_answer(call, written, user_id, {})


async def _user_answer(call: Call, written: SentWrite, user_id: str, traits: Mapping[str, Any]) -> Answer:
    """The stored user if the write is applied; otherwise what the request sent."""
    sent = sent_user_as_json(user_id, traits, written.occurred_at)
    if not written.is_applied:
        return written.answer(sent)
    try:
        return written.answer(user_as_json(await call.services.client.users.get(user_id)))
    except UserNotFound as error:  # merged away, or deleted since
        return Answer(body={**sent, "merged_into": error.merged_into}, status=202, headers=written.headers())


def _permitted(call: Call, traits: Mapping[str, Any]) -> dict[str, Any]:
    """The traits that the caller may write. A page of a browser that is out of date must not fail, so others are left
    out.
    """
    if call.caller.user_id is None:
        return dict(traits)
    allowed = call.services.settings.browser_traits
    return {
        name: value
        for name, value in traits.items()
        if (_EXTENDED[name] in call.caller.permissions if name in _EXTENDED else _ALL in allowed or name in allowed)
    }


ENDPOINTS: Final = (
    ApiRoute(
        method="PUT",
        path="/v1/users/{user_id}",
        handler=identify,
        permission=Permission.USER_WRITE,
        body=Traits,
        answer=UserBody,
        writes=True,
        tag="Users",
    ),
    ApiRoute(
        method="GET",
        path="/v1/users/{user_id}",
        handler=get,
        permission=Permission.USER_READ,
        answer=UserBody,
        tag="Users",
    ),
    ApiRoute(
        method="GET",
        path="/v1/users",
        handler=list_users,
        answer=UserPage,
        query=(
            *PAGE_PARAMETERS,
            Parameter("order", "By id, ascending or descending.", {"type": "string", "enum": ["asc", "desc"]}),
        ),
        tag="Users",
    ),
    ApiRoute(method="DELETE", path="/v1/users/{user_id}", handler=delete, writes=True, tag="Users"),
    ApiRoute(
        method="POST",
        path="/v1/users/{user_id}/merge",
        handler=merge,
        body=MergeBody,
        answer=UserBody,
        writes=True,
        tag="Users",
    ),
)
