"""Recomputes identity clusters: reads what was received under their ids, and writes what readers see of them and who
owns their history.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.core import (
    ChannelEngagement,
    ChannelEngagementChanged,
    Fact,
    LifecycleEvent,
    OwnershipPeriod,
    PreferenceSetVersion,
    PreferencesUpdated,
    ProfileKeySet,
    Projection,
    PushTokenChanged,
    UserDeleted,
    UserIdentified,
    UsersMerged,
    cluster_roots,
    project,
)
from rollbook_worker.store.rows import Row, as_json

_HISTORY: Final = load(__package__, "history")
_USERS: Final = load(__package__, "users")
_IDENTIFY_LOG: Final = load(__package__, "identify_log")
_LIFECYCLE_EVENTS: Final = load(__package__, "lifecycle_events")
_OWNERSHIP_PERIODS: Final = load(__package__, "ownership_periods")
_PUSH_TOKENS: Final = load(__package__, "push_tokens")
_PREFERENCE_SETS: Final = load(__package__, "preference_sets")


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What is kept of the members of some clusters."""

    roots: set[str]
    ids: list[str]
    facts: list[Fact]
    """Without the lifecycle events."""
    events: list[LifecycleEvent]


def read_clusters(cursor: Cursor, roots: Collection[str], joining: Collection[str]) -> ClusterFacts:
    """Read the facts of the clusters of `roots`, with the ids `joining` them."""
    cursor.execute(_USERS["select_members"], {"roots": sorted(roots), "ids": sorted(joining)})
    found = ClusterFacts(set(), [], [], [])
    for id_, root, profile, base_stamp, key_stamps, first_identified, identify_stamps in cursor:
        found.ids.append(id_)
        if root is not None:
            found.roots.add(root)
        if first_identified is not None:
            stamps = (first_identified, *identify_stamps.split())
            found.facts.extend(UserIdentified(Stamp(stamp), id_) for stamp in stamps)
        found.facts.extend(
            ProfileKeySet(Stamp(key_stamps.get(key, base_stamp)), id_, key, value) for key, value in profile.items()
        )
    cursor.execute(_IDENTIFY_LOG["select"], {"ids": found.ids})
    found.facts.extend(UserIdentified(Stamp(stamp), id_) for id_, stamps in cursor for stamp in stamps.split())
    cursor.execute(_PREFERENCE_SETS["select_versions"], {"ids": found.ids})
    found.facts.extend(
        ProfileKeySet(Stamp(stamp), id_, f"s.{set_id}", settings)
        if changes is None
        else PreferencesUpdated(Stamp(stamp), id_, set_id, changes)
        for id_, set_id, stamp, settings, changes in cursor
    )
    cursor.execute(_PUSH_TOKENS["select"], {"ids": found.ids})
    found.facts.extend(
        PushTokenChanged(Stamp(stamp), id_, channel_id, token, device, is_added)
        for id_, channel_id, stamp, token, device, is_added in cursor
    )
    cursor.execute(_HISTORY["select_channel_engagements"], {"ids": found.ids})
    found.facts.extend(
        ChannelEngagementChanged(Stamp(stamp), id_, channel, engagement, is_set)
        for id_, channel, engagement, stamp, is_set in cursor
    )
    cursor.execute(_LIFECYCLE_EVENTS["select_naming"], {"ids": found.ids})
    found.events.extend(_lifecycle_event(*event) for event in cursor)
    return found


def recompute(cursor: Cursor, roots: Collection[str], joining: Collection[str], *, history: int) -> None:
    """Update what readers see of the clusters of `roots`, with the ids `joining` them. The caller has locked the
    clusters and written all facts.
    """
    found = read_clusters(cursor, roots, joining)
    roots_by_id = cluster_roots(found.ids, found.events)
    without_events = set(found.ids) - {user_id for event in found.events for user_id in event.user_ids}
    projection = project([*found.facts, *found.events], history)
    members = [
        _single(id_) if id_ in without_events else _member(id_, roots_by_id[id_], projection) for id_ in found.ids
    ]
    cursor.execute(_USERS["update_resolved"], {"members": as_json(members)})
    clustered = [id_ for id_ in found.ids if id_ not in without_events]
    _write_ownership_periods(cursor, found.ids, {id_: projection.ownership_periods.get(id_, ()) for id_ in clustered})
    _write_preference_sets(cursor, found.ids, {id_: projection.preference_sets.get(id_, ()) for id_ in clustered})
    engagements = {id_: projection.channel_engagements.get(id_, ()) for id_ in clustered}
    _write_channel_engagements(cursor, found.ids, engagements)


