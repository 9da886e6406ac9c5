"""Erasure: removes all that is left of users whose delete is older than the erasure delay, and leaves receipts.

Each identity cluster is one short transaction that locks the cluster, like any write to it. What is erased is not found
again, so erasure can stop anywhere and go on later.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Final, LiteralString

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp, occurred_at_of
from rollbook_worker.core import LifecycleEvent, UserDeleted, UsersMerged, compact
from rollbook_worker.store.clusters import read_clusters, recompute
from rollbook_worker.store.console_audit import erase_from_audit
from rollbook_worker.store.fact_writer import lock_clusters_of
from rollbook_worker.store.preference_sets import update_changed_sets
from rollbook_worker.store.rows import Row, rows_of
from rollbook_worker.store.stored_jobs import erase_from_stored_jobs
from rollbook_worker.store.tombstones import id_hash
from rollbook_worker.store.unknown_recipients import note_erased

_ERASURE: Final = load(__package__, "erasure")
_OWNERSHIP_PERIODS: Final = load(__package__, "ownership_periods")
_HISTORY: Final = load(__package__, "history")
_PREFERENCE_SETS: Final = load(__package__, "preference_sets")
_UNKNOWN_RECIPIENTS: Final = load(__package__, "unknown_recipients")
_LARGE_USERS: Final = load(__package__, "large_users")
_RECEIPTS: Final = load(__package__, "erasure_receipts")


def find_deleted(cursor: Cursor, *, after: Stamp, horizon: Stamp, limit: int) -> list[tuple[str, Stamp]]:
    """Some users whose delete lies after `after` and before the horizon, each with the stamp of its delete."""
    cursor.execute(_ERASURE["select_due_deletes"], {"after": after, "horizon": horizon, "limit": limit})
    return cursor.fetchall()


def erase(
    cursor: Cursor, user_id: str, *, horizon: Stamp, expected_from: Stamp, history: int, key: str, now: int
) -> dict[str, int]:
    """Erase what deletes before `horizon` made void in the user's cluster; return how many rows of each table.

    Lifecycle events are removed only with deletes before `expected_from`: until then jobs from before the delete may
    still arrive, and depend on the delete and on what its ids stood for.
    """
    roots = lock_clusters_of(cursor, [user_id])
    found = read_clusters(cursor, roots, [user_id])
    if any(root not in roots for root in found.roots):
        return {}  # it joined another cluster meanwhile; next time
    compaction = compact([*found.facts, *found.events], history, horizon)
    erased = dict(compaction.void_until)
    delay = max(now - occurred_at_of(expected_from), 0)
    counts = erase_from_stored_jobs(cursor, erased, delay=delay, now=now)
    counts["console_audit"] = erase_from_audit(cursor, erased, delay=delay)
    counts |= _delete_rows(cursor, erased)
    kept_stamps = {fact.stamp for fact in compaction.kept if isinstance(fact, (UserDeleted, UsersMerged))}
    void_events = [event for event in found.events if event.stamp not in kept_stamps]
    awaited = [event for event in void_events if _may_still_matter(event, erased, expected_from)]
    removed = [event.stamp for event in void_events if event not in awaited]
    cursor.execute(_ERASURE["delete_lifecycle_events"], {"stamps": removed})
    left = {row["id"]: row for row in rows_of([*compaction.kept, *awaited]).rows_of_users(erased)}
    cursor.execute(_ERASURE["replace_users"], {"users": json.dumps([left[id_] for id_ in erased if id_ in left])})
    cursor.execute(_ERASURE["delete_users"], {"ids": [id_ for id_ in erased if id_ not in left]})
    counts["users"].update(erased.keys())
    cursor.execute(_OWNERSHIP_PERIODS["delete"], {"ids": list(erased)})
    cursor.execute(_PREFERENCE_SETS["delete_resolved"], {"ids": list(erased)})
    cursor.execute(_HISTORY["delete_resolved_channel_engagements"], {"ids": list(erased)})
    update_changed_sets(cursor, erased)
    _write_receipts(cursor, erased, counts, key, now)
    recompute(cursor, found.roots, [], history=history)
    note_erased(cursor, erased)
    return {table: count.total() for table, count in counts.items() if count}


def erase_unowned_history(
    cursor: Cursor, *, horizon: Stamp, after: tuple[str, str], limit: int
) -> tuple[int, tuple[str, str] | None]:
    """Erase the history that merges did not transfer, `limit` ownership periods after `after`; return how many rows,
    and where to go on (None: done).
    """
    user_id, valid_from = after
    parameters = {"horizon": horizon, "user_id": user_id, "valid_from": valid_from, "limit": limit}
    row = cursor.execute(_ERASURE["delete_unowned_history"], parameters).fetchone()
    if row is None:
        return 0, None
    count, job_ids, user_id, valid_from = row
    cursor.execute(_ERASURE["delete_triggers"], {"job_ids": job_ids or []})
    return count, (user_id, valid_from)


def _may_still_matter(event: LifecycleEvent, erased: Mapping[str, Stamp], expected_from: Stamp) -> bool:
    """Whether jobs may still arrive that depend on an event which decides nothing of what is known by now."""
    return max(event.stamp, *(erased.get(id_, "") for id_ in event.user_ids)) >= expected_from


def _delete_rows(cursor: Cursor, erased: Mapping[str, Stamp]) -> dict[str, Counter[str]]:
    """Delete the rows of erased users; return, by table, how many of each user."""
    counts: dict[str, Counter[str]] = {"users": Counter()}
    if not erased:
        return counts
    rows = json.dumps([{"id": id_, "until": until} for id_, until in erased.items()])
    statements: dict[str, LiteralString] = {
        "identify_log": _ERASURE["delete_identify_log"],
        "preference_set_versions": _ERASURE["delete_preference_sets"],
        "push_token_changes": _ERASURE["delete_push_tokens"],
        "push_token_users": _ERASURE["delete_push_token_users"],
        "messages": _ERASURE["delete_messages"],
        "engagements": _ERASURE["delete_engagements"],
        "channel_engagements": _ERASURE["delete_channel_engagements"],
        "triggers as actor": _ERASURE["clear_actors"],
    }
    for table, statement in statements.items():
        cursor.execute(statement, {"erased": rows})
        counts[table] = Counter(id_ for (id_,) in cursor)
    cursor.execute(_ERASURE["delete_activities"], {"erased": rows})
    activities = cursor.fetchall()
    counts["activities"] = Counter(id_ for id_, _ in activities)
    cursor.execute(_ERASURE["delete_triggers"], {"job_ids": sorted({job_id for _, job_id in activities})})
    cursor.execute(_ERASURE["remove_skipped"], {"ids": list(erased)})
    cursor.execute(_UNKNOWN_RECIPIENTS["delete_of_erased"], {"erased": rows})
    cursor.execute(_LARGE_USERS["delete"], {"ids": list(erased)})
    return counts


def _write_receipts(
    cursor: Cursor, erased: Mapping[str, Stamp], counts: Mapping[str, Counter[str]], key: str, now: int
) -> None:
    receipts: list[Row] = [
        {
            "id_hash": id_hash(id_, key).hex(),
            "stamp": until,
            "erased": {table: count[id_] for table, count in counts.items() if count[id_]},
        }
        for id_, until in erased.items()
    ]
    if receipts:
        cursor.execute(_RECEIPTS["upsert"], {"receipts": json.dumps(receipts), "now": now})
