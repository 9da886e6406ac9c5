"""Refolds families: reads what was told under their ids, and writes how they are seen and who owns their history."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Cursor

from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.core import (
    Ended,
    Fact,
    OwnershipPeriod,
    PreferenceSetVersion,
    Projection,
    Seen,
    Told,
    families,
    project,
)
from rollbook_worker.store.rows import as_json
from rollbook_worker.store.statements import load

_USERS: Final = load("users")
_IDENTIFY_LOG: Final = load("identify_log")
_LIFECYCLE_EVENTS: Final = load("lifecycle_events")
_OWNERSHIP_PERIODS: Final = load("ownership_periods")
_PREFERENCE_SETS: Final = load("preference_sets")


@dataclass(frozen=True, slots=True)
class Family:
    """What is known of the members of some families."""

    heads: set[str]
    ids: list[str]
    told: list[Fact]
    endings: list[Ended]


def family_of(cursor: Cursor, heads: Collection[str], joining: Collection[str]) -> Family:
    """Read the facts of the families of `heads`, with the ids `joining` them."""
    cursor.execute(_USERS["select_members"], {"roots": sorted(heads), "ids": sorted(joining)})
    family = Family(set(), [], [], [])
    for id_, of, data, since, stamps, first, seen in cursor:
        family.ids.append(id_)
        if of is not None:
            family.heads.add(of)
        if first is not None:
            family.told.extend(Seen(Stamp(stamp), id_) for stamp in (first, *seen.split()))
        family.told.extend(
            # preference sets are all among the choices
            Told(Stamp(stamps.get(key, since)), id_, key, value)
            for key, value in data.items()
            if key[0] != "s"
        )
    cursor.execute(_IDENTIFY_LOG["select"], {"ids": family.ids})
    family.told.extend(Seen(Stamp(stamp), id_) for id_, seen in cursor for stamp in seen.split())
    cursor.execute(_PREFERENCE_SETS["select_versions"], {"ids": family.ids})
    family.told.extend(Told(Stamp(stamp), id_, f"s.{set_id}", settings) for id_, set_id, stamp, settings in cursor)
    cursor.execute(_LIFECYCLE_EVENTS["select_naming"], {"ids": family.ids})
    family.endings.extend(Ended(Stamp(stamp), *ending) for stamp, *ending in cursor)
    return family


def refold(cursor: Cursor, heads: Collection[str], joining: Collection[str], *, history: int) -> None:
    """Show anew the families of `heads`, with the ids `joining` them. The caller holds the heads and has written
    all facts.
    """
    family = family_of(cursor, heads, joining)
    named = families(family.ids, family.endings)
    alone = set(family.ids) - {name for ending in family.endings for name in (ending.user, ending.primary_id)}
    seen_as = project([*family.told, *family.endings], history)
    members = [_plain(id_) if id_ in alone else _member(id_, named[id_], seen_as) for id_ in family.ids]
    cursor.execute(_USERS["update_resolved"], {"members": as_json(members)})
    _own(cursor, family.ids, {id_: spans for id_, spans in seen_as.spans.items() if id_ not in alone})
    _choose(cursor, family.ids, {id_: made for id_, made in seen_as.choices.items() if id_ not in alone})


def _plain(id_: str) -> dict[str, Any]:
    """An id that no merge or delete names any more, for erasure has forgotten them."""
    return {"id": id_, "cluster_root": None, "resolved_profile": None, "resolved_stamp": None, "canonical_id": None}


def _member(id_: str, family: str, seen_as: Projection) -> dict[str, Any]:
    person = seen_as.people.get(id_)
    return {
        "id": id_,
        "cluster_root": family,
        "resolved_profile": person.data if person else None,
        "resolved_stamp": person.updated if person else None,
        "canonical_id": seen_as.goes_to.get(id_),
    }


def _own(cursor: Cursor, ids: list[str], owned: Mapping[str, tuple[OwnershipPeriod, ...]]) -> None:
    """Write the spans that changed; most writes to a family change none."""
    cursor.execute(_OWNERSHIP_PERIODS["select"], {"ids": ids})
    written: dict[str, set[OwnershipPeriod]] = {}
    for name, since, until, owner, known in cursor:
        written.setdefault(name, set()).add(OwnershipPeriod(since, until, owner, known))
    changed = [name for name in ids if written.get(name, set()) != set(owned.get(name, ()))]
    if changed:
        periods = [{"user_id": id_, **period._asdict()} for id_ in changed for period in owned.get(id_, ())]
        cursor.execute(_OWNERSHIP_PERIODS["delete"], {"ids": changed})
        cursor.execute(_OWNERSHIP_PERIODS["insert"], {"periods": as_json(periods)})


def _choose(cursor: Cursor, ids: list[str], made: Mapping[str, tuple[PreferenceSetVersion, ...]]) -> None:
    """Write the choices that changed, likewise."""
    cursor.execute(_PREFERENCE_SETS["select_resolved"], {"ids": ids})
    written: dict[str, list[PreferenceSetVersion]] = {}
    for name, since, set_id, settings in cursor:
        written.setdefault(name, []).append(PreferenceSetVersion(since, set_id, settings))
    changed = [
        name for name in ids if sorted(written.get(name, []), key=_place) != sorted(made.get(name, ()), key=_place)
    ]
    if changed:
        versions = [{"user_id": id_, **version._asdict()} for id_ in changed for version in made.get(id_, ())]
        cursor.execute(_PREFERENCE_SETS["delete_resolved"], {"ids": changed})
        cursor.execute(_PREFERENCE_SETS["insert_resolved"], {"versions": as_json(versions)})


def _place(choice: PreferenceSetVersion) -> tuple[str, str]:
    return choice.valid_from, choice.set_id
