"""Previews a merge: reads both users, and says what would become of them by the rule that the workers follow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from sqlalchemy import Connection, Table, func, select

from rollbook.models import Conflict, FilledValue, MergePreview
from rollbook.queries.users import primary_of
from rollbook_shared.database.tables import current_users, owned_activities, owned_messages
from rollbook_shared.domain.merge import Profile, merge_profiles
from rollbook_shared.domain.sections import profile_of
from rollbook_shared.domain.stamps import Stamp, stamp_floor
from rollbook_shared.jobs.models import Merge


def find_preview(connection: Connection, merge: Merge, history: int) -> MergePreview:
    """What the merge would do now; `history` in microseconds. All reads must see one moment."""
    secondary_id = merge.secondary_id
    primary_id = primary_of(connection, merge.primary_id) or merge.primary_id
    primary = _profile(connection, primary_id) or Profile()
    secondary = _profile(connection, secondary_id)
    if primary_id == secondary_id or (secondary is None and primary_of(connection, secondary_id)):
        return _preview(merge, primary_id, "nothing", primary, Profile(), (0, 0))
    if secondary is None:
        return _preview(merge, primary_id, "redirect", primary, Profile(), (0, 0))
    since = stamp_floor(merge.occurred_at - history)
    moved = (
        _count(connection, owned_messages, secondary_id, since),
        _count(connection, owned_activities, secondary_id, since),
    )
    return _preview(merge, primary_id, "merge", primary, secondary, moved)


def _preview(
    merge: Merge,
    primary_id: str,
    effect: Literal["merge", "redirect", "nothing"],
    primary: Profile,
    secondary: Profile,
    moved: tuple[int, int],
) -> MergePreview:
    result = merge_profiles(primary, secondary, keep_opt_outs=merge.keep_opt_outs, merge_tokens=merge.merge_tokens)
    return MergePreview(
        primary_id=primary_id,
        secondary_id=merge.secondary_id,
        effect=effect,
        attributes={name: value for name, value in sorted(result.attributes.items()) if value is not None},
        properties=result.properties,
        filled=tuple(_filled(primary, secondary)),
        conflicts=tuple(_conflicts(primary, secondary, result)),
        preference_sets_added=tuple(sorted(secondary.preferences.keys() - primary.preferences.keys())),
        channels_added=tuple(sorted(secondary.channel_data.keys() - primary.channel_data.keys())),
        messages=moved[0],
        activities=moved[1],
    )


def _filled(primary: Profile, secondary: Profile) -> Iterator[FilledValue]:
    for name, value in sorted(secondary.attributes.items()):
        if value is not None and primary.attributes.get(name) is None:
            yield FilledValue(section="attributes", path=(name,), value=value)
    for path, value in _additions(primary.properties, secondary.properties, ()):
        yield FilledValue(section="properties", path=path, value=value)


def _conflicts(primary: Profile, secondary: Profile, result: Profile) -> Iterator[Conflict]:
    for name in sorted(primary.attributes.keys() & secondary.attributes.keys()):
        winner, loser = primary.attributes[name], secondary.attributes[name]
        if None not in (winner, loser) and winner != loser:
            yield Conflict(section="attributes", path=(name,), winner=winner, loser=loser)
    for path, winner, loser in _clashes(primary.properties, secondary.properties, ()):
        yield Conflict(section="properties", path=path, winner=winner, loser=loser)
    for set_id in sorted(primary.preferences.keys() & secondary.preferences.keys()):
        winner, loser = result.preferences[set_id], secondary.preferences[set_id]
        if not _same(winner, loser):
            yield Conflict(section="preferences", path=(set_id,), winner=winner, loser=loser)
    for channel_id in sorted(primary.channel_data.keys() & secondary.channel_data.keys()):
        winner, loser = result.channel_data[channel_id], secondary.channel_data[channel_id]
        if not _same(winner, loser):
            yield Conflict(section="channel_data", path=(channel_id,), winner=winner, loser=loser)


def _clashes(
    primary: Mapping[str, Any], secondary: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Where both have a value and at least one is no object: (path, the primary's, the secondary's)."""
    for key in sorted(primary.keys() & secondary.keys()):
        winner, loser = primary[key], secondary[key]
        if isinstance(winner, dict) and isinstance(loser, dict):
            yield from _clashes(winner, loser, (*path, key))
        elif not _same(winner, loser):
            yield (*path, key), winner, loser


def _additions(
    primary: Mapping[str, Any], secondary: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What only the secondary has, at every depth: (path, value)."""
    for key in sorted(secondary):
        if key not in primary:
            yield (*path, key), secondary[key]
        elif isinstance(primary[key], dict) and isinstance(secondary[key], dict):
            yield from _additions(primary[key], secondary[key], (*path, key))


def _same(one: object, other: object) -> bool:
    # as JSON: Python holds True and 1 for equal
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _profile(connection: Connection, user_id: str) -> Profile | None:
    profile: dict[str, Any] | None = connection.execute(
        select(current_users.c.profile).where(current_users.c.id == user_id)
    ).scalar()
    return None if profile is None else profile_of(profile)


def _count(connection: Connection, view: Table, owner: str, since: Stamp) -> int:
    query = select(func.count()).select_from(view).where(view.c.owner == owner, view.c.stamp >= since)
    return connection.execute(query).scalar_one()