def _lifecycle_event(
    stamp: str, user_id: str, primary_id: str | None, keep_opt_outs: bool, merge_tokens: bool
) -> LifecycleEvent:
    if primary_id is None:
        return UserDeleted(Stamp(stamp), user_id)
    return UsersMerged(Stamp(stamp), user_id, primary_id, keep_opt_outs, merge_tokens)


def _single(id_: str) -> Row:
    """An id that no merge or delete names any more, because erasure has deleted them."""
    return {"id": id_, "cluster_root": None, "resolved_profile": None, "resolved_stamp": None, "canonical_id": None}


def _member(id_: str, root: str, projection: Projection) -> Row:
    user = projection.users.get(id_)
    return {
        "id": id_,
        "cluster_root": root,
        "resolved_profile": user.profile if user else None,
        "resolved_stamp": user.updated if user else None,
        "canonical_id": projection.canonical_ids.get(id_),
    }


def _write_ownership_periods(
    cursor: Cursor, ids: list[str], periods: Mapping[str, tuple[OwnershipPeriod, ...]]
) -> None:
    """Write the ownership periods of the ids whose periods changed; most writes to a cluster change none."""
    cursor.execute(_OWNERSHIP_PERIODS["select"], {"ids": ids})
    stored: dict[str, set[OwnershipPeriod]] = {}
    for id_, valid_from, valid_to, owner, existed in cursor:
        stored.setdefault(id_, set()).add(OwnershipPeriod(valid_from, valid_to, owner, existed))
    changed = [id_ for id_ in ids if stored.get(id_, set()) != set(periods.get(id_, ()))]
    if changed:
        rows = [{"user_id": id_, **period._asdict()} for id_ in changed for period in periods.get(id_, ())]
        cursor.execute(_OWNERSHIP_PERIODS["delete"], {"ids": changed})
        cursor.execute(_OWNERSHIP_PERIODS["insert"], {"periods": as_json(rows)})


def _write_preference_sets(
    cursor: Cursor, ids: list[str], versions: Mapping[str, tuple[PreferenceSetVersion, ...]]
) -> None:
    """Write the resolved preference sets of the ids whose sets changed."""
    cursor.execute(_PREFERENCE_SETS["select_resolved"], {"ids": ids})
    stored: dict[str, list[PreferenceSetVersion]] = {}
    for id_, valid_from, set_id, settings in cursor:
        stored.setdefault(id_, []).append(PreferenceSetVersion(valid_from, set_id, settings))
    changed = [id_ for id_ in ids if _ordered(stored.get(id_, ())) != _ordered(versions.get(id_, ()))]
    if changed:
        rows = [{"user_id": id_, **version._asdict()} for id_ in changed for version in versions.get(id_, ())]
        cursor.execute(_PREFERENCE_SETS["delete_resolved"], {"ids": changed})
        cursor.execute(_PREFERENCE_SETS["insert_resolved"], {"versions": as_json(rows)})


def _write_channel_engagements(
    cursor: Cursor, ids: list[str], engagements: Mapping[str, tuple[ChannelEngagement, ...]]
) -> None:
    """Write the resolved engagements of whole channels, of the ids whose engagements changed."""
    cursor.execute(_HISTORY["select_resolved_channel_engagements"], {"ids": ids})
    stored: dict[str, set[ChannelEngagement]] = {}
    for id_, channel, engagement, stamp, is_set in cursor:
        stored.setdefault(id_, set()).add(ChannelEngagement(channel, engagement, Stamp(stamp), is_set))
    changed = [id_ for id_ in ids if stored.get(id_, set()) != set(engagements.get(id_, ()))]
    if changed:
        rows = [{"user_id": id_, **state._asdict()} for id_ in changed for state in engagements.get(id_, ())]
        cursor.execute(_HISTORY["delete_resolved_channel_engagements"], {"ids": changed})
        cursor.execute(_HISTORY["insert_resolved_channel_engagements"], {"engagements": as_json(rows)})


def _ordered(versions: Collection[PreferenceSetVersion]) -> list[PreferenceSetVersion]:
    return sorted(versions, key=lambda version: (version.valid_from, version.set_id))
