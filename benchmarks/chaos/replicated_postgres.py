"""A primary Postgres and a synchronous replica, which takes its place when it dies; then a new replica follows that."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TypeVar

import psycopg
from tests.support.replicas import Primary, Replica

from rollbook_ops.devstack.accounts import Account, server_account
from rollbook_ops.devstack.binaries import find_postgres
from rollbook_ops.devstack.folders import OwnedFolder, own_temporary_folder
from rollbook_ops.devstack.postgres import PostgresServer

Kind = TypeVar("Kind", bound=PostgresServer)

_REPLICA: Final = "walreceiver"
"""How a replica names itself to its primary, if nothing else is said."""
_IS_SYNCHRONOUS: Final = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"


class ReplicatedPostgres:
    """What the replica has not confirmed is not answered, so that a promotion loses nothing that was."""

    def __init__(self, folder: OwnedFolder, account: Account | None, undo: ExitStack) -> None:
        self._folder, self._account, self._undo = folder, account, undo
        self.current: PostgresServer
        """The primary."""
        self._standby: Replica
        self._logs: list[Path] = []

    @property
    def logs(self) -> list[Path]:
        """Of all servers there were."""
        return self._logs

    def start(self) -> None:
        """Start both, and return when commits wait for the replica."""
        self.current = _named(Primary, "postgres")(self._folder, self._account, find_postgres(), durable=True)
        self._run(self.current)
        self.follow()

    def follow(self) -> None:
        """Copy the primary, and have its commits wait for the copy from now on."""
        kind = _named(Replica, f"postgres-{len(self._logs) + 1}")
        self._standby = kind(self._folder, self._account, find_postgres(), self.current, durable=True)
        self._run(self._standby)
        self._wait_for(_REPLICA)
        with psycopg.connect(self.current.url, autocommit=True) as connection:
            while connection.execute(_IS_SYNCHRONOUS).fetchone() is None:
                connection.execute("SELECT pg_sleep(0.01)")

    def promote(self) -> None:
        """Let the replica take the place of the primary, which is dead and stays so. Commits wait for none then."""
        self._standby.promote()
        dead, self.current = self.current, self._standby
        self._wait_for("")
        shutil.rmtree(dead.home)

    def _run(self, server: PostgresServer) -> None:
        self._logs.append(server.log)
        self._undo.callback(server.stop)
        server.start()

    def _wait_for(self, replica: str) -> None:
        with psycopg.connect(self.current.url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{replica}'")
            connection.execute("SELECT pg_reload_conf()")


@contextmanager
def running_replicated_postgres() -> Iterator[ReplicatedPostgres]:
    """Its servers end with the block."""
    with ExitStack() as undo:
        folder = own_temporary_folder()
        undo.callback(folder.release)
        replicated = ReplicatedPostgres(folder, server_account(folder.path / "postgres"), undo)
        replicated.start()
        yield replicated


def _named(kind: type[Kind], name: str) -> type[Kind]:
    """Each server has a folder and a log of its name."""
    return type(kind.__name__, (kind,), {"name": name})
