"""Feeds: pages with counts, and the settings that the official browser client asks for."""

from __future__ import annotations

from typing import Any, Final, get_args

from typing_extensions import TypedDict

from rollbook import ArchivedFilter
from rollbook_server.access.permissions import Permission
from rollbook_server.api.message_filters import FILTER_PARAMETERS, filter_of
from rollbook_server.api.message_shapes import FeedPage, feed_as_json
from rollbook_server.api.paging import PAGE_PARAMETERS, page_size
from rollbook_server.call import Call
from rollbook_server.http.answers import Answer
from rollbook_server.routes import ApiRoute, Parameter

_STATUSES: Final = ("all", "unseen", "seen", "unread", "read")
_PATH: Final = "/v1/users/{user_id}/feeds/{channel_id}"


class FeedFeatures(TypedDict):
    """What a feed's page must show."""

    branding_required: bool


class FeedSettings(TypedDict):
    """The settings of a feed."""

    features: FeedFeatures


async def list_items(call: Call) -> Answer:
    """Read a page of a user's feed, newest first, with the counts of the whole feed.

    The feed of an unknown user is empty. `before` is the `__cursor` of an item: only newer items.
    """
    size = page_size(call)
    status: Any = call.query.choice("status", _STATUSES, "all")
    archived: Any = call.query.choice("archived", get_args(ArchivedFilter), "exclude")
    feed = await call.services.client.feeds.list(
        call.path["user_id"],
        status=status,
        archived=archived,
        limit=size,
        after=call.query.text("after"),
        before=call.query.text("before"),
        channel=call.services.registry.current.channel_type(call.path["channel_id"]),
        where=filter_of(call.query),
    )
    contents = await call.services.contents.of(feed.items)
    compact = call.query.choice("mode", ("rich", "compact"), "rich") == "compact"
    return Answer(body=feed_as_json(feed, contents, size=size, compact=compact))


async def get_settings(call: Call) -> Answer:
    """Read the settings of a feed, which are always the same."""
    return Answer(
        body={"features": {"branding_required": False}},
        headers={"cache-control": "private, max-age=3600"},
    )


ENDPOINTS: Final = (
    ApiRoute(
        method="GET",
        path=_PATH,
        handler=list_items,
        permission=Permission.FEED_READ,
        answer=FeedPage,
        query=(
            *PAGE_PARAMETERS,
            Parameter("status", "Which items.", {"type": "string", "enum": list(_STATUSES)}),
            Parameter(
                "archived", "Whether archived items.", {"type": "string", "enum": list(get_args(ArchivedFilter))}
            ),
            Parameter("mode", "`compact`: without activities.", {"type": "string", "enum": ["rich", "compact"]}),
            *FILTER_PARAMETERS,
        ),
        tag="Feeds",
    ),
    ApiRoute(
        method="GET",
        path=_PATH + "/settings",
        handler=get_settings,
        permission=Permission.FEED_READ,
        answer=FeedSettings,
        tag="Feeds",
    ),
)
