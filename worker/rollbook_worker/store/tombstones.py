"""Erasure receipts as tombstones: a receipt records that an id was erased, by a keyed hash of it, and stands in for the
delete that erasure removed.

A job stamped before such a delete and arriving years later must not bring the user back, nor leave the id in the rows
of a trigger. So late facts (rare: jobs are seconds old when they arrive) are checked against the receipts, and the
delete is restored with them; the next erasure removes both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.core import (
    ActivityCreated,
    ChannelEngagementChanged,
    EngagementChanged,
    Fact,
    Facts,
    PreferencesUpdated,
    ProfileKeySet,
    PushTokenChanged,
    PushTokenSent,
    UserDeleted,
    UserIdentified,
    UsersMerged,
    UsersUpdated,
    UserUpdated,
    WorkflowTriggered,
)

LATE: Final = timedelta(minutes=5)
"""A fact is late if it is older than this, or than half of the erasure delay. Not than all of it: `rollbook erase` does
not wait, and a maintenance process whose delay is shorter erases earlier than the worker expects.
"""
_RECEIPTS: Final = load(__package__, "erasure_receipts")
_KEY_BYTES: Final = hashlib.blake2b.MAX_KEY_SIZE
_HASH_BYTES: Final = 16


def id_hash(user_id: str, key: str) -> bytes:
    """The hash by which a receipt names an erased id."""
    return hashlib.blake2b(user_id.encode(), key=key.encode()[:_KEY_BYTES], digest_size=_HASH_BYTES).digest()


def earliest_stamps(facts: Iterable[Facts]) -> dict[str, Stamp]:
    """The users that the facts name, each with the earliest stamp."""
    earliest: dict[str, Stamp] = {}
    for fact in chain.from_iterable(each.updates() if isinstance(each, UsersUpdated) else (each,) for each in facts):
        for user_id in _user_ids(fact):
            earliest[user_id] = min(fact.stamp, earliest.get(user_id, fact.stamp))
    return earliest


def restore_tombstones(cursor: Cursor, earliest: Mapping[str, Stamp], *, keys: Sequence[str]) -> list[UserDeleted]:
    """The erased deletes that came after these stamps, of receipts that were written with any of the keys.

    Call this when the users are locked: before, an erasure may be under way whose receipts are not visible yet.
    """
    if not earliest:
        return []
    hashes = {id_hash(user_id, key): user_id for user_id in earliest for key in keys}
    cursor.execute(_RECEIPTS["select_newest"], {"hashes": list(hashes)})
    receipts = [(hashes[bytes(hash_)], Stamp(stamp)) for hash_, stamp in cursor]
    return [
        UserDeleted(_tombstone_stamp(stamp, user_id, keys[0]), user_id)
        for user_id, stamp in receipts
        if earliest[user_id] < stamp
    ]


def _user_ids(fact: Fact | UserUpdated) -> tuple[str, ...]:
    match fact:
        case UsersMerged() | UserDeleted():
            return fact.user_ids
        case UserUpdated() | UserIdentified() | ProfileKeySet() | PreferencesUpdated() | PushTokenChanged():
            return (fact.user_id,)
        case ChannelEngagementChanged() | PushTokenSent():
            return (fact.user_id,)
        case EngagementChanged(user_id=str(user_id)):
            return (user_id,)
        case WorkflowTriggered(actor=str(actor)):
            return (actor,)
        case ActivityCreated(recipient=recipient):  # has the recipients of the messages
            return (recipient,)
        case _:
            return ()


def _tombstone_stamp(stamp: Stamp, user_id: str, key: str) -> Stamp:
    # one delete may have ended several ids, and a lifecycle event is known by its stamp: this one sorts right after it
    # (a job's stamp ends in "!" and the ordinal; a stamp without "!" there was restored before)
    return Stamp(f"{stamp}.{id_hash(user_id, key).hex()[:8]}") if stamp[-5] == "!" else stamp
