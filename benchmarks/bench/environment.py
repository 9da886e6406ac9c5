"""The environment of all contenders: one durable Postgres, and for each a Valkey that writes its jobs to disk."""

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


class Environment:
    """Servers, databases and brokers for contenders, and processes that end with the `with`.

    Postgres has its default, durable settings. Each contender has its own database, and a Valkey of its own with two
    numbered databases: one for its workers, and a waiting room that no worker reads. Valkey notifies clients of changed
    keys by name, in whichever of its databases: the workers of one contender would wake up for the jobs of others.

    servers: servers to use instead, as tests do; the environment removes what it creates in them.
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
        """Create a database, empty or as a copy of one without connections; return its URL."""
        self._connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(like)))
        if self._given is not None:
            self._to_undo.callback(self._drop, name)
        return urlsplit(self.database_url)._replace(path=f"/{name}").geturl()

    def new_schema(self, name: str) -> str:
        """Create a schema in the database that all baselines share; return a URL whose tables are in it.

        They have no databases of their own, because creating and removing one takes seconds on a slow disk.
        """
        url = self._baseline_database
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
        return f"{url}?options=-csearch_path%3D{name}"

    @cached_property
    def _baseline_database(self) -> str:
        return self.new_database("baselines")

    def new_brokers(self) -> tuple[str, str]:
        """The URLs of two unused numbered databases of one Valkey, which is not used by others unless it was given."""
        if self._given is not None:
            return self.new_broker(), self.new_broker()
        servers = Servers(database_url=self.database_url, durable=True, append_only=True)
        url = urlsplit(self._to_undo.enter_context(servers).broker_url)
        return url._replace(path="/1").geturl(), url._replace(path="/2").geturl()

    def new_broker(self) -> str:
        """The URL of an unused numbered database of the Valkey that is shared."""
        url = urlsplit(self.broker_url)._replace(path=f"/{next(self._broker_numbers)}").geturl()
        if self._given is not None:
            self._to_undo.callback(_flush, url)
        return url

    def spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a process that ends with the environment at the latest. Its output goes to its log."""
        # Settings in the environment of the caller would override ours.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("CELERY_", "ROLLBOOK_"))}
        process = processes.spawn(command, log=self.log(name), env={**inherited, **environment}, cwd=ROOT)
        self._to_undo.callback(processes.kill, process)
        return process

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def log_tails(self, name: str) -> str:
        """The end of the log of a process."""
        log = self.log(name)
        return log.read_text(errors="replace")[-_LOG_TAIL:].strip() if log.exists() else ""

    def checkpoint(self) -> None:
        """Write a checkpoint, so that all start alike: the first change of a page after it writes the whole page."""
        self._connection.execute("CHECKPOINT")

    def wal_bytes(self) -> int:
        """The WAL that was written so far, by all connections."""
        row = self._connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").fetchone()
        return int(row[0]) if row else 0

    def _drop(self, database: str) -> None:
        self._connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(database)))


def _flush(broker_url: str) -> None:
    with redis.Redis.from_url(broker_url) as client:
        client.flushdb()
