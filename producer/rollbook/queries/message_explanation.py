"""Query that explains a message: whose it is and why, which settings let it through or stopped it, and its delivery."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from rollbook.models import ExplainedEvent, ExplainedSetting, MessageExplanation, OwnerReason
from rollbook.queries.deliveries import find_delivery_status
from rollbook.queries.query import Statement, Steps, snapshot_query
from rollbook.queries.received import (
    EXPLANATIONS,
    event_of,
    find_lifecycle_events,
    find_member_ids,
    find_preference_changes,
)
from rollbook.queries.value_origins import Lifecycle, Origin, OriginsReader, Received, Valued, Values
from rollbook_shared.domain.stamps import Stamp, datetime_of, job_id_of, occurred_at_of, stamp_floor

_DEFAULT_SET: Final = "default"
_MICROSECOND: Final = timedelta(microseconds=1)


@snapshot_query
def explain_message(message_id: UUID, history: timedelta) -> Steps[MessageExplanation | None]:
    """Why a message is where it is; None if there is none. A merge transfers messages of the time of `history`."""
    rows = yield Statement(EXPLANATIONS["message"], {"id": message_id})
    if not rows:
        return None
    message = rows[0]
    addressed_to, stamp = message["recipient"], Stamp(message["stamp"])
    ids = yield from find_member_ids(addressed_to)
    events = yield from find_lifecycle_events(ids)
    received: list[Received] = [*events, *(yield from find_preference_changes(ids))]
    periods = yield Statement(EXPLANATIONS["period_at"], {"ids": [addressed_to], "stamp": stamp})
    delivery = yield from find_delivery_status(message_id)
    reader = OriginsReader()
    for each in sorted(received, key=lambda each: each.stamp):
        if each.stamp <= stamp:
            reader.read(each)
    set_id, settings = _applied(message, reader.values(addressed_to))
    later = events[bisect(events, stamp, key=lambda event: event.stamp) :]
    owner = periods[0]["owner"] if periods else None
    kept_for = history // _MICROSECOND
    reason, decisive = _ownership(reader, reader.canonical_id(addressed_to), later, stamp, kept_for)
    if not periods or not periods[0]["existed"]:
        reason, decisive = "unknown", []
    is_allowed = all(setting.allows for setting in settings)
    return MessageExplanation(
        id=str(message["id"]),
        job_id=message["job_id"],
        workflow=message["workflow"],
        tenant=message["tenant"],
        categories=tuple(message["categories"]),
        channel=message["channel"],
        occurred_at=datetime_of(occurred_at_of(stamp)),
        addressed_to=addressed_to,
        owner=owner,
        owner_reason=reason,
        events=tuple(decisive),
        preference_set=set_id,
        settings=settings,
        is_allowed=is_allowed,
        is_visible=is_allowed and owner is not None,
        delivery=delivery,
    )


def _ownership(
    reader: OriginsReader, user_id: str, later: Sequence[Lifecycle], stamp: Stamp, history: int
) -> tuple[OwnerReason, list[ExplainedEvent]]:
    """What became of the message's user after it, and the events that decided on the owner."""
    decisive: list[ExplainedEvent] = []
    for event in later:
        if reader.read(event) is not None or event.user_id != user_id:
            continue
        decisive.append(event_of(event, None))
        if event.primary_id is None:
            return "deleted", decisive
        if stamp < stamp_floor(occurred_at_of(event.stamp) - history):
            return "too_old", decisive
        user_id = reader.canonical_id(event.user_id)
    return ("merged" if decisive else "addressed"), decisive


def _applied(message: Mapping[str, Any], values: Values) -> tuple[str | None, tuple[ExplainedSetting, ...]]:
    """The preference set that applied, and what it said of the message."""
    for set_id in (message["tenant"], _DEFAULT_SET):
        if set_id is not None and (settings := values.get(f"s.{set_id}")) is not None:
            return set_id, tuple(_settings(message, settings))
    return None, ()


def _settings(message: Mapping[str, Any], settings: Valued) -> Iterator[ExplainedSetting]:
    channel = message["channel"]
    yield _setting(("channel_types", channel), _part(settings, "channel_types", channel))
    named: list[tuple[str, ...]] = [("categories", category) for category in message["categories"]]
    for path in (*named, ("workflows", message["workflow"])):
        setting = _part(settings, *path)
        if setting is not None and isinstance(setting.value, Mapping):
            yield _setting((*path, "channel_types", channel), _part(setting, "channel_types", channel))
        else:
            yield _setting(path, setting)


def _part(valued: Valued, *path: str) -> Valued | None:
    found: Valued | None = valued
    for key in path:
        found = found.part(key) if found else None
    return found


def _setting(path: tuple[str, ...], setting: Valued | None) -> ExplainedSetting:
    origin = setting.tree if setting is not None and isinstance(setting.tree, Origin) else None
    return ExplainedSetting(
        path=path,
        value=setting.value if setting else None,
        occurred_at=datetime_of(occurred_at_of(origin.stamp)) if origin else None,
        job_id=job_id_of(origin.stamp) if origin else None,
        user_id=origin.user_id if origin else None,
    )
