"""dramatiq, one message per user: one upsert on a kept connection of each thread."""

from __future__ import annotations

import threading
from typing import Any, Final

import dramatiq
import psycopg
from benchmarks.bench.baselines import table
from dramatiq.brokers.redis import RedisBroker
from psycopg.types.json import Json

QUEUE: Final = "baseline"
_kept = threading.local()
# Partly typed, and usually not installed where types are checked.
_actor: Any = dramatiq.actor
_new_broker: Any = RedisBroker


def keep(user_id: str, traits: dict[str, Any]) -> None:
    if not hasattr(_kept, "connection"):
        _kept.connection = psycopg.connect(table.database_url(), autocommit=True)
    _kept.connection.execute(table.UPSERT, (user_id, Json(traits)))


def actor_at(broker_url: str) -> Any:
    """The actor, with its own broker."""
    return _actor(keep, broker=_new_broker(url=broker_url), queue_name=QUEUE, actor_name="keep")


broker = actor_at(table.broker_url()).broker
