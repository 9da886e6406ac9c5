"""Postgres and Valkey for the time of a `with` block: without Docker or installation, as root or not."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from rollbook_ops.devstack.accounts import Account, server_account
from rollbook_ops.devstack.binaries import find_postgres, find_valkey
from rollbook_ops.devstack.errors import ServerFailed
from rollbook_ops.devstack.folders import OwnedFolder, own_data_folder, own_temporary_folder
from rollbook_ops.devstack.postgres import PostgresServer
from rollbook_ops.devstack.valkey import AppendFsync, ValkeyServer


class Servers:
    """Starts the servers that are not given by URL, and stops them at the end.

    With `data_dir` the data, the ports and the passwords are kept for the next run; without it everything is removed at
    the end. The servers end with this process, even if it is killed (Linux only). The next run removes the temporary
    folder of a killed run.

    durable: a confirmed commit survives a crash of the machine. Tests do not need this.
    append_only: Valkey writes its jobs to disk; by default only if there is a `data_dir`.
    append_fsync: when the jobs are on disk: each second, or before Valkey confirms them (`always`). With `everysec`,
        even a Valkey that is killed may lose what it confirmed last, because it delays writes while the disk is busy.
    """

    def __init__(
        self,
        data_dir: Path | str | None = None,
        *,
        database_url: str | None = None,
        broker_url: str | None = None,
        durable: bool = True,
        append_only: bool | None = None,
        append_fsync: AppendFsync = "everysec",
        postgres_programs: Path | None = None,
        valkey_program: Path | None = None,
    ) -> None:
        self._data_dir = Path(data_dir) if data_dir is not None else None
        self._given_database_url = database_url
        self._given_broker_url = broker_url
        self._durable = durable
        self._append_only = append_only if append_only is not None else data_dir is not None
        self._append_fsync: AppendFsync = append_fsync
        self._postgres_programs = postgres_programs
        self._valkey_program = valkey_program
        self._postgres: PostgresServer | None = None
        self._valkey: ValkeyServer | None = None
        self._cleanup = ExitStack()

    @property
    def database_url(self) -> str:
        return self._given_database_url or self.postgres.url

    @property
    def broker_url(self) -> str:
        return self._given_broker_url or self.valkey.url

    @property
    def postgres(self) -> PostgresServer:
        """The local Postgres.

        Raises:
            ServerFailed: Postgres was given by URL, or is not started.
        """
        if self._postgres is None:
            raise ServerFailed("there is no local Postgres: it was given by URL, or is not started")
        return self._postgres

    @property
    def valkey(self) -> ValkeyServer:
        """The local Valkey.

        Raises:
            ServerFailed: the broker was given by URL, or is not started.
        """
        if self._valkey is None:
            raise ServerFailed("there is no local Valkey: it was given by URL, or is not started")
        return self._valkey

    def start(self) -> Self:
        """Start the servers, and return when both accept connections."""
        if self._given_database_url and self._given_broker_url:
            return self
        with ExitStack() as undo:
            folder = own_data_folder(self._data_dir) if self._data_dir else own_temporary_folder()
            undo.callback(folder.release)
            account = server_account(folder.path / PostgresServer.name)
            if account is not None:
                account.require_access(folder.path)
            if not self._given_broker_url:
                self._valkey = self._make_valkey(folder, account)
                undo.callback(self._valkey.stop)
                self._valkey.start()
            if not self._given_database_url:
                self._postgres = self._make_postgres(folder, account)
                undo.callback(self._postgres.stop)
                self._postgres.start()
            # Both are requested to stop before either is waited for.
            undo.callback(self._request_stop)
            self._cleanup = undo.pop_all()
        atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """Stop the servers, and remove temporary folders. Idempotent."""
        atexit.unregister(self.stop)
        self._cleanup.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _make_postgres(self, folder: OwnedFolder, account: Account | None) -> PostgresServer:
        programs = self._postgres_programs or find_postgres()
        return PostgresServer(folder, account, programs, durable=self._durable)

    def _make_valkey(self, folder: OwnedFolder, account: Account | None) -> ValkeyServer:
        program = self._valkey_program or find_valkey()
        append_fsync = self._append_fsync if self._append_only else None
        return ValkeyServer(folder, account, program, append_fsync=append_fsync)

    def _request_stop(self) -> None:
        for server in (self._valkey, self._postgres):
            if server is not None:
                server.request_stop()
