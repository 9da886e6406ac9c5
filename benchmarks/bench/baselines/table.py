"""The table of the baselines, the upsert, and the URLs of a worker's servers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg.types.json import Json

BROKER: Final = "BENCH_BROKER_URL"
DATABASE: Final = "BENCH_DATABASE_URL"

CREATE: Final = "CREATE TABLE users (id text PRIMARY KEY, data jsonb NOT NULL) WITH (fillfactor = 80)"
UPSERT: Final = """
INSERT INTO users (id, data)
VALUES (%s, %s)
ON CONFLICT (id) DO UPDATE SET data = users.data || excluded.data
"""
FILL: Final = """
INSERT INTO users (id, data)
SELECT %(prefix)s || lpad(number::text, 8, '0'), %(data)s::jsonb
FROM generate_series(0, %(count)s - 1) AS number
"""


def create(database_url: str, *, known: int, prefix: str, data: Mapping[str, Any]) -> None:
    """Create the table and fill it with users."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(CREATE)
        connection.execute(FILL, {"prefix": prefix, "data": Json(dict(data)), "count": known})
        connection.execute("VACUUM ANALYZE users")


def broker_url() -> str:
    return os.environ.get(BROKER, "redis://127.0.0.1:6379/0")


def database_url() -> str:
    return os.environ[DATABASE]
