"""How workers notify senders that deliveries may be claimed: keys of channels, on one channel of Redis.

A message that is lost costs no more than a second: senders ask the database from time to time.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

REDIS_CHANNEL: Final = "rollbook:deliveries"
"""The Pub/Sub channel; see `BrokerEndpoint.pubsub_channel`."""


def encode_channels(keys: Collection[str]) -> bytes:
    """The payload that names these channels of the registry."""
    return json.dumps(sorted(keys)).encode()


def names_channel(payload: object, key: str) -> bool:
    """Whether the payload names the channel; so does one that cannot be read."""
    try:
        keys = json.loads(payload)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return True
    return not isinstance(keys, list) or key in keys
