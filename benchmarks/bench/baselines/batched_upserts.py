"""The floor: the same upsert in batches on one connection. No queue, no order, no duplicates, no stamps."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Final

import psycopg
from benchmarks.bench.users import UserRecord

BATCH: Final = 1_000
"""Users in a transaction; the fastest number for one JSON parameter."""
UPSERT_MANY: Final = """
INSERT INTO users (id, data)
SELECT id, data
FROM json_to_recordset(%s::json) AS new (id text, data jsonb)
ON CONFLICT (id) DO UPDATE SET data = users.data || excluded.data
"""


def load(connection: psycopg.Connection, users: Sequence[UserRecord]) -> float:
    """Upsert all users with a commit per batch; return the seconds. The connection must be in autocommit mode."""
    begin = time.perf_counter()
    for first in range(0, len(users), BATCH):
        batch = [{"id": user.id, "data": user.traits} for user in users[first : first + BATCH]]
        connection.execute(UPSERT_MANY, (json.dumps(batch),))
    return time.perf_counter() - begin
