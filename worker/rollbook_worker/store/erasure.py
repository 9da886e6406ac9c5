"""Erasure: takes away all that is left of users whose delete has settled, family by family, and leaves receipts.

Each family is one short transaction that holds its head, like any write to it. What is erased is no longer found, so
it can stop anywhere and go on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, LiteralString

from psycopg import Cursor

from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.core import Ended, settle
from rollbook_worker.store.clusters import family_of, refold
from rollbook_worker.store.fact_writer import hold
from rollbook_worker.store.rows import as_json, lines_of
from rollbook_worker.store.statements import load
from rollbook_worker.store.tombstones import id_hash

_ERASURE: Final = load("erasure")
_OWNERSHIP_PERIODS: Final = load("ownership_periods")
_PREFERENCE_SETS: Final = load("preference_sets")
_RECEIPTS: Final = load("erasure_receipts")
_USERS: Final = load("users")


def settled_users(cursor: Cursor, *, after: Stamp, horizon: Stamp, limit: int) -> list[tuple[str, Stamp]]:
    """Some users whose delete lies before the horizon, and behind `after`; each with the stamp of its delete."""
    cursor.execute(_ERASURE["select_due_deletes"], {"after": after, "horizon": horizon, "limit": limit})
    return cursor.fetchall()


def erase(
    cursor: Cursor, user: str, *, horizon: Stamp, settled: Stamp, history: int, key: str, now: int
) -> dict[str, int]:
    """Erase what deletes before `horizon` made void in the user's family; return how many rows of each table.

    Endings go only with deletes before `settled`: until then jobs from before the delete may still arrive, and must
    find it, and whom the ids stood for.
    """
    cursor.execute(_USERS["select_cluster_roots"], {"ids": as_json([user])})
    heads = hold(cursor, {head for (head,) in cursor})
    family = family_of(cursor, heads, [user])
    if any(head not in heads for head in family.heads):
        return {}  # it joined another family meanwhile; next time
    facts = [*family.told, *family.endings]
    settlement = settle(facts, history, horizon)
    gone = dict(settlement.until)
    counts = _erase_rows(cursor, gone)
    standing = {fact.stamp for fact in settlement.kept if isinstance(fact, Ended)}
    over = [ending for ending in family.endings if ending.stamp not in standing]
    late = [ending for ending in over if _may_be_asked(ending, gone, settled)]
    cursor.execute(
        _ERASURE["delete_lifecycle_events"], {"stamps": [ending.stamp for ending in over if ending not in late]}
    )
    kept = [*settlement.kept, *late]
    left = {line["id"]: line for line in lines_of(kept).users}
    cursor.execute(_ERASURE["replace_users"], {"users": json.dumps([left[id_] for id_ in gone if id_ in left])})
    cursor.execute(_ERASURE["delete_users"], {"ids": [id_ for id_ in gone if id_ not in left]})
    counts["users"].update(gone.keys())
    cursor.execute(_OWNERSHIP_PERIODS["delete"], {"ids": list(gone)})
    cursor.execute(_PREFERENCE_SETS["delete_resolved"], {"ids": list(gone)})
    cursor.execute(_ERASURE["delete_dead_letters"], {"texts": [json.dumps(id_) for id_ in gone], "horizon": horizon})
    _give_receipts(cursor, gone, counts, key, now)
    refold(cursor, family.heads, [], history=history)
    return {table: count.total() for table, count in counts.items() if count}


def erase_left_behind(
    cursor: Cursor, *, horizon: Stamp, after: tuple[str, str], limit: int
) -> tuple[int, tuple[str, str] | None]:
    """Erase history older than merges took over, span by span; return how many rows, and where to go on (None:
    done).
    """
    user_id, valid_from = after
    cursor.execute(
        _ERASURE["delete_unowned_history"],
        {"horizon": horizon, "user_id": user_id, "valid_from": valid_from, "limit": limit},
    )
    row = cursor.fetchone()
    if row is None:
        return 0, None
    erased, job_ids, user_id, valid_from = row
    cursor.execute(_ERASURE["delete_triggers"], {"job_ids": job_ids or []})
    return erased, (user_id, valid_from)


def _may_be_asked(ending: Ended, gone: Mapping[str, Stamp], settled: Stamp) -> bool:
    """Whether jobs may still arrive that depend on an ending which says nothing any more of what is known by now."""
    return (
        max(ending.stamp, *(gone.get(name, "") for name in (ending.user, ending.primary_id) if name is not None))
        >= settled
    )


def _erase_rows(cursor: Cursor, gone: Mapping[str, Stamp]) -> dict[str, Counter[str]]:
    """Erase the rows of those who are gone; return, by table, how many of each."""
    if not gone:
        return {"users": Counter()}
    lines = json.dumps([{"id": id_, "until": until} for id_, until in gone.items()])
    counts: dict[str, Counter[str]] = {"users": Counter()}
    statements: dict[str, LiteralString] = {
        "identify_log": _ERASURE["delete_identify_log"],
        "preference_set_versions": _ERASURE["delete_preference_sets"],
        "messages": _ERASURE["delete_messages"],
        "triggers as actor": _ERASURE["clear_actors"],
    }
    for table, statement in statements.items():
        cursor.execute(statement, {"erased": lines})
        counts[table] = Counter(id_ for (id_,) in cursor)
    cursor.execute(_ERASURE["delete_activities"], {"erased": lines})
    activities = cursor.fetchall()
    counts["activities"] = Counter(id_ for id_, _ in activities)
    cursor.execute(_ERASURE["delete_triggers"], {"job_ids": sorted({job_id for _, job_id in activities})})
    cursor.execute(_ERASURE["remove_skipped"], {"ids": list(gone)})
    return counts


def _give_receipts(
    cursor: Cursor, gone: Mapping[str, Stamp], counts: Mapping[str, Counter[str]], key: str, now: int
) -> None:
    receipts: list[dict[str, Any]] = [
        {
            "id_hash": id_hash(id_, key).hex(),
            "stamp": until,
            "erased": {table: count[id_] for table, count in counts.items() if count[id_]},
        }
        for id_, until in gone.items()
    ]
    if receipts:
        cursor.execute(_RECEIPTS["upsert"], {"receipts": json.dumps(receipts), "now": now})
