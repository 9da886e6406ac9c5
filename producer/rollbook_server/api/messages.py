"""Messages: read them, and record engagement, one by one, in batches, or all of a channel at once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NotRequired

from typing_extensions import TypedDict

from rollbook import Engagement, Message
from rollbook.commands import WriteOptions
from rollbook.errors import InvalidRequest
from rollbook_server.access.permissions import Permission
from rollbook_server.api.bulk import BulkOperationBody, operation_answer, operation_as_json, operation_id
from rollbook_server.api.bulk_marks import MAX_BATCH, engagement_filter, mark_selection, matching_messages
from rollbook_server.api.message_filters import FILTER_PARAMETERS, filter_of
from rollbook_server.api.message_shapes import (
    ActivityPage,
    MessageBody,
    MessageContentBody,
    MessagePage,
    activity_as_json,
    message_as_json,
    message_content_as_json,
)
from rollbook_server.api.paging import PAGE_PARAMETERS, page_size
from rollbook_server.api.shapes import PageInfo, page_info_as_json
from rollbook_server.call import Call
from rollbook_server.http.answers import Answer
from rollbook_server.http.errors import ApiError, invalid, not_found
from rollbook_server.routes import ApiRoute, Parameter
from rollbook_server.writes import Handle, SentWrite, write
from rollbook_shared.errors import Problem

_SET: Final[dict[str, Engagement]] = {
    "seen": "seen",
    "read": "read",
    "archived": "archived",
    "archive": "archived",
    "interacted": "interacted",
}
_CLEARED: Final[dict[str, Engagement]] = {
    "seen": "unseen",
    "unseen": "unseen",
    "read": "unread",
    "unread": "unread",
    "archived": "unarchived",
    "unarchived": "unarchived",
    "unarchive": "unarchived",
}
_ANY: Final[dict[str, Engagement]] = {**_CLEARED, **_SET}
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class BatchBody(TypedDict):
    """The ids of messages. `metadata` is accepted and not kept."""

    message_ids: list[str]
    metadata: NotRequired[dict[str, Any]]


class EmptyPage(TypedDict):
    """A page without items."""

    items: list[Any]
    page_info: PageInfo


class InteractionBody(TypedDict):
    """What happened. `metadata` is accepted and not kept."""

    metadata: NotRequired[dict[str, Any]]


class BulkMarkBody(TypedDict, total=False):
    """Whose messages of the channel to mark, and which of them; by default all."""

    user_ids: list[str]
    recipient_ids: list[str]
    engagement_status: str
    archived: str
    has_tenant: bool
    tenants: list[str]
    workflows: list[str]
    trigger_data: str
    newer_than: str
    older_than: str
    delivery_status: str


async def get(call: Call) -> Answer:
    """Read one message."""
    return Answer(body=_as_json(call, await _message(call)))


async def list_of_user(call: Call) -> Answer:
    """List the messages of a user, newest first."""
    size = page_size(call)
    registry = call.services.registry.current
    channel = call.query.text("channel_id")
    wanted = call.query.texts("engagement_status")
    engagement = engagement_filter(", ".join(wanted) or None)  # several are none of the choices
    page = await call.services.client.messages.list(
        call.path["user_id"],
        limit=size,
        after=call.query.text("after"),
        before=call.query.text("before"),
        channel=None if channel is None else registry.channel_type(channel),
        status=engagement.status,
        archived=engagement.archived,
        where=filter_of(call.query),
    )
    info = page_info_as_json(after=page.after, before=page.items[0].cursor if page.items else None, size=size)
    return Answer(body={"items": [_as_json(call, message) for message in page.items], "page_info": info})


async def get_content(call: Call) -> Answer:
    """Read what the template of a feed's message makes of it now.

    What left by e-mail or another channel was rendered by its sender, and is not kept: 404.
    """
    message = await _message(call)
    channel = call.services.registry.current.message_channel(message.workflow, message.channel)
    if not channel.is_read:
        raise ApiError(404, "not_supported", "Rollbook keeps no content of messages that leave")
    contents = await call.services.contents.of([message])
    return Answer(body=message_content_as_json(message, contents.get(message.id)))


async def list_activities(call: Call) -> Answer:
    """List the activities of a message: always one, as messages are not batched."""
    items = [activity_as_json(await _message(call))]
    return Answer(body={"items": items, "page_info": page_info_as_json(after=None, before=None, size=page_size(call))})


async def list_events(call: Call) -> Answer:
    """List the events of a message, which Rollbook does not keep: an empty page."""
    return await _nothing(call)


async def list_delivery_logs(call: Call) -> Answer:
    """List the requests to providers, which Rollbook does not keep: an empty page."""
    return await _nothing(call)


async def _nothing(call: Call) -> Answer:
    await _message(call)
    return Answer(body={"items": [], "page_info": page_info_as_json(after=None, before=None, size=page_size(call))})


async def mark(call: Call) -> Answer:
    """Mark a message as seen, read, archived or interacted."""
    return await _mark(call, _SET)


async def unmark(call: Call) -> Answer:
    """Take back that a message was seen, read or archived."""
    return await _mark(call, _CLEARED)


async def mark_batch(call: Call) -> Answer:
    """Mark up to 1,000 messages. Ids of no message are left out of the answer."""
    engagement = _engagement(call, _ANY)
    ids = [each for each in dict.fromkeys(call.body["message_ids"]) if _UUID.fullmatch(each)]
    if len(call.body["message_ids"]) > MAX_BATCH:
        raise invalid([Problem("message_ids", f"must be at most {MAX_BATCH}")])
    if not ids:
        return Answer(body=[])
    written = await _send(call, ids, engagement)
    found = await call.services.client.messages.get_many(ids)
    return written.answer([_as_json(call, message) for message in found if _may_see(call, message)])


async def mark_all(call: Call) -> Answer:
    """Mark all messages that users have on a channel, or those that match.

    Without a filter this is one small job for each user, however many messages there are.
    """
    engagement = _engagement(call, _ANY)
    user_ids = list(dict.fromkeys(call.body.get("user_ids") or call.body.get("recipient_ids") or ()))
    if not user_ids:
        raise invalid([Problem("user_ids", "is required")])
    if call.caller.user_id is not None and user_ids != [call.caller.user_id]:
        raise ApiError(403, "invalid_user_token", "the user token is another user's")
    channel = call.services.registry.current.channel_type(call.path["channel_id"])
    selection = mark_selection(call.body)
    make_id = operation_id("bulk_mark", len(user_ids))
    messages = call.services.client.messages
    written: SentWrite | None = None
    for user_id in user_ids:
        if selection.is_everything:

            def send(options: WriteOptions, user_id: str = user_id) -> Awaitable[Handle]:
                return messages.mark_all(user_id, engagement, channel=channel, **options)

            written = await write(call, send, job_id=make_id, part=user_id)
            continue
        for ids in await matching_messages(call, user_id, channel, selection):
            part = f"{user_id} {sha256(' '.join(ids).encode()).hexdigest()}"
            written = await _send(call, ids, engagement, user_id=user_id, job_id=make_id, part=part)
    if written is None:  # nothing matched
        now = datetime.now(UTC)
        written = SentWrite(job_id=make_id(None, now), occurred_at=now, is_replay=False, status=None)
        return Answer(body={**operation_as_json(written, ()), "status": "completed"})
    return operation_answer(written, user_ids)


async def _mark(call: Call, engagements: Mapping[str, Engagement]) -> Answer:
    engagement = _engagement(call, engagements)
    before = await _message(call)
    written = await _send(call, [before.id], engagement)
    return written.answer(_as_json(call, await _message(call)))


def _send(
    call: Call,
    ids: Sequence[str],
    engagement: Engagement,
    *,
    user_id: str | None = None,
    job_id: Callable[[str | None, datetime], str] | None = None,
    part: str = "",
) -> Awaitable[SentWrite]:
    """Mark the messages, for a browser only those of its user."""
    scope = call.caller.user_id or user_id
    return write(
        call,
        lambda options: call.services.client.messages.mark(ids, engagement, user_id=scope, **options),
        job_id=job_id,
        part=part,
    )


async def _message(call: Call) -> Message:
    """The message in the path.

    Raises:
        ApiError: 404, there is none, or it is not the caller's.
    """
    try:
        message = await call.services.client.messages.get(call.path["message_id"])
    except InvalidRequest:
        message = None
    if message is None or not _may_see(call, message):
        raise not_found("the message was not found")
    return message


def _may_see(call: Call, message: Message) -> bool:
    return call.caller.user_id in (None, message.recipient)


def _engagement(call: Call, engagements: Mapping[str, Engagement]) -> Engagement:
    engagement = engagements.get(call.path["engagement"])
    if engagement is None:
        raise not_found("there is no such engagement")
    return engagement


def _as_json(call: Call, message: Message) -> dict[str, Any]:
    return message_as_json(message, call.services.registry.current)


_PATH: Final = "/v1/messages/{message_id}"

ENDPOINTS: Final = (
    ApiRoute(
        method="GET",
        path="/v1/users/{user_id}/messages",
        handler=list_of_user,
        answer=MessagePage,
        query=(
            *PAGE_PARAMETERS,
            Parameter("channel_id", "Messages on this channel.", {"type": "string"}),
            Parameter(
                "engagement_status[]", "Messages with this engagement.", {"type": "array", "items": {"type": "string"}}
            ),
            Parameter("workflow_run_id", "Messages of this trigger.", {"type": "string"}),
            *FILTER_PARAMETERS,
        ),
        tag="Messages",
    ),
    ApiRoute(
        method="POST",
        path="/v1/messages/batch/{engagement}",
        handler=mark_batch,
        permission=Permission.FEED_WRITE,
        body=BatchBody,
        answer=list[MessageBody],
        writes=True,
        tag="Messages",
    ),
    ApiRoute(
        method="POST",
        path="/v1/channels/{channel_id}/messages/bulk/{engagement}",
        handler=mark_all,
        permission=Permission.FEED_WRITE,
        body=BulkMarkBody,
        answer=BulkOperationBody,
        writes=True,
        tag="Messages",
    ),
    ApiRoute(method="GET", path=_PATH, handler=get, answer=MessageBody, tag="Messages"),
    ApiRoute(method="GET", path=_PATH + "/content", handler=get_content, answer=MessageContentBody, tag="Messages"),
    ApiRoute(
        method="GET",
        path=_PATH + "/activities",
        handler=list_activities,
        answer=ActivityPage,
        query=PAGE_PARAMETERS,
        tag="Messages",
    ),
    ApiRoute(
        method="GET",
        path=_PATH + "/events",
        handler=list_events,
        answer=EmptyPage,
        query=PAGE_PARAMETERS,
        tag="Messages",
    ),
    ApiRoute(
        method="GET",
        path=_PATH + "/delivery_logs",
        handler=list_delivery_logs,
        answer=EmptyPage,
        query=PAGE_PARAMETERS,
        tag="Messages",
    ),
    ApiRoute(
        method="PUT",
        path=_PATH + "/{engagement}",
        handler=mark,
        permission=Permission.FEED_WRITE,
        body=InteractionBody,
        answer=MessageBody,
        writes=True,
        tag="Messages",
    ),
    ApiRoute(
        method="DELETE",
        path=_PATH + "/{engagement}",
        handler=unmark,
        permission=Permission.FEED_WRITE,
        answer=MessageBody,
        writes=True,
        tag="Messages",
    ),
)
