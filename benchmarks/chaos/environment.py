"""The servers of a run: a Postgres with two databases and a Valkey, both behind a network that can fail; and what
senders send to.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import defaultdict
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import psycopg
import redis
from benchmarks.chaos.delivery_journal import JOURNAL
from benchmarks.chaos.fault_kinds import HTTP_SERVER, LOCK_SECONDS, POSTGRES, SENDERS, SINK, STATEMENT_SECONDS
from benchmarks.chaos.http_producer import SECRET_KEY
from benchmarks.chaos.old_history import OLD_ROWS, OldHistory, count_old_rows, write_old_history
from benchmarks.chaos.packet_network import Link, PacketNetwork
from benchmarks.chaos.proxy import Network, Proxy
from benchmarks.chaos.replicated_postgres import ReplicatedPostgres, running_replicated_postgres
from benchmarks.chaos.sender_registry import REGISTRY, sink_variables
from benchmarks.chaos.servers_at_nodes import ServersAtNodes
from benchmarks.chaos.sink import Sink

from rollbook.outbox import create_table
from rollbook_ops.devstack import ServerFailed, Servers, append_only_file, processes
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port
from rollbook_ops.devstack.postgres import PostgresServer
from rollbook_shared.jobs.celery_task import QUEUES
from rollbook_worker.celery_ext.transport.channel import LeaseOptions

_APPLICATION: Final = "app"
_REGISTRY: Final = "registry.toml"
DELIVERIES: Final = "deliveries"
"""The place of the backlog where messages wait for senders."""
_WAITING_DELIVERIES: Final = (
    "rollbook.deliveries WHERE state IN ('claimed', 'failed') OR (state = 'pending' AND due_at <= now())"
)
UNACKED: Final = "unacked"
"""The hash in which both transports keep messages in flight."""
UNPROCESSABLE: Final = LeaseOptions.dead_letter_key
"""The list of messages that could not be kept as dead letters."""
_HURRY: Final = "UPDATE rollbook.deliveries SET due_at = now() WHERE state = ANY(%s) AND due_at > now()"
_NO_LIMIT: Final = "-c statement_timeout=0 -c lock_timeout=2s"


class Environment:
    """Real, durable servers: what they have confirmed survives a kill.

    Valkey writes each job to disk before it confirms it. If it wrote once a second, a kill could lose confirmed jobs
    (see `benchmarks/durability.py`), and a run could not distinguish that from a loss by Rollbook.
    """

    servers: Servers

    def __init__(
        self,
        folder: Path,
        broker: Path | None = None,
        *,
        is_replicated: bool = False,
        packets: PacketNetwork | None = None,
        old_history: OldHistory | None = None,
    ) -> None:
        """`broker`: the program to start; Valkey by default. `is_replicated`: whether Postgres can fail over.
        `packets`: the network between namespaces; without it processes reach the servers through proxies.
        `old_history`: what maintenance drops, by the retention that it names.
        """
        self._old_history = old_history
        self.packets = packets
        self.folder = folder
        self._broker = broker
        self._is_replicated = is_replicated
        self._replicated: ReplicatedPostgres | None = None
        self.http_port = free_port()
        """Of the HTTP server."""
        self._undo = ExitStack()
        self.to_postgres: defaultdict[str, Proxy] = defaultdict(lambda: self._network.to(self.postgres.port))
        """Process name -> its proxy for Postgres, if there is no network of packets."""
        self.to_valkey: defaultdict[str, Proxy] = defaultdict(lambda: self._network.to(self.servers.valkey.port))

    def start(self) -> Self:
        """Start the servers, migrate, create the outbox, open the network."""
        if self._is_replicated:
            self._replicated = self._undo.enter_context(running_replicated_postgres())
        self.servers = self._undo.enter_context(self._make_servers())
        database_url = self.database_url
        migration = processes.spawn(
            [sys.executable, "-m", "rollbook_worker.migrations"],
            log=self.folder / "migration.log",
            env=os.environ | {"ROLLBOOK_DATABASE_URL": database_url},
        )
        if status := migration.wait():
            raise ServerFailed(f"the migration ended with exit code {status}")
        if self._old_history is not None:
            write_old_history(database_url, self._old_history, now=time.time_ns() // 1_000)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {_APPLICATION}")
        with psycopg.connect(self.application_url) as connection:
            create_table(connection.execute)
        self._network = Network()
        self._undo.callback(self._network.close)
        with self.place(SINK):
            self.sink = Sink(self._address_of(SINK))
        self._undo.callback(self.sink.close)
        (self.folder / _REGISTRY).write_text(REGISTRY)
        return self

    @property
    def database_url(self) -> str:
        """Rollbook's database, without a proxy."""
        return self.postgres.url

    @property
    def postgres(self) -> PostgresServer:
        """The server that accepts writes."""
        return self._replicated.current if self._replicated else self.servers.postgres

    def promote(self) -> None:
        """Let the replica take the place of the dead Postgres, and another one follow it."""
        if self._replicated is None:
            raise ServerFailed("there is no replica to promote")
        self._replicated.promote()
        for proxy in self.to_postgres.values():
            proxy.lead_to(self.postgres.port)
        self._replicated.follow()

    @property
    def application_url(self) -> str:
        """The database with the outbox, without a proxy."""
        return urlsplit(self.database_url)._replace(path=f"/{_APPLICATION}").geturl()

    def variables(self, name: str) -> dict[str, str]:
        """The environment variables of the process of this name, with the URLs of its proxies."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CELERY_", "ROLLBOOK_"))}
        return {
            **inherited,
            **self._server_urls(name),
            "ROLLBOOK_SERVER_URL": f"http://{self.http_host}:{self.http_port}",
            "ROLLBOOK_SECRET_KEYS": SECRET_KEY,
            "ROLLBOOK_REGISTRY": str(self.folder / _REGISTRY),
            **sink_variables(self.sink.url, name),
            JOURNAL: str(self._journal_of(name)),
            "ROLLBOOK_OUTBOX_RESEND_SECONDS": "3",
            "ROLLBOOK_STATEMENT_TIMEOUT_SECONDS": str(STATEMENT_SECONDS),
            "ROLLBOOK_LOCK_TIMEOUT_SECONDS": str(LOCK_SECONDS),
            **self._retention(),
            # nothing is erased: a job that arrives after an erasure is not part of the reference
            "ROLLBOOK_ERASURE_DELAY_HOURS": str(10 * 365 * 24),
        }

    def _retention(self) -> dict[str, str]:
        if self._old_history is None:
            return {}
        return {"ROLLBOOK_MESSAGE_RETENTION_DAYS": repr(self._old_history.retention / timedelta(days=1))}

    @property
    def http_host(self) -> str:
        """The address of the HTTP server."""
        return self._address_of(HTTP_SERVER)

    def place(self, name: str) -> AbstractContextManager[None]:
        """Processes that are started within the block are in the network where this one belongs."""
        return self.packets.entered(name) if self.packets else nullcontext()

    def link(self, name: str, server: str) -> Link | Proxy:
        """What passes between a process and a server."""
        if self.packets:
            return self.packets.link(name, server)
        return (self.to_postgres if server == POSTGRES else self.to_valkey)[name]

    def _make_servers(self) -> Servers:
        if self.packets:
            return ServersAtNodes(self.packets, self._broker)
        return Servers(
            durable=True,
            append_only=True,
            append_fsync="always",
            valkey_program=self._broker,
            database_url=self._replicated.current.url if self._replicated else None,
        )

    def _address_of(self, node: str) -> str:
        return self.packets.node(node).address if self.packets else LOOPBACK

    def _server_urls(self, name: str) -> dict[str, str]:
        urls = {
            "ROLLBOOK_DATABASE_URL": self.database_url,
            "ROLLBOOK_OUTBOX_URL": self.application_url,
            "ROLLBOOK_BROKER_URL": self.servers.broker_url,
        }
        if self.packets:
            return urls
        proxies = {"ROLLBOOK_BROKER_URL": self.to_valkey[name]}
        return {key: _through(proxies.get(key, self.to_postgres[name]), url) for key, url in urls.items()}

    def _journal_of(self, sender: str) -> Path:
        return self.folder / f"{sender}.deliveries"

    def connect(self, *, application: bool = False) -> psycopg.Connection:
        """A connection without a proxy and without the statement timeout."""
        url = self.application_url if application else self.database_url
        return psycopg.connect(url, autocommit=True, options=_NO_LIMIT, connect_timeout=5)

    def redis(self) -> redis.Redis:
        """A client without a proxy."""
        return redis.Redis.from_url(self.servers.broker_url, socket_timeout=5)

    def delivery_journals(self) -> list[Path]:
        """The files in which senders have recorded what they did."""
        return [file for file in map(self._journal_of, SENDERS) if file.exists()]

    def hurry_deliveries(self, *, unknown_recipients: bool) -> None:
        """Let the time pass that deliveries wait after a failure, or for recipients who are not known.

        Raises:
            psycopg.Error: Postgres does not answer.
        """
        with self.connect() as connection:
            connection.execute(_HURRY, [["failed", "pending"] if unknown_recipients else ["failed"]])

    def forget_jobs(self) -> None:
        """Move the append-only file of the killed Valkey to the logs."""
        if (kept := self.servers.valkey.home / append_only_file.FOLDER).exists():
            shutil.move(kept, self.folder / f"{kept.name}-{time.time_ns()}")

    def backlog(self) -> dict[str, int]:
        """What is not done yet: place -> number.

        Raises:
            psycopg.Error, redis.RedisError: a server does not answer.
        """
        with self.connect() as connection, self.connect(application=True) as application, self.redis() as client:
            return {
                **{queue: _int(client.llen(queue)) for queue in QUEUES},
                UNACKED: _int(client.hlen(UNACKED)),
                UNPROCESSABLE: _int(client.llen(UNPROCESSABLE)),
                "deferred": _count(connection, "rollbook.deferred_jobs"),
                DELIVERIES: _count(connection, _WAITING_DELIVERIES),
                "outbox": _count(application, "rollbook_outbox WHERE finished_at IS NULL"),
                OLD_ROWS: count_old_rows(connection, self._old_history) if self._old_history else 0,
            }

    def keep_logs(self) -> None:
        """Copy the servers' logs to the other logs before they are removed. The append-only file shows when each
        message arrived, which worker took it, and when it was acknowledged.
        """
        logs = self._replicated.logs if self._replicated else [self.servers.postgres.log]
        for log in (*logs, self.servers.valkey.log):
            shutil.copy(log, self.folder)
        if (kept := self.servers.valkey.home / append_only_file.FOLDER).exists():
            shutil.copytree(kept, self.folder / kept.name)

    def stop(self) -> None:
        """Stop everything. Idempotent."""
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
