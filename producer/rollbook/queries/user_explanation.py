"""Query that explains a user: which job set each value, and which ids stand for the user since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from rollbook.models import ExplainedEvent, ExplainedPeriod, ExplainedToken, ExplainedValue, UserExplanation
from rollbook.queries.query import Statement, Steps, snapshot_query
from rollbook.queries.received import (
    EXPLANATIONS,
    event_of,
    find_lifecycle_events,
    find_members,
    find_preference_changes,
    find_token_changes,
    received_keys,
)
from rollbook.queries.value_origins import (
    Lifecycle,
    Origin,
    OriginsReader,
    Received,
    Valued,
    Values,
    channel_parts,
)
from rollbook_shared.domain.push_tokens import all_devices
from rollbook_shared.domain.stamps import INFINITY, Stamp, datetime_of, job_id_of, occurred_at_of
from rollbook_shared.errors import UserNotFound

MOST_LISTED: Final = 5_000
"""Ids, events and ownership periods that one explanation lists: enough for a person of 1,000 ids."""


@snapshot_query
def explain_user(user_id: str) -> Steps[UserExplanation]:
    """Why a user is as it is, or `UserNotFound` where nothing is known of the id."""
    members = yield from find_members(user_id)
    if not members.ids:
        raise UserNotFound(user_id)
    received: list[Received] = [*received_keys(members.rows)]
    received += yield from find_preference_changes(members.ids)
    received += yield from find_token_changes(members.ids)
    received += yield from find_lifecycle_events(members.ids)
    reader, events = read_in_order(received)
    person = reader.canonical_id(user_id)
    exists = bool((yield Statement(EXPLANATIONS["user"], {"id": person})))
    if not exists and not events:
        raise UserNotFound(user_id)
    ids = reader.members.get(person, [person])
    parameters = {"ids": ids[:MOST_LISTED], "limit": MOST_LISTED + 1}
    periods = yield Statement(EXPLANATIONS["listed_periods"], parameters)
    values = reader.values(person) if exists else {}
    return UserExplanation(
        id=person,
        asked_for=user_id,
        exists=exists,
        **explained_values(values),
        ids=tuple(ids[:MOST_LISTED]),
        events=tuple(events[-MOST_LISTED:]),
        ownership=tuple(map(_period, periods[:MOST_LISTED])),
        is_complete=max(len(ids), len(events), len(periods)) <= MOST_LISTED,
    )


def read_in_order(received: Iterable[Received]) -> tuple[OriginsReader, list[ExplainedEvent]]:
    """The users with the origins of their values, and the deletes and merges, oldest first."""
    reader, events = OriginsReader(), []
    for each in sorted(received, key=lambda each: each.stamp):
        no_effect = reader.read(each)
        if isinstance(each, Lifecycle):
            events.append(event_of(each, no_effect))
    return reader, events


def explained_values(values: Values) -> dict[str, Any]:
    """The fields of an explanation that say where values come from."""
    return {
        "traits": tuple(_traits(values)),
        "preferences": tuple(_preferences(values)),
        "channel_data": tuple(_channel_data(values)),
        "tokens": tuple(_tokens(values)),
    }


def _traits(values: Values) -> Iterator[ExplainedValue]:
    for prefix, section in (("a", "attributes"), ("p", "properties")):
        for key, valued in _section(values, prefix):
            yield from _explained(section, valued.origins((key,)))  # type: ignore[arg-type]


def _preferences(values: Values) -> Iterator[ExplainedValue]:
    """Each setting by itself, also of a set that one job set as a whole."""
    for set_id, settings in _section(values, "s"):
        for section, choices in settings.parts():
            for key, choice in choices.parts():
                yield from _explained("preferences", choice.origins((set_id, section, key)))


def _channel_data(values: Values) -> Iterator[ExplainedValue]:
    for channel_id, data in _section(values, "c"):
        for key, part in Valued(channel_parts(data.value), data.tree).parts():
            if key != "tokens" or not isinstance(data.value["tokens"], list):
                yield from _explained("channel_data", part.origins((channel_id, key)))


def _tokens(values: Values) -> Iterator[ExplainedToken]:
    for channel_id, data in _section(values, "c"):
        tokens = Valued(channel_parts(data.value), data.tree).part("tokens")
        if tokens is None or not isinstance(data.value["tokens"], list):
            continue
        devices = {each["token"]: each for each in all_devices(data.value)["devices"]}
        for token, part in tokens.parts():
            ((_, _, origin),) = part.origins()
            device = {name: value for name, value in devices[token].items() if name != "token"}
            yield ExplainedToken(
                channel_id=channel_id,
                token=token,
                device=device if any(value is not None for value in device.values()) else None,
                **_origin(origin),
            )


def _section(values: Values, prefix: str) -> Iterator[tuple[str, Valued]]:
    for key in sorted(values):
        if key.startswith(f"{prefix}."):
            yield key[2:], values[key]


def _explained(
    section: Literal["attributes", "properties", "preferences", "channel_data"],
    origins: Iterator[tuple[tuple[str, ...], Any, Origin]],
) -> Iterator[ExplainedValue]:
    for path, value, origin in origins:
        yield ExplainedValue(section=section, path=path, value=value, **_origin(origin))


def _origin(origin: Origin) -> dict[str, Any]:
    return {"occurred_at": _at(origin.stamp), "job_id": job_id_of(origin.stamp), "user_id": origin.user_id}


def _period(row: Mapping[str, Any]) -> ExplainedPeriod:
    until = row["valid_to"]
    return ExplainedPeriod(
        user_id=row["user_id"],
        since=_at(row["valid_from"]),
        until=None if until == INFINITY else _at(until),
        owner=row["owner"],
        existed=row["existed"],
    )


def _at(stamp: str) -> datetime:
    return datetime_of(occurred_at_of(Stamp(stamp)))
