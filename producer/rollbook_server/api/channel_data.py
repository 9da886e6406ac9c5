"""Channel data of users: push tokens and the like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from typing_extensions import TypedDict

from rollbook.errors import UserNotFound
from rollbook_server.access.permissions import Permission
from rollbook_server.api.push_devices import devices_as_tokens
from rollbook_server.call import Call
from rollbook_server.http.answers import Answer
from rollbook_server.http.errors import invalid, not_found
from rollbook_server.routes import ApiRoute
from rollbook_server.writes import write
from rollbook_shared.errors import Problem

ChannelDataBody = TypedDict(
    "ChannelDataBody",
    {"__typename": Literal["ChannelData"], "channel_id": str, "data": dict[str, Any], "provider": str | None},
)
"""What reaches a user on one channel. Push channels have `tokens` and, of each, its `devices` entry."""


class ChannelDataRequest(TypedDict):
    """`{"tokens": [...]}` or `{"devices": [...]}` for push, `{"connections": [...]}` for chat; others as they are."""

    data: dict[str, Any]


async def get(call: Call) -> Answer:
    """Read the data of one channel of a user; 404 if there is none."""
    user_id, channel_id = call.path["user_id"], call.path["channel_id"]
    data = await call.services.client.users.get_channel_data(user_id, channel_id)
    if data is None:
        raise not_found("the user has no data for this channel")
    return Answer(body=_as_json(call, data))


async def set_data(call: Call) -> Answer:
    """Replace the data of one channel of a user."""
    user_id, channel_id = call.path["user_id"], call.path["channel_id"]
    problems: list[Problem] = []
    data = devices_as_tokens(call.body["data"], "data", problems)
    if problems:
        raise invalid(problems)
    written = await write(
        call, lambda options: call.services.client.users.set_channel_data(user_id, channel_id, data, **options)
    )
    if not written.is_applied:
        return written.answer(_as_json(call, data))
    try:
        stored = await call.services.client.users.get_channel_data(user_id, channel_id)
    except UserNotFound:
        stored = None
    return written.answer(_as_json(call, data if stored is None else stored))


async def unset(call: Call) -> Answer:
    """Remove the data of one channel of a user."""
    user_id, channel_id = call.path["user_id"], call.path["channel_id"]
    written = await write(
        call, lambda options: call.services.client.users.unset_channel_data(user_id, channel_id, **options)
    )
    return written.empty_answer()


def _as_json(call: Call, data: Mapping[str, Any]) -> dict[str, Any]:
    channel_id = call.path["channel_id"]
    body = dict(data)
    if isinstance(tokens := body.get("tokens"), list) and "devices" not in body:
        body["devices"] = [{"token": token, "locale": None, "timezone": None} for token in tokens]
    channel = call.services.registry.current.channels.get(channel_id)
    provider = None if channel is None or channel.provider is None else f"{channel.type}_{channel.provider}"
    return {"__typename": "ChannelData", "channel_id": channel_id, "data": body, "provider": provider}


_PATH: Final = "/v1/users/{user_id}/channel_data/{channel_id}"

ENDPOINTS: Final = (
    ApiRoute(
        method="GET",
        path=_PATH,
        handler=get,
        permission=Permission.CHANNEL_DATA_READ,
        answer=ChannelDataBody,
        tag="Channel data",
    ),
    ApiRoute(
        method="PUT",
        path=_PATH,
        handler=set_data,
        permission=Permission.CHANNEL_DATA_WRITE,
        body=ChannelDataRequest,
        answer=ChannelDataBody,
        writes=True,
        tag="Channel data",
    ),
    ApiRoute(
        method="DELETE",
        path=_PATH,
        handler=unset,
        permission=Permission.CHANNEL_DATA_WRITE,
        writes=True,
        tag="Channel data",
    ),
)
