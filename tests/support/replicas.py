"""A primary Postgres and a replica that streams from it, as real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psycopg

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.accounts import Account
from rollbook_ops.devstack.folders import OwnedFolder
from rollbook_ops.devstack.postgres import PostgresServer

_TO_BE_FOLLOWED: Final = ("-c", "wal_level=replica", "-c", "max_wal_senders=4")


class Primary(PostgresServer):
    """Postgres with what a replica needs."""

    name = "primary"

    def _command(self) -> list[str | Path]:
        return [*super()._command(), *_TO_BE_FOLLOWED]


class Replica(PostgresServer):
    """A copy of the primary that takes in what the primary commits, and no writes of others."""

    name = "replica"

    def __init__(
        self,
        folder: OwnedFolder,
        account: Account | None,
        programs: Path,
        primary: PostgresServer,
        *,
        durable: bool = False,
    ) -> None:
        super().__init__(folder, account, programs, durable=durable)
        self._primary = primary

    @property
    def url(self) -> str:
        """Its roles, and their passwords, are the primary's."""
        return self._primary.url.replace(f":{self._primary.port}/", f":{self.port}/")

    def pause(self) -> None:
        """Fall behind: take nothing in until `resume`."""
        self._execute("SELECT pg_wal_replay_pause()")

    def resume(self) -> None:
        self._execute("SELECT pg_wal_replay_resume()")

    def promote(self) -> None:
        """Become a primary, on a timeline of its own."""
        self._execute("SELECT pg_promote(wait => true)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _prepare(self) -> None:
        if self._data.exists():
            return
        self._make_home()
        copy = self._spawn(
            [
                *(self._programs / "pg_basebackup", "--dbname", self._primary.url, "--pgdata", self._data),
                *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            ]
        )
        assert copy.wait() == 0, self.log.read_text()
        processes.kill(copy)

    def _command(self) -> list[str | Path]:
        return [*super()._command(), *_TO_BE_FOLLOWED]

    def _is_ready(self, process: object) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
