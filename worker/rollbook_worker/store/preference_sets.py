"""Versions of preference sets: keeps what was received, and what applied from each stamp on.

A version that replaced the set says itself what applied. A version that changed single keys says what the set became,
which depends on the versions before it. It is written with the version, so that a reader finds what applied at a stamp
by one look into the index, and it is written again when a version before it arrives late.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Any, Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.preferences import update_settings
from rollbook_worker.store.rows import Row, as_json

_PREFERENCE_SETS: Final = load(__package__, "preference_sets")

_Version = tuple[str, str, str, dict[str, Any] | None, dict[str, Any] | None]
"""User, set, stamp, settings, changes."""


def write_versions(cursor: Cursor, versions: list[Row]) -> None:
    """Keep versions of preference sets. The caller has locked their users."""
    cursor.execute(_PREFERENCE_SETS["insert_versions"], {"versions": as_json(versions)})
    update_changed_sets(cursor, {version["user_id"] for version in versions})


def update_changed_sets(cursor: Cursor, user_ids: Collection[str]) -> None:
    """Write what the changes of single keys of these users' sets resulted in, where that is not what is stored."""
    # not in one statement: to ask of each version whether its set has changes would read each set as often as it has
    # versions, a second for twenty thousand
    changed = set(cursor.execute(_PREFERENCE_SETS["select_changed"], {"ids": sorted(user_ids)}))
    if not changed:
        return
    cursor.execute(_PREFERENCE_SETS["select_versions"], {"ids": sorted({user_id for user_id, _ in changed})})
    found = sorted((version for version in cursor if version[:2] in changed), key=lambda version: version[:3])
    rows: list[Row] = []
    for (user_id, set_id), versions in groupby(found, key=lambda version: version[:2]):
        updated = _updated(versions)
        rows.extend({"user_id": user_id, "set_id": set_id, "stamp": at, "settings": new} for at, new in updated)
    if rows:
        cursor.execute(_PREFERENCE_SETS["update_settings"], {"versions": as_json(rows)})


def _updated(versions: Iterator[_Version]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The stamp and the settings of those versions of a set, in stamp order, whose stored settings are outdated."""
    settings: dict[str, Any] | None = None
    for _, _, stamp, stored, changes in versions:
        settings = stored if changes is None else update_settings(settings, changes)
        if settings != stored:
            yield stamp, settings
