"""Writes facts within an open transaction, and locks the identity clusters that they belong to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp
from rollbook_shared.registry import Registry
from rollbook_worker.core import Facts
from rollbook_worker.store.clusters import recompute
from rollbook_worker.store.deliveries import cancel_of_deleted, insert_messages, wake
from rollbook_worker.store.kept_cursors import execute_kept
from rollbook_worker.store.newest_updates import apply_newest
from rollbook_worker.store.preference_sets import write_versions
from rollbook_worker.store.rows import Row, TableRows, as_json, rows_of
from rollbook_worker.store.user_columns import plain_columns, user_columns
from rollbook_worker.store.user_sizes import LARGE_BYTES

MAX_IDENTIFY_CHARACTERS: Final = 400
"""How long the list of identify stamps in a user's row may be: eight stamps."""
MAX_TOKEN_CHANGES: Final = 8
"""How many changes of one push token are kept that are older than the horizon."""
NO_TRACES: Final[Mapping[str | None, str]] = {}
NO_ROOTS: Final[Mapping[str, str | None]] = {}
STATEMENT_ROWS: Final = 1_000
"""Rows of the history that one statement inserts: their text is in memory here and there."""
UPSERT_LIMITS: Final = {"max_identify_characters": MAX_IDENTIFY_CHARACTERS, "large_bytes": LARGE_BYTES}
_USERS: Final = load(__package__, "users")
_JOBS_AND_USERS: Final = load(__package__, "jobs_and_users")
_PUSH_TOKENS: Final = load(__package__, "push_tokens")
_IDENTIFY_LOG: Final = load(__package__, "identify_log")
_LIFECYCLE_EVENTS: Final = load(__package__, "lifecycle_events")
_HISTORY: Final = load(__package__, "history")


UpsertedUser = tuple[str, str | None, bool, bool]
"""What the upsert returns of some users: the id, the root of the cluster, whether the list of identify stamps is full,
and whether the row is large.
"""


