"""How workers notify HTTP servers whose feeds may have changed: hashes of user ids on one channel of Redis.

A payload is the hashes of some users, one after the other; it says only "read again". It names no user, and losing one
costs a server no more than another read: `UNKNOWN` says that some were lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

CHANNEL: Final = "rollbook:feeds"
"""The Pub/Sub channel; see `BrokerEndpoint.pubsub_channel`."""
HASH_BYTES: Final = 8
UNKNOWN: Final = b"*"
"""A payload: any feed may have changed."""


def hash_user(user_id: str) -> bytes:
    """What stands for a user in a payload. Two users may share one, which costs a read that shows nothing new."""
    return blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES).digest()


def encode_changes(user_ids: Iterable[str]) -> bytes:
    """The payload that stands for these users."""
    return b"".join(map(hash_user, user_ids))


def decode_changes(payload: bytes) -> tuple[bytes, ...] | None:
    """The hashes in the payload; None: any feed may have changed, as after a payload that cannot be read."""
    if len(payload) % HASH_BYTES:
        return None
    return tuple(payload[start : start + HASH_BYTES] for start in range(0, len(payload), HASH_BYTES))
