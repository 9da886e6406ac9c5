"""The ground that all sides stand on: one durable Postgres, one Valkey that writes its jobs to disk."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import psycopg
from psycopg.sql import SQL, Identifier

from rollcall.local import Servers, processes

ROOT: Final = Path(__file__).resolve().parents[2]
_LOG_TAIL: Final = 2_000


class Ground:
    """Servers, a database and a broker for whoever asks, and processes that end with the `with`.

    Postgres has its default, durable settings; each side has a database of its own in it, and two numbered databases
    of Valkey: one that its workers listen to, and a waiting room where nobody listens.
    """

    def __init__(self) -> None:
        self._to_undo = ExitStack()
        self._broker_numbers = count(1)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._servers = undo.enter_context(Servers(durable=True, append_only=True))
            self.folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="rollcall-bench-")))
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

    def new_database(self, name: str) -> str:
        """Create an empty database; returns its URL."""
        self._connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return urlsplit(self.database_url)._replace(path=f"/{name}").geturl()

    def new_broker(self) -> str:
        """The URL of a numbered database of Valkey that nobody else uses."""
        return urlsplit(self.broker_url)._replace(path=f"/{next(self._broker_numbers)}").geturl()

    def spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a process that ends, at the latest, with the ground. Its output goes to its log."""
        # Settings of the application that the caller works on would override ours.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("CELERY_", "ROLLCALL_"))}
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
