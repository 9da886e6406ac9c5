"""The contenders of the store's benchmark, each with its own database in one durable Postgres."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import psycopg
from benchmarks.store_workloads import DAY, PAIRS, Batch, pair, traits_of, user_id

from rollbook_shared.domain.stamps import new_job_id, stamp
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Merge
from rollbook_worker.celery_ext.processes import tune_garbage_collector
from rollbook_worker.store import PostgresStore, ReceivedJob

_LOADED_AT_ONCE: Final = 10_000


class Measurement(NamedTuple):
    """The measurement of some batches."""

    seconds: float
    decoding: float
    """Seconds of them before the store was called, the sum of all threads."""
    wal_bytes: int


class Contender(Protocol):
    def load(self, first: int, last: int) -> None:
        """Put the users of these numbers into the table, and vacuum it."""

    def run(self, batches: Sequence[Batch]) -> Measurement:
        """Apply each batch in its own transaction, as many at once as there are threads."""


class Floor:
    """Psycopg upserts the same rows in batches, in id order: no queue, no stamps, no job status, no merges."""

    _UPSERT: Final = (
        "INSERT INTO users AS u (id, data)"
        " SELECT id, data FROM json_to_recordset(%s::json) AS n (id text, data jsonb)"
        " ON CONFLICT (id) DO UPDATE SET data = u.data || excluded.data"
    )

    def __init__(self, server_url: str, threads: int) -> None:
        self._url = _database(server_url, "floor")
        self._threads = ThreadPoolExecutor(threads)
        self._connection = psycopg.connect(self._url, autocommit=True)
        self._local = threading.local()
        self._connection.execute('CREATE TABLE users (id text COLLATE "C" PRIMARY KEY, data jsonb NOT NULL)')

    def load(self, first: int, last: int) -> None:
        _load(self._connection, "COPY users (id, data) FROM STDIN", first, last, traits_of)

    def run(self, batches: Sequence[Batch]) -> Measurement:
        gc.collect()
        before = _wal(self._connection)
        begin = time.perf_counter()
        list(self._threads.map(self._upsert, batches))
        return Measurement(time.perf_counter() - begin, 0.0, _wal(self._connection) - before)

    def close(self) -> None:
        self._threads.shutdown()
        self._connection.close()

    def _upsert(self, batch: Batch) -> None:
        if not hasattr(self._local, "connection"):
            self._local.connection = psycopg.connect(self._url, autocommit=True)
        lines = [{"id": id_, "data": traits} for id_, traits in sorted(batch.rows)]
        self._local.connection.execute(self._UPSERT, (json.dumps(lines),))


class Rollbook:
    """The store, from message text to commit."""

    def __init__(self, server_url: str, threads: int, database: str = "rollbook") -> None:
        self.url = url = _database(server_url, database)
        self._threads = ThreadPoolExecutor(threads)
        environment = os.environ | {"ROLLBOOK_DATABASE_URL": url}
        subprocess.run([sys.executable, "-m", "rollbook_worker.migrations"], env=environment, check=True)
        tune_garbage_collector()
        self.store = PostgresStore(url)
        self._connection = psycopg.connect(url, autocommit=True)

    def load(self, first: int, last: int) -> None:
        at = stamp(time.time_ns() // 1_000 - DAY, "loaded")
        copy = (
            "COPY rollbook.users"
            " (id, profile, base_stamp, first_identified, last_stamp, key_stamps, identify_stamps) FROM STDIN"
        )

        def stored(number: int, version: int) -> dict[str, Any]:
            traits = traits_of(number, version)
            attributes = ("email", "name", "avatar", "phone_number", "locale")
            return {f"{'a' if key in attributes else 'p'}.{key}": value for key, value in traits.items()}

        _load(self._connection, copy, first, last, stored, at, at, at, "{}", "")

    def merge_pairs(self) -> None:
        """Make the clusters that the workload `cluster` updates."""
        for start in range(0, PAIRS, 100):
            merges = [_merge(*pair(number)) for number in range(start, start + 100)]
            self.store.apply([ReceivedJob.of(merge) for merge in merges], now=time.time_ns() // 1_000)

    def run(self, batches: Sequence[Batch]) -> Measurement:
        gc.collect()
        before = _wal(self._connection)
        begin = time.perf_counter()
        decoding = sum(self._threads.map(self._apply, batches))
        return Measurement(time.perf_counter() - begin, decoding, _wal(self._connection) - before)

    def close(self) -> None:
        self._threads.shutdown()
        self.store.close()
        self._connection.close()

    def _apply(self, batch: Batch) -> float:
        begin = time.perf_counter()
        arrivals = [ReceivedJob.of(message) for message in batch.messages]
        decoded = time.perf_counter()
        self.store.apply(arrivals, now=time.time_ns() // 1_000)
        return decoded - begin


def _merge(primary: str, secondary: str) -> str:
    at = time.time_ns() // 1_000
    return encode(Merge(id=new_job_id(at), occurred_at=at, primary_id=primary, secondary_id=secondary))


def _load(connection: psycopg.Connection, copy: str, first: int, last: int, data: Any, *rest: str) -> None:
    with connection.cursor() as cursor:
        for start in range(first, last, _LOADED_AT_ONCE):
            with cursor.copy(copy.encode()) as rows:
                for number in range(start, min(last, start + _LOADED_AT_ONCE)):
                    rows.write_row((user_id(number), json.dumps(data(number, 0)), *rest))
    connection.execute("VACUUM (FREEZE, ANALYZE)")
    connection.execute("CHECKPOINT")


def _wal(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").fetchone()
    assert row is not None
    return int(row[0])


def _database(server_url: str, name: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()
