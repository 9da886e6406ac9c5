"""Writes facts within an open transaction, and locks the identity clusters that they belong to."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.core import Fact, UserUpdated
from rollbook_worker.store.clusters import recompute
from rollbook_worker.store.preference_sets import write_versions
from rollbook_worker.store.rows import Row, TableRows, as_json, rows_of

MAX_IDENTIFY_CHARACTERS: Final = 400
"""How long the list of identify stamps in a user's row may be: eight stamps."""
MAX_TOKEN_CHANGES: Final = 8
"""How many changes of one push token are kept that are older than the horizon."""
_USERS: Final = load(__package__, "users")
_PUSH_TOKENS: Final = load(__package__, "push_tokens")
_IDENTIFY_LOG: Final = load(__package__, "identify_log")
_LIFECYCLE_EVENTS: Final = load(__package__, "lifecycle_events")
_HISTORY: Final = load(__package__, "history")


class ClustersNotLocked(Exception):
    """A user turned out to belong to clusters that are not locked: roll back, and lock these `roots` from the start."""

    def __init__(self, roots: Collection[str]) -> None:
        self.roots = frozenset(roots)
        super().__init__(f"{len(self.roots)} clusters to lock")


def write(
    cursor: Cursor, facts: Iterable[Fact | UserUpdated], *, history: int, horizon: Stamp, roots: frozenset[str]
) -> set[str]:
    """Keep the facts (the newest of each register), and update what readers see; return the users that are locked now.

    `history` is how much of it a merge transfers, in microseconds; no delete stamped before `horizon` is expected any
    more; `roots` are the clusters that an earlier attempt had not locked. Raises `ClustersNotLocked` if there are more.
    """
    rows = rows_of(facts)
    if rows.users:
        clusters = _upsert_users(cursor, rows, horizon, roots)
    write_versions(cursor, rows.preference_sets)
    _write_push_tokens(cursor, rows.push_tokens, horizon)
    _insert(cursor, _HISTORY["insert_triggers"], triggers=rows.triggers)
    _insert(cursor, _HISTORY["insert_activities"], activities=rows.activities)
    _insert(cursor, _HISTORY["insert_messages"], messages=rows.messages)
    _insert(cursor, _HISTORY["upsert_engagements"], engagements=rows.engagements)
    _insert(cursor, _HISTORY["upsert_channel_engagements"], engagements=rows.channel_engagements)
    _insert(cursor, _LIFECYCLE_EVENTS["insert"], events=rows.lifecycle_events)
    if rows.users and (clusters or rows.ids_with_events):
        recompute(cursor, clusters, rows.ids_with_events, history=history)
    return set(rows.user_ids)


def lock_clusters(cursor: Cursor, roots: Collection[str]) -> set[str]:
    """Lock clusters by their roots; return the roots that still exist. Erasure may have deleted a root, and given its
    cluster another one.
    """
    if not roots:
        return set()
    cursor.execute(_USERS["lock_cluster_roots"], {"roots": sorted(roots)})
    return {root for (root,) in cursor}


def lock_clusters_of(cursor: Cursor, ids: Iterable[str], roots: frozenset[str] = frozenset()) -> set[str]:
    """Lock the clusters that these ids belong to, and those of `roots`; return the roots that still exist."""
    cursor.execute(_USERS["select_cluster_roots"], {"ids": as_json(list(ids))})
    return lock_clusters(cursor, roots | {root for (root,) in cursor})


def _upsert_users(cursor: Cursor, rows: TableRows, horizon: Stamp, roots: frozenset[str]) -> set[str]:
    """Lock the clusters and upsert the users; return the roots of the clusters that the users belong to."""
    locked = lock_clusters_of(cursor, rows.user_ids, roots)
    parameters = {"users": as_json(rows.users), "max_identify_characters": MAX_IDENTIFY_CHARACTERS}
    cursor.execute(_USERS["upsert"], parameters)
    upserted = cursor.fetchall()
    clusters = {root for _, root, _ in upserted if root is not None}
    if not clusters <= locked:
        raise ClustersNotLocked(clusters | locked)
    if full := [id_ for id_, _, is_full in upserted if is_full]:
        cursor.execute(_IDENTIFY_LOG["move_from_users"], {"ids": full, "horizon": horizon})
    return clusters


def _write_push_tokens(cursor: Cursor, changes: list[Row], horizon: Stamp) -> None:
    if changes:
        ids = sorted({change["user_id"] for change in changes})
        cursor.execute(_PUSH_TOKENS["insert"], {"changes": as_json(changes)})
        limits = {"horizon": horizon, "most": MAX_TOKEN_CHANGES}
        cursor.execute(_PUSH_TOKENS["delete_overwritten"], {"ids": ids, **limits})


def _insert(cursor: Cursor, statement: str, **rows: list[Row]) -> None:
    ((name, values),) = rows.items()
    if values:
        cursor.execute(statement, {name: as_json(values)})
