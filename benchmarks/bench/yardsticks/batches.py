"""The floor: the same upsert in batches on one connection. No queue, no order, no duplicates, no stamps."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Final

import psycopg
from benchmarks.bench.people import Person

BATCH: Final = 1_000
"""Users in a transaction: where one JSON parameter is fastest here."""
UPSERT_MANY: Final = """
INSERT INTO users (id, data)
SELECT id, data
FROM json_to_recordset(%s::json) AS new (id text, data jsonb)
ON CONFLICT (id) DO UPDATE SET data = users.data || excluded.data
"""


def load(connection: psycopg.Connection, people: Sequence[Person]) -> float:
    """Upsert them all, a commit a batch; returns the seconds it took. The connection must commit by itself."""
    begin = time.perf_counter()
    for first in range(0, len(people), BATCH):
        batch = [{"id": person.id, "data": person.traits} for person in people[first : first + BATCH]]
        connection.execute(UPSERT_MANY, (json.dumps(batch),))
    return time.perf_counter() - begin
