"""The ground that all sides stand on: one durable Postgres, one Valkey that writes its jobs to disk."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg.sql import SQL, Identifier

from rollbook_ops.devstack import Servers, processes

ROOT: Final = Path(__file__).resolve().parents[2]
_LOG_TAIL: Final = 2_000


class Ground:
    """Servers, a database and a broker for whoever asks, and processes that end with the `with`.

    Postgres has its default, durable settings; each side has a database of its own in it, and two numbered databases
    of Valkey: one that its workers listen to, and a waiting room where nobody listens.

    servers: to be used instead, as tests do; what is made in them is removed again.
    first_broker: the first numbered database of Valkey that may be used.
    """

    def __init__(self, servers: Servers | None = None, *, first_broker: int = 1) -> None:
        self._given = servers
        self._to_undo = ExitStack()
        self._broker_numbers = count(first_broker)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._servers = self._given or undo.enter_context(Servers(durable=True, append_only=True))
            self.folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="rollbook-bench-")))
            self._connection = undo.enter_context(psycopg.connect(self._servers.database_url, autocommit=True))
            self._to_undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._to_undo.close()

    @property
    def database_url(self) -> str:
        return self._servers.database_url

    @property
    def broker_url(self) -> str:
        return self._servers.broker_url

    def new_database(self, name: str, *, like: str = "template1") -> str:
        """Create a database, empty or as another one is that nobody is connected to; returns its URL."""
        self._connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(like)))
        if self._given is not None:
            self._to_undo.callback(self._drop, name)
        return urlsplit(self.database_url)._replace(path=f"/{name}").geturl()

    def new_schema(self, name: str) -> str:
        """Create a schema in a database that yardsticks share; returns a URL whose tables are in it.

        Not a database each: to make and to remove one takes seconds on a slow disk.
        """
        url = self._shared_database
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
        return f"{url}?options=-csearch_path%3D{name}"

    @cached_property
    def _shared_database(self) -> str:
        return self.new_database("yardsticks")

    def new_broker(self) -> str:
        """The URL of a numbered database of Valkey that nobody else uses."""
        url = urlsplit(self.broker_url)._replace(path=f"/{next(self._broker_numbers)}").geturl()
        if self._given is not None:
            self._to_undo.callback(_flush, url)
        return url

    def spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a process that ends, at the latest, with the ground. Its output goes to its log."""
        # Settings of the application that the caller works on would override ours.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("CELERY_", "ROLLBOOK_"))}
        process = processes.spawn(command, log=self.log(name), env={**inherited, **environment}, cwd=ROOT)
        self._to_undo.callback(processes.kill, process)
        return process

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def last_words(self, name: str) -> str:
        """How the log of a process ends."""
        log = self.log(name)
        return log.read_text(errors="replace")[-_LOG_TAIL:].strip() if log.exists() else ""

    def checkpoint(self) -> None:
        """Let all sides begin alike: the first change of a page after a checkpoint writes the whole page to the WAL."""
        self._connection.execute("CHECKPOINT")

    def wal_bytes(self) -> int:
        """How much WAL was written so far, by everybody."""
        row = self._connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").fetchone()
        return int(row[0]) if row else 0

    def _drop(self, database: str) -> None:
        self._connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(database)))


def _flush(broker_url: str) -> None:
    with redis.Redis.from_url(broker_url) as client:
        client.flushdb()
