"""The keys of erasure receipts, as the database knows them: by a hash.

A receipt names an erased id by a keyed hash. A process with another key finds none of the receipts, and brings erased
users back. So the database keeps a hash of each key with which receipts were written, and a process must know all of
these keys: `ROLLBOOK_ERASURE_KEY`, with which it writes, and `ROLLBOOK_ERASURE_PREVIOUS_KEYS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import psycopg

from rollbook_shared.database.shared_sessions import transaction
from rollbook_shared.database.statements import load
from rollbook_shared.errors import Unavailable

DEFAULT_KEY_WARNING: Final = (
    "ROLLBOOK_ERASURE_KEY is not set: a reader of the receipts of erasure can look up whether a known id was erased"
)
DEFAULT_KEY_ADVICE: Final = "Set a secret: see docs/how-to/erase-and-export.md, the key of the receipts."
WRONG_KEY: Final = (
    "this database has receipts of erasure by a key that is neither ROLLBOOK_ERASURE_KEY nor one of "
    "ROLLBOOK_ERASURE_PREVIOUS_KEYS"
)
WRONG_KEY_ADVICE: Final = (
    "Give this process the keys of the other processes: see docs/how-to/runbook.md, the erasure key is another one."
)
_HASH_BYTES: Final = 16
_SQL: Final = load(__package__, "erasure_keys")


class WrongErasureKey(Unavailable):
    """Receipts of this database were written with a key that this process does not know."""

    def __init__(self) -> None:
        super().__init__(f"{WRONG_KEY}. {WRONG_KEY_ADVICE}")


def knows_all_keys(connection: psycopg.Connection[Any], keys: Sequence[str]) -> bool:
    """Whether no receipt was written with a key that is not one of these. Raises psycopg's errors."""
    return _known_hashes(connection) <= set(map(_hash, keys))


def require_erasure_key(connection: psycopg.Connection[Any], keys: Sequence[str]) -> None:
    """Record the first of the keys, if it is new to the database. The connection is in autocommit.

    Raises:
        WrongErasureKey: the database knows a key that is not one of these.
        psycopg.Error: the server failed, or has no tables of Rollbook.
    """
    hashes = list(map(_hash, keys))
    with transaction(connection):
        known = _known_hashes(connection)
    if not known <= set(hashes):
        raise WrongErasureKey
    if hashes[0] in known:
        return
    with transaction(connection, "ISOLATION LEVEL READ COMMITTED READ WRITE"):
        # another process may be about to record another key
        connection.execute(_SQL["lock"])
        if not _known_hashes(connection) <= set(hashes):
            raise WrongErasureKey
        connection.execute(_SQL["insert"], {"key_hash": hashes[0]})


def _known_hashes(connection: psycopg.Connection[Any]) -> set[bytes]:
    return {bytes(hash_) for (hash_,) in connection.execute(_SQL["select"])}


def _hash(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), person=b"rollbook receipt", digest_size=_HASH_BYTES).digest()
