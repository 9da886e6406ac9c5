"""Compacts the identify log: deletes identify stamps that can no longer decide anything.

Entries of users whom no merge or delete names are deleted by one statement for many. For members of an identity cluster
the core decides, from all facts of the cluster; each cluster is a transaction of its own, which locks it. Afterwards a
member has one entry from before the horizon, and its cluster is not looked at again before there is a second one. Push
tokens that are added again and again go the same way: each time identifies the user, so they fill the log, too.
"""

from __future__ import annotations

from typing import Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.core import decisive_identifies, overwritten_token_changes
from rollbook_worker.store.clusters import read_clusters
from rollbook_worker.store.fact_writer import lock_clusters_of
from rollbook_worker.store.rows import as_json

_ERASURE: Final = load(__package__, "erasure")
_IDENTIFY_LOG: Final = load(__package__, "identify_log")
_PUSH_TOKENS: Final = load(__package__, "push_tokens")

Position = tuple[str, str]
"""Where a scan of a table goes on: the first two columns of its key."""
START: Final[Position] = ("", "")
"""Before the first row."""


def compact_page(
    cursor: Cursor, *, horizon: Stamp, after: Position, limit: int
) -> tuple[int, list[str], Position | None]:
    """Look at `limit` entries after a position; return how many were deleted, the roots of the clusters to compact, and
    where to go on (None: done).
    """
    user_id, last_stamp = after
    parameters = {"horizon": horizon, "user_id": user_id, "last_stamp": last_stamp, "limit": limit}
    row = cursor.execute(_ERASURE["compact_identify_log"], parameters).fetchone()
    if row is None:
        return 0, [], None
    count, roots, user_id, last_stamp = row
    return count, roots or [], (user_id, last_stamp)


def compact_cluster(cursor: Cursor, root: str, *, horizon: Stamp, history: int) -> int:
    """Compact the entries of the cluster that `root` belongs to, and its changes of push tokens; return how many fewer
    entries there are.
    """
    found = read_clusters(cursor, lock_clusters_of(cursor, [root]), [])
    facts = [*found.facts, *found.events]
    if overwritten := overwritten_token_changes(facts, horizon):
        cursor.execute(_PUSH_TOKENS["delete"], {"changes": as_json([change._asdict() for change in overwritten])})
    decisive = decisive_identifies(facts, history, horizon)
    kept: dict[str, list[Stamp]] = {}
    for fact in decisive:
        kept.setdefault(fact.user_id, []).append(fact.stamp)
    cursor.execute(_IDENTIFY_LOG["delete_old"], {"ids": found.ids, "horizon": horizon})
    deleted = cursor.fetchall()
    left: dict[str, set[Stamp]] = {}
    for user_id, stamps in deleted:
        left.setdefault(user_id, set()).update(set(map(Stamp, stamps.split())).intersection(kept.get(user_id, ())))
    entries = [
        {"user_id": user_id, "last_stamp": max(stamps), "identify_stamps": "".join(f"{at} " for at in sorted(stamps))}
        for user_id, stamps in left.items()
        if stamps
    ]
    if entries:
        cursor.execute(_IDENTIFY_LOG["insert"], {"entries": as_json(entries)})
    return len(deleted) - len(entries)
