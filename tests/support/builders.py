"""Builders of jobs: a test names only what matters to it.

`at` counts days, `plus` adds microseconds. Where no job id is given, it is made of these and of what the job names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from rollbook_shared import jobs
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.jobs.models import Engagement

DAY: Final = 86_400_000_000
DAY_0: Final = microseconds(datetime(2026, 1, 1, tzinfo=UTC))
NOW: Final = DAY_0 + 300 * DAY
"""A time after every stamp of a test that gives no other."""


def day(at: int, plus: int = 0) -> int:
    """Microseconds since 1970 of the day `at` of the tests."""
    return DAY_0 + at * DAY + plus


def user(
    id_: str,
    *,
    preferences: Mapping[str, Any] | None = None,
    channel_data: Mapping[str, Any] | None = None,
    **traits: Any,
) -> jobs.UserUpdate:
    return jobs.UserUpdate.model_validate(
        {"id": id_, "traits": traits, "preferences": preferences or {}, "channel_data": channel_data or {}}
    )


def identify(
    id_: str,
    *,
    at: int,
    plus: int = 0,
    job: str = "",
    preferences: Mapping[str, Any] | None = None,
    channel_data: Mapping[str, Any] | None = None,
    **traits: Any,
) -> jobs.Identify:
    user_update = user(id_, preferences=preferences, channel_data=channel_data, **traits)
    return jobs.Identify(id=job or _id("identify", id_, at, plus), occurred_at=day(at, plus), user=user_update)


def bulk_identify(*users: jobs.UserUpdate, at: int, plus: int = 0, job: str = "") -> jobs.BulkIdentify:
    return jobs.BulkIdentify(
        id=job or _id("bulk-identify", users[0].id, at, plus), occurred_at=day(at, plus), users=tuple(users)
    )


def delete(id_: str, *, at: int, plus: int = 0, job: str = "") -> jobs.Delete:
    return jobs.Delete(id=job or _id("delete", id_, at, plus), occurred_at=day(at, plus), user_id=id_)


def bulk_delete(*ids: str, at: int, plus: int = 0, job: str = "") -> jobs.BulkDelete:
    return jobs.BulkDelete(id=job or _id("bulk-delete", ids[0], at, plus), occurred_at=day(at, plus), user_ids=ids)


def merge(
    primary: str,
    secondary: str,
    *,
    at: int,
    plus: int = 0,
    job: str = "",
    keep_opt_outs: bool = False,
    merge_tokens: bool = False,
) -> jobs.Merge:
    return jobs.Merge(
        id=job or _id("merge", f"{primary}-{secondary}", at, plus),
        occurred_at=day(at, plus),
        primary_id=primary,
        secondary_id=secondary,
        keep_opt_outs=keep_opt_outs,
        merge_tokens=merge_tokens,
    )


def trigger(
    workflow: str,
    recipients: Iterable[str | jobs.UserUpdate],
    *,
    at: int,
    plus: int = 0,
    job: str = "",
    actor: str | jobs.UserUpdate | None = None,
    channels: tuple[str, ...] = ("in_app",),
    tenant: str | None = None,
    categories: tuple[str, ...] = (),
) -> jobs.Trigger:
    return jobs.Trigger(
        id=job or _id("trigger", workflow, at, plus),
        occurred_at=day(at, plus),
        workflow=workflow,
        recipients=tuple(recipients),
        actor=actor,
        channels=channels,
        tenant=tenant,
        categories=categories,
    )


def set_preferences(
    id_: str, set_id: str, settings: Mapping[str, Any], *, at: int, plus: int = 0, job: str = ""
) -> jobs.SetPreferences:
    return jobs.SetPreferences.model_validate(
        {
            "id": job or _id("set-preferences", f"{id_}-{set_id}", at, plus),
            "occurred_at": day(at, plus),
            "user_id": id_,
            "set_id": set_id,
            "settings": settings,
        }
    )


def bulk_set_preferences(
    ids: Iterable[str], set_id: str, settings: Mapping[str, Any], *, at: int, plus: int = 0, job: str = ""
) -> jobs.BulkSetPreferences:
    return jobs.BulkSetPreferences.model_validate(
        {
            "id": job or _id("bulk-set-preferences", set_id, at, plus),
            "occurred_at": day(at, plus),
            "user_ids": tuple(ids),
            "set_id": set_id,
            "settings": settings,
        }
    )


def update_preferences(
    id_: str, set_id: str, changes: Mapping[str, Any], *, at: int, plus: int = 0, job: str = ""
) -> jobs.UpdatePreferences:
    return jobs.UpdatePreferences.model_validate(
        {
            "id": job or _id("update-preferences", f"{id_}-{set_id}", at, plus),
            "occurred_at": day(at, plus),
            "user_id": id_,
            "set_id": set_id,
            "changes": changes,
        }
    )


def unset_preferences(id_: str, set_id: str, *, at: int, plus: int = 0, job: str = "") -> jobs.UnsetPreferences:
    return jobs.UnsetPreferences(
        id=job or _id("unset-preferences", f"{id_}-{set_id}", at, plus),
        occurred_at=day(at, plus),
        user_id=id_,
        set_id=set_id,
    )


def set_channel_data(
    id_: str, channel_id: str, data: dict[str, Any], *, at: int, plus: int = 0, job: str = ""
) -> jobs.SetChannelData:
    return jobs.SetChannelData(
        id=job or _id("set-channel-data", f"{id_}-{channel_id}", at, plus),
        occurred_at=day(at, plus),
        user_id=id_,
        channel_id=channel_id,
        data=data,
    )


def unset_channel_data(id_: str, channel_id: str, *, at: int, plus: int = 0, job: str = "") -> jobs.UnsetChannelData:
    return jobs.UnsetChannelData(
        id=job or _id("unset-channel-data", f"{id_}-{channel_id}", at, plus),
        occurred_at=day(at, plus),
        user_id=id_,
        channel_id=channel_id,
    )


def add_push_token(
    id_: str,
    channel_id: str,
    token: str,
    *,
    at: int,
    plus: int = 0,
    job: str = "",
    device: dict[str, str | None] | None = None,
) -> jobs.AddPushToken:
    return jobs.AddPushToken(
        id=job or _id("add-push-token", f"{id_}-{channel_id}-{token}", at, plus),
        occurred_at=day(at, plus),
        user_id=id_,
        channel_id=channel_id,
        token=token,
        device=device,
    )


def remove_push_token(
    id_: str, channel_id: str, token: str, *, at: int, plus: int = 0, job: str = ""
) -> jobs.RemovePushToken:
    return jobs.RemovePushToken(
        id=job or _id("remove-push-token", f"{id_}-{channel_id}-{token}", at, plus),
        occurred_at=day(at, plus),
        user_id=id_,
        channel_id=channel_id,
        token=token,
    )


def mark(
    message_ids: Iterable[UUID],
    engagement: Engagement,
    *,
    at: int,
    plus: int = 0,
    job: str = "",
    user_id: str | None = None,
) -> jobs.Mark:
    return jobs.Mark(
        id=job or _id("mark", engagement if user_id is None else f"{engagement}-{user_id}", at, plus),
        occurred_at=day(at, plus),
        message_ids=tuple(message_ids),
        engagement=engagement,
        user_id=user_id,
    )


def mark_all(
    id_: str, engagement: Engagement, *, at: int, plus: int = 0, job: str = "", channel: str = "in_app"
) -> jobs.MarkAll:
    return jobs.MarkAll(
        id=job or _id(f"mark-all-{engagement}", f"{id_}-{channel}", at, plus),
        occurred_at=day(at, plus),
        user_id=id_,
        channel=channel,
        engagement=engagement,
    )


def _id(kind: str, what: str, at: int, plus: int) -> str:
    return f"{kind}:{what}:{at}" + (f":{plus:+}".replace("+", "p") if plus else "")
