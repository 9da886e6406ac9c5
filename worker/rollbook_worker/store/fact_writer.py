"""Writes facts within an open transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from psycopg import Cursor

from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.core import Fact, Identified
from rollbook_worker.store.clusters import refold
from rollbook_worker.store.rows import Line, Lines, as_json, lines_of
from rollbook_worker.store.statements import load

MAX_IDENTIFY_CHARACTERS: Final = 400
"""How long the list of sightings in a user's row may be: eight of them."""
_USERS = load("users")
_PREFERENCE_SETS = load("preference_sets")
_IDENTIFY_LOG = load("identify_log")
_LIFECYCLE_EVENTS = load("lifecycle_events")
_HISTORY = load("history")


class FamiliesNotHeld(Exception):
    """A user turned out to belong to families whose heads are not locked; roll back, and hold them from the start."""

    def __init__(self, heads: Collection[str]) -> None:
        self.heads = frozenset(heads)
        super().__init__(f"{len(self.heads)} families to hold")


def write(
    cursor: Cursor, facts: Iterable[Fact | Identified], *, history: int, horizon: Stamp, heads: frozenset[str]
) -> set[str]:
    """Keep the facts (the newest of each slot), and show what they change; return the users who are held now.

    `history` is how much of it a merge carries over, in microseconds; no delete stamped before `horizon` is expected
    any more; `heads` are the families that an earlier attempt found in its way. Raises `FamiliesNotHeld` when there
    are more.
    """
    lines = lines_of(facts)
    if lines.users:
        families = _tell(cursor, lines, horizon, heads)
    _insert(cursor, _PREFERENCE_SETS["insert_versions"], versions=lines.preference_sets)
    _insert(cursor, _HISTORY["insert_triggers"], triggers=lines.triggers)
    _insert(cursor, _HISTORY["insert_activities"], activities=lines.activities)
    _insert(cursor, _HISTORY["insert_messages"], messages=lines.messages)
    _insert(cursor, _HISTORY["upsert_engagements"], engagements=lines.engagements)
    _insert(cursor, _LIFECYCLE_EVENTS["insert"], events=lines.lifecycle_events)
    if lines.users and (families or lines.ended):
        refold(cursor, families, lines.ended, history=history)
    return set(lines.ids)


def hold(cursor: Cursor, heads: Collection[str]) -> set[str]:
    """Lock the heads of families; return those that were there. Erasure may have taken one, and named its family
    anew.
    """
    if not heads:
        return set()
    cursor.execute(_USERS["lock_cluster_roots"], {"roots": sorted(heads)})
    return {head for (head,) in cursor}


def hold_families_of(cursor: Cursor, ids: Iterable[str], heads: frozenset[str] = frozenset()) -> set[str]:
    """Hold the families that these ids belong to, and those of `heads`; return the heads that were there."""
    cursor.execute(_USERS["select_cluster_roots"], {"ids": as_json(list(ids))})
    return hold(cursor, heads | {family for (family,) in cursor})


def _tell(cursor: Cursor, lines: Lines, horizon: Stamp, heads: frozenset[str]) -> set[str]:
    """Hold the families, tell the users; return the families they belong to."""
    held = hold_families_of(cursor, lines.ids, heads)
    cursor.execute(
        _USERS["upsert"], {"users": as_json(lines.users), "max_identify_characters": MAX_IDENTIFY_CHARACTERS}
    )
    told = cursor.fetchall()
    families = {family for _, family, _ in told if family is not None}
    if not families <= held:
        raise FamiliesNotHeld(families | held)
    if full := [id_ for id_, _, is_full in told if is_full]:
        cursor.execute(_IDENTIFY_LOG["move_from_users"], {"ids": full, "horizon": horizon})
    return families


def _insert(cursor: Cursor, statement: str, **lines: list[Line]) -> None:
    ((name, values),) = lines.items()
    if values:
        cursor.execute(statement, {name: as_json(values)})
