"""Where it happens: a Postgres and a Valkey of our own behind proxies, two databases, and a way in for ourselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import psycopg
import redis
from benchmarks.chaos.kinds import STATEMENT_SECONDS
from benchmarks.chaos.proxy import Network, Proxy

from rollbook.outbox import create_table
from rollbook_ops.devstack import Servers, append_only_file
from rollbook_shared.jobs.routing import QUEUES
from rollbook_worker.celery_ext.transport.options import Limits

_APPLICATION: Final = "app"
UNACKED: Final = "unacked"
"""The hash in which both transports keep what workers hold."""
KEPT_LETTERS: Final = Limits.dead_key
"""The list of dead letters that no worker could keep."""
_NO_LIMIT: Final = "-c statement_timeout=0 -c lock_timeout=2s"


class Stage:
    """Real servers, durable: what they have confirmed outlives their being killed.

    Valkey has each job on disk before it confirms it. Told to do so once a second, it may lose what it confirmed last
    even if only it is killed (see `benchmarks/keeping.py`), and a run could not tell that from a loss of ours.
    """

    def __init__(self, folder: Path, broker: Path | None = None) -> None:
        """`broker`: the program to start; by default Valkey."""
        self.folder = folder
        self.servers = Servers(durable=True, append_only=True, append_fsync="always", valkey_program=broker)
        self._undo = ExitStack()
        self.to_postgres: defaultdict[str, Proxy] = defaultdict(lambda: self._network.to(self.servers.postgres.port))
        """The way that each process takes, by its name."""
        self.to_valkey: defaultdict[str, Proxy] = defaultdict(lambda: self._network.to(self.servers.valkey.port))

    def start(self) -> Self:
        """Start the servers, migrate, make the outbox, open the proxies."""
        self._undo.enter_context(self.servers)
        database_url = self.servers.database_url
        subprocess.run(
            [sys.executable, "-m", "rollbook_worker.migrations"],
            env=os.environ | {"ROLLBOOK_DATABASE_URL": database_url},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {_APPLICATION}")
        with psycopg.connect(self.application_url) as connection:
            create_table(connection.execute)
        self._network = Network()
        self._undo.callback(self._network.close)
        return self

    @property
    def database_url(self) -> str:
        """Rollbook's database, past the proxy."""
        return self.servers.database_url

    @property
    def application_url(self) -> str:
        """The database with the outbox, past the proxy."""
        return urlsplit(self.servers.database_url)._replace(path=f"/{_APPLICATION}").geturl()

    def environment(self, name: str) -> dict[str, str]:
        """What the process of this name needs to find the stage, by ways of its own."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CELERY_", "ROLLBOOK_"))}
        postgres, valkey = self.to_postgres[name], self.to_valkey[name]
        return {
            **inherited,
            "ROLLBOOK_DATABASE_URL": _through(postgres, self.database_url),
            "ROLLBOOK_OUTBOX_URL": _through(postgres, self.application_url),
            "ROLLBOOK_BROKER_URL": _through(valkey, self.servers.broker_url),
            "ROLLBOOK_OUTBOX_RESEND_SECONDS": "3",
            "ROLLBOOK_STATEMENT_TIMEOUT_SECONDS": str(STATEMENT_SECONDS),
            # nothing settles: what comes too late for an erasure is another matter (see the README on erasure)
            "ROLLBOOK_ERASURE_DELAY_HOURS": str(10 * 365 * 24),
        }

    def connect(self, *, application: bool = False) -> psycopg.Connection:
        """A connection of our own, that no timeout we set for others holds for."""
        url = self.application_url if application else self.database_url
        return psycopg.connect(url, autocommit=True, options=_NO_LIMIT, connect_timeout=5)

    def redis(self) -> redis.Redis:
        """A client of our own."""
        return redis.Redis.from_url(self.servers.broker_url, socket_timeout=5)

    def forget_jobs(self) -> None:
        """Take away what the Valkey that was killed has kept; it stays with the logs."""
        if (kept := self.servers.valkey.home / append_only_file.FOLDER).exists():
            shutil.move(kept, self.folder / f"{kept.name}-{time.time_ns()}")

    def backlog(self) -> dict[str, int]:
        """How much is not done yet, by where it is.

        Raises:
            psycopg.Error, redis.RedisError: a server is not there.
        """
        with self.connect() as connection, self.connect(application=True) as application, self.redis() as client:
            return {
                **{queue: _int(client.llen(queue)) for queue in QUEUES},
                UNACKED: _int(client.hlen(UNACKED)),
                KEPT_LETTERS: _int(client.llen(KEPT_LETTERS)),
                "deferred": _count(connection, "rollbook.deferred_jobs"),
                "outbox": _count(application, "rollbook_outbox"),
            }

    def keep_logs(self) -> None:
        """Copy what the servers wrote to the other logs, for it ends with them. The append-only file tells of each
        message when it came, who took it, and when it was acknowledged.
        """
        for server in (self.servers.postgres, self.servers.valkey):
            shutil.copy(server.log, self.folder)
        if (kept := self.servers.valkey.home / append_only_file.FOLDER).exists():
            shutil.copytree(kept, self.folder / kept.name)

    def stop(self) -> None:
        """Stop all of it. Idempotent."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _through(proxy: Proxy, url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")).geturl()


def _count(connection: psycopg.Connection, table: str) -> int:
    (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
    return int(number)


def _int(answer: object) -> int:
    assert isinstance(answer, int)
    return answer
