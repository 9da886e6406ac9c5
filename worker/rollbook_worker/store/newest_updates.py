"""Applies an update of a merged user that is newer than everything else of its identity cluster.

`project` reads the facts of a cluster in stamp order. The newest fact is read last, so all it can do is what it does to
the user as `project` has left it: an identify sets its keys, and the stamp. That takes no other fact of the cluster,
and costs the same however many ids stand for the user. Every other change computes the cluster anew.

It holds only if the user exists, if no fact of the user and no delete or merge in the cluster has a later stamp, and if
the transaction changes nothing else in the cluster. The facts that the update has replaced do not matter: they set the
same keys of the same id, which the update sets again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_worker.store.rows import Row, TableRows, as_json

MOST_EVENTS: Final = 1_000
"""Deletes and merges of all users that are looked at for one update, a few milliseconds of Postgres. More are stamped
later only if the update is much later than others, as one of a bulk job may be.
"""
_USERS: Final = load(__package__, "users")
_SECTIONS: Final = "ap"
"""First characters of the stored keys of attributes and properties; channel data has push tokens of its own."""


def apply_newest(cursor: Cursor, rows: TableRows, members: Mapping[str, str]) -> set[str]:
    """Apply the updates that are the newest of their clusters to what readers see. The caller has locked the clusters
    and upserted the users.

    members: each of the users that is in a cluster -> its root.

    Returns the roots of the clusters that must be computed anew.
    """
    roots = set(members.values())
    if rows.changes_more_than_users:
        return roots
    changes = Counter(members.values())
    updates = [
        {"id": row["id"], "root": root, "profile": row["profile"], "stamp": row["last_stamp"]}
        for row in rows.rows_of_users(members)
        if (root := members.get(row["id"])) is not None and changes[root] == 1 and _is_one_update(row)
    ]
    if updates:
        cursor.execute(_USERS["apply_newest"], {"updates": as_json(updates), "most_events": MOST_EVENTS})
        roots.difference_update(root for (root,) in cursor)
    return roots


def _is_one_update(row: Row) -> bool:
    """Whether the row holds one identify alone: it is both the first and the last that the transaction has."""
    return (
        row["first_identified"] is not None
        and row["first_identified"] == row["last_stamp"]
        and all(key[0] in _SECTIONS for key in row["profile"])
    )
