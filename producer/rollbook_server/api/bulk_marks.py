"""Which messages of a channel one bulk call marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from rollbook import ArchivedFilter, FeedStatus, MessageFilter
from rollbook_server.api.message_filters import trigger_data
from rollbook_server.call import Call
from rollbook_server.http.errors import invalid
from rollbook_server.http.times import parse_time
from rollbook_shared.errors import Problem

MAX_BATCH: Final = 1_000
"""Messages that one job marks."""
_MAX_MARKED: Final = 10_000
"""Messages of one user that one filtered call marks."""
_STATUSES: Final[tuple[FeedStatus, ...]] = ("seen", "unseen", "read", "unread")
_ARCHIVED: Final[Mapping[str, ArchivedFilter]] = {"archived": "only", "unarchived": "exclude"}


@dataclass(frozen=True, kw_only=True, slots=True)
class EngagementFilter:
    """Which engagement messages have, in Rollbook's two words for it."""

    status: FeedStatus = "all"
    archived: ArchivedFilter = "include"


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkSelection:
    """Which messages to mark: those that match one of the filters."""

    filters: tuple[MessageFilter, ...]
    engagement: EngagementFilter

    @property
    def is_everything(self) -> bool:
        """Whether no message is left out."""
        return self == MarkSelection(filters=(MessageFilter(),), engagement=EngagementFilter())


def engagement_filter(engagement_status: str | None, *, archived: ArchivedFilter = "include") -> EngagementFilter:
    """The filter for Knock's `engagement_status`.

    archived: whether archived messages are meant, where the status does not say it.

    Raises:
        ApiError: 422, there is no such status.
    """
    if engagement_status is None:
        return EngagementFilter(archived=archived)
    if engagement_status in _ARCHIVED:
        return EngagementFilter(archived=_ARCHIVED[engagement_status])
    for status in _STATUSES:
        if status == engagement_status:
            return EngagementFilter(status=status, archived=archived)
    choices = ", ".join((*_STATUSES, *_ARCHIVED))
    raise invalid([Problem("engagement_status", f"must be one of {choices}")])


def mark_selection(body: Mapping[str, Any]) -> MarkSelection:
    """What the body of a bulk call selects.

    Raises:
        ApiError: 422, a filter is invalid or not supported.
    """
    if body.get("delivery_status") is not None:
        raise invalid([Problem("delivery_status", "is not supported")])
    archived = body.get("archived", "include")
    if archived not in get_args(ArchivedFilter):
        raise invalid([Problem("archived", f"must be one of {', '.join(get_args(ArchivedFilter))}")])
    status = body.get("engagement_status", "all")
    shared: dict[str, Any] = {
        "has_tenant": body.get("has_tenant"),
        "data": trigger_data(body.get("trigger_data")),
        "since": parse_time("newer_than", body.get("newer_than")),
        "until": parse_time("older_than", body.get("older_than")),
    }
    return MarkSelection(
        filters=tuple(
            MessageFilter(workflow=workflow, tenant=tenant, **shared)
            for workflow in body.get("workflows") or (None,)
            for tenant in body.get("tenants") or (None,)
        ),
        engagement=engagement_filter(None if status == "all" else status, archived=archived),
    )


async def matching_messages(call: Call, user_id: str, channel: str, selection: MarkSelection) -> list[list[str]]:
    """The ids of the user's messages that are selected, in groups for one job each."""
    ids: dict[str, None] = {}
    for where in selection.filters:
        after: str | None = None
        while len(ids) < _MAX_MARKED:
            page = await call.services.client.messages.list(
                user_id,
                limit=MAX_BATCH,
                after=after,
                channel=channel,
                status=selection.engagement.status,
                archived=selection.engagement.archived,
                where=where,
            )
            ids.update((message.id, None) for message in page.items)
            if (after := page.after) is None:
                break
    found = list(ids)[:_MAX_MARKED]
    return [found[start : start + MAX_BATCH] for start in range(0, len(found), MAX_BATCH)]
