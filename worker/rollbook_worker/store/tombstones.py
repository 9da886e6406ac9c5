"""Receipts: that an id was erased, known by a keyed hash of it. They stand in for the deletes that erasure took away.

A job stamped before such a delete and arriving years later must not bring the user back, nor leave the id in the rows
of a trigger. So what is told late (rare: jobs are seconds old when they arrive) is checked against the receipts, and
the delete is restored beside it; when maintenance comes by, both are erased.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from psycopg import Cursor

from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.core import Activity, Ended, Fact, Identified, Seen, Told, Triggered
from rollbook_worker.store.statements import load

CAUTION: Final = 2
"""A fact is late that is older than this part of the settling time, a half. Not all of it: a maintenance process
whose clock is ahead of the worker's, or whose settling time is shorter, erases earlier than the worker expects.
"""
_RECEIPTS: Final = load("erasure_receipts")
_KEY_BYTES: Final = hashlib.blake2b.MAX_KEY_SIZE
_HASH_BYTES: Final = 16


def id_hash(user_id: str, key: str) -> bytes:
    """The name under which a receipt knows an erased id."""
    return hashlib.blake2b(user_id.encode(), key=key.encode()[:_KEY_BYTES], digest_size=_HASH_BYTES).digest()


def late(facts: Iterable[Fact | Identified], *, horizon: Stamp) -> dict[str, Stamp]:
    """The users whom facts from before the horizon name, each with the stamp of the earliest."""
    earliest: dict[str, Stamp] = {}
    for fact in facts:
        if fact.stamp < horizon:
            for user in _named(fact):
                earliest[user] = min(fact.stamp, earliest.get(user, fact.stamp))
    return earliest


def restored(cursor: Cursor, earliest: Mapping[str, Stamp], *, key: str) -> list[Ended]:
    """The erased deletes that the facts come too late for, of which these are the earliest. Ask when the users are
    held: before, an erasure may be under way, whose receipts are not seen yet.
    """
    hashes = {id_hash(user, key): user for user in earliest}
    cursor.execute(_RECEIPTS["select_newest"], {"hashes": list(hashes)})
    found = [(hashes[bytes(hash_)], Stamp(stamp)) for hash_, stamp in cursor]
    return [Ended(_beside(stamp, user, key), user, None) for user, stamp in found if earliest[user] < stamp]


def _named(fact: Fact | Identified) -> tuple[str, ...]:
    match fact:
        case Ended(user=user, primary_id=str(primary_id)):
            return user, primary_id
        case Identified(user=user) | Seen(user=user) | Told(user=user) | Ended(user=user):
            return (user,)
        case Triggered(actor=str(actor)):
            return (actor,)
        case Activity(recipient=recipient):  # has the messages' recipients
            return (recipient,)
        case _:
            return ()


def _beside(stamp: Stamp, user: str, key: str) -> Stamp:
    # one delete may have ended several ids, and an ending is known by its stamp: this one sorts right behind it
    # (its own is made of a place behind a "!"; one without was restored before)
    return Stamp(f"{stamp}.{id_hash(user, key).hex()[:8]}") if stamp[-5] == "!" else stamp