class ClustersNotLocked(Exception):
    """A user turned out to belong to clusters that are not locked: roll back, and lock these `roots` from the start."""

    def __init__(self, roots: Collection[str]) -> None:
        self.roots = frozenset(roots)
        super().__init__(f"{len(self.roots)} clusters to lock")


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the users that are `locked` now, those who `may_be_large`, and the channels of which deliveries
    were `woken`.
    """

    locked: set[str]
    may_be_large: set[str]
    woken: frozenset[str] = frozenset()


def write(
    cursor: Cursor,
    facts: Iterable[Facts],
    *,
    history: int,
    horizon: Stamp,
    roots: frozenset[str],
    known_roots: Mapping[str, str | None] = NO_ROOTS,
    registry: Registry | None,
    now: int,
    traces: Mapping[str | None, str] = NO_TRACES,
    look_for_deliveries: bool = True,
) -> Written:
    """Keep the facts (the newest of each register), and update what readers see.

    `history` is how much of it a merge transfers, in microseconds; no delete stamped before `horizon` is expected any
    more; `roots` are the clusters that an earlier attempt had not locked; `known_roots` says of some users to which
    clusters they belonged when this transaction looked; `registry` says which messages leave, None that none does;
    `now` is in microseconds since 1970; `traces` says of jobs, by their ids, where they were sent, for the spans of
    senders; `look_for_deliveries` says whether new messages may have deliveries. Raises `ClustersNotLocked` if there
    are more clusters, and `DeliveryExists` if a new message has a delivery that was not looked for.
    """
    rows = rows_of(facts)
    if user_ids := rows.user_ids:
        members, may_be_large = _upsert_users(cursor, rows, horizon, roots, known_roots)
        clusters = set(members.values())
    if rows.preference_sets:
        write_versions(cursor, rows.preference_sets)
    _write_push_tokens(cursor, rows.push_tokens, horizon)
    _insert(cursor, _PUSH_TOKENS["upsert_users"], users=rows.push_token_users)
    triggers = [row | {"trace": traces.get(row["job_id"])} for row in rows.triggers] if traces else rows.triggers
    if replaced := _insert_triggers(cursor, triggers):
        rows.activities = [row for row in rows.activities if row["job_id"] not in replaced]
        rows.messages = [row for row in rows.messages if row["job_id"] not in replaced]
    _insert(cursor, _HISTORY["insert_activities"], activities=rows.activities)
    _insert_messages(cursor, rows, registry, now, look_for_deliveries)
    _insert(cursor, _HISTORY["upsert_engagements"], engagements=rows.engagements)
    _insert(cursor, _HISTORY["upsert_channel_engagements"], engagements=rows.channel_engagements)
    _insert(cursor, _LIFECYCLE_EVENTS["insert"], events=rows.lifecycle_events)
    if user_ids and (clusters or rows.ids_with_events):
        changed_clusters = apply_newest(cursor, rows, members)
        if changed_clusters or rows.ids_with_events:
            recompute(cursor, changed_clusters, rows.ids_with_events, history=history)
    if not user_ids:
        return Written(set(), set())
    woken: frozenset[str] = frozenset()
    if registry is not None and registry.delivers:
        deleted = {event["user_id"] for event in rows.lifecycle_events if "primary_id" not in event}
        cancel_of_deleted(cursor, deleted, registry, now)
        woken = wake(cursor, user_ids, clusters, registry, now)
    changed = {row["user_id"] for row in (*rows.preference_sets, *rows.push_tokens, *rows.push_token_users)}
    merged = {
        event[name] for event in rows.lifecycle_events if "primary_id" in event for name in ("user_id", "primary_id")
    }
    return Written(set(user_ids), may_be_large | changed | merged, woken)


def finish_identifies(
    cursor: Cursor,
    user_ids: Collection[str],
    upserted: list[UpsertedUser],
    *,
    horizon: Stamp,
    registry: Registry | None,
    now: int,
) -> Written:
    """What is left to do for identifies whose users were upserted as they were entered; parameters and errors are those
    of `write`.
    """
    _, may_be_large = _follow_up(cursor, upserted, set(), horizon)
    woken: frozenset[str] = frozenset()
    if registry is not None and registry.delivers:
        woken = wake(cursor, user_ids, (), registry, now)
    return Written(set(user_ids), may_be_large, woken)


def lock_clusters(cursor: Cursor, roots: Collection[str]) -> set[str]:
    """Lock clusters by their roots; return the roots that still exist. Erasure may have deleted a root, and given its
    cluster another one.
    """
    if not roots:
        return set()
    cursor.execute(_USERS["lock_cluster_roots"], {"roots": sorted(roots)})
    return {root for (root,) in cursor}


def lock_clusters_of(
    cursor: Cursor,
    ids: Iterable[str],
    roots: frozenset[str] = frozenset(),
    known_roots: Mapping[str, str | None] = NO_ROOTS,
) -> set[str]:
    """Lock the clusters that these ids belong to, and those of `roots`; return the roots that still exist. Of ids in
    `known_roots` the clusters are not looked up again.
    """
    found: set[str] = set()
    others: list[str] = []
    for id_ in ids:
        if id_ not in known_roots:
            others.append(id_)
        elif (root := known_roots[id_]) is not None:
            found.add(root)
    if others:
        cursor.execute(_USERS["select_cluster_roots"], {"ids": as_json(others)})
        found.update(root for (root,) in cursor)
    return lock_clusters(cursor, roots | found)


def _upsert_users(
    cursor: Cursor,
    rows: TableRows,
    horizon: Stamp,
    roots: frozenset[str],
    known_roots: Mapping[str, str | None],
) -> tuple[dict[str, str], set[str]]:
    """Lock the clusters and upsert the users; return those who belong to a cluster, each with its root, and those whose
    rows are large or who belong to one.
    """
    locked = lock_clusters_of(cursor, rows.user_ids, roots, known_roots)
    upserted: list[UpsertedUser] = []
    for columns in user_columns(rows.users) if rows.users else plain_columns(rows.plain_users):
        statement = _JOBS_AND_USERS["upsert_users"]
        upserted.extend(execute_kept(cursor.connection, statement, {**columns, **UPSERT_LIMITS}))
    return _follow_up(cursor, upserted, locked, horizon)


def _follow_up(
    cursor: Cursor, upserted: list[UpsertedUser], locked: set[str], horizon: Stamp
) -> tuple[dict[str, str], set[str]]:
    """Do what the upsert has found to do; `locked` are the clusters that were locked before it. Return as
    `_upsert_users`.
    """
    members = {id_: root for id_, root, _, _ in upserted if root is not None}
    if not locked.issuperset(members.values()):
        raise ClustersNotLocked(locked.union(members.values()))
    if full := [id_ for id_, _, is_full, _ in upserted if is_full]:
        cursor.execute(_IDENTIFY_LOG["move_from_users"], {"ids": full, "horizon": horizon})
    return members, {id_ for id_, root, _, is_large in upserted if is_large or root is not None}


def _write_push_tokens(cursor: Cursor, changes: list[Row], horizon: Stamp) -> None:
    if changes:
        ids = sorted({change["user_id"] for change in changes})
        cursor.execute(_PUSH_TOKENS["insert"], {"changes": as_json(changes)})
        limits = {"horizon": horizon, "most": MAX_TOKEN_CHANGES}
        cursor.execute(_PUSH_TOKENS["delete_overwritten"], {"ids": ids, **limits})


def _insert_triggers(cursor: Cursor, triggers: list[Row]) -> set[str]:
    """Keep the triggers; return the ids under which another trigger was kept before, as far as that is in the same
    partition. It stands: readers look for a trigger with the stamp of the message.
    """
    new: set[str] = set()
    for start in range(0, len(triggers), STATEMENT_ROWS):
        rows = as_json(triggers[start : start + STATEMENT_ROWS])
        new.update(id_ for (id_,) in cursor.execute(_HISTORY["insert_triggers"], {"triggers": rows}))
    again = {row["job_id"]: row["stamp"] for row in triggers if row["job_id"] not in new}
    if not again:
        return set()
    cursor.execute(_HISTORY["select_triggers"], {"ids": sorted(again)})
    return again.keys() - {job_id for job_id, stamp in cursor if again[job_id] == stamp}


def _insert_messages(
    cursor: Cursor, rows: TableRows, registry: Registry | None, now: int, look_for_deliveries: bool
) -> None:
    if registry is None:
        _insert(cursor, _HISTORY["insert_messages"], messages=rows.messages)
        return
    parts = [rows.messages[start : start + STATEMENT_ROWS] for start in range(0, len(rows.messages), STATEMENT_ROWS)]
    insert_messages(cursor, parts, rows.triggers, registry, now, look_for_deliveries=look_for_deliveries)


def _insert(cursor: Cursor, statement: str, **rows: list[Row]) -> None:
    ((name, values),) = rows.items()
    for start in range(0, len(values), STATEMENT_ROWS):
        cursor.execute(statement, {name: as_json(values[start : start + STATEMENT_ROWS])})
