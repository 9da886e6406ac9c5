"""Query that previews a merge: reads both users, and applies the rule that the workers apply."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from rollbook.models import Conflict, FilledValue, MergePreview
from rollbook.queries.query import Statement, Steps, snapshot_query
from rollbook.queries.users import find_primary_id, find_profile
from rollbook_shared.database.statements import load
from rollbook_shared.domain.merge import Profile, merge_profiles
from rollbook_shared.domain.profile_sections import profile_of
from rollbook_shared.domain.stamps import stamp_floor

if TYPE_CHECKING:
    from rollbook_shared.jobs import Merge

_SQL: Final = load(__package__, "merge_previews")
_MICROSECOND: Final = timedelta(microseconds=1)


@snapshot_query
def preview_merge(merge: Merge, history: timedelta) -> Steps[MergePreview]:
    """What the merge would change now. It transfers messages and activities of the time of `history` before it."""
    secondary_id = merge.secondary_id
    primary_id = (yield from find_primary_id(merge.primary_id)) or merge.primary_id
    primary = (yield from _profile(primary_id)) or Profile()
    secondary = yield from _profile(secondary_id)
    if primary_id == secondary_id or (secondary is None and (yield from find_primary_id(secondary_id))):
        return _preview(merge, primary_id, "nothing", primary, Profile(), (0, 0))
    if secondary is None:
        return _preview(merge, primary_id, "redirect", primary, Profile(), (0, 0))
    moved = {"owner": secondary_id, "since": stamp_floor(merge.occurred_at - history // _MICROSECOND)}
    messages = yield Statement(_SQL["messages"], moved)
    activities = yield Statement(_SQL["activities"], moved)
    counts = (messages[0]["moved"], activities[0]["moved"])
    return _preview(merge, primary_id, "merge", primary, secondary, counts)


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
    """The values that differ and are not both objects: (path, the primary's, the secondary's)."""
    for key in sorted(primary.keys() & secondary.keys()):
        winner, loser = primary[key], secondary[key]
        if isinstance(winner, dict) and isinstance(loser, dict):
            yield from _clashes(winner, loser, (*path, key))
        elif not _same(winner, loser):
            yield (*path, key), winner, loser


def _additions(
    primary: Mapping[str, Any], secondary: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values that only the secondary has, at every depth: (path, value)."""
    for key in sorted(secondary):
        if key not in primary:
            yield (*path, key), secondary[key]
        elif isinstance(primary[key], dict) and isinstance(secondary[key], dict):
            yield from _additions(primary[key], secondary[key], (*path, key))


def _same(one: object, other: object) -> bool:
    # as JSON: in Python, True equals 1
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _profile(user_id: str) -> Steps[Profile | None]:
    row = yield from find_profile(user_id)
    if row is None:
        return None
    received = profile_of(row["profile"])
    return Profile(
        attributes=received.attributes,
        properties=received.properties,
        preferences=row["preferences"],
        channel_data=row["channel_data"],
    )
