"""A local Postgres."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.accounts import Account
from rollbook_ops.devstack.binaries import runnable_postgres
from rollbook_ops.devstack.errors import ServerFailed
from rollbook_ops.devstack.exit_watch import last_lines
from rollbook_ops.devstack.folders import OwnedFolder
from rollbook_ops.devstack.server import Server

_USER = "postgres"

_SETTINGS = {
    # The path of a socket is limited to about 100 bytes, which is too short for some temporary folders; TCP is enough.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    # There are no replicas.
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""With Postgres' defaults, a confirmed commit survives a crash of the machine; with these settings it may not."""


class PostgresServer(Server):
    """Postgres on the loopback interface; superuser `postgres`, by password."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends the sessions; SIGTERM would wait for them
    crash_signal = signal.SIGQUIT  # "immediate": Postgres recovers at the next start
    transient_errors = (
        # Another program took the port after it was chosen.
        "could not bind IPv4 address",
        # The sessions of a killed Postgres have not all ended yet.
        "is still in use",
    )

    def __init__(self, folder: OwnedFolder, account: Account | None, programs: Path, *, durable: bool) -> None:
        super().__init__(folder, account)
        self._programs = runnable_postgres(account, programs, folder.path / "postgres-programs")
        self._data = self.home / "data"
        self._durable = durable
        # A killed run leaves this file. Another process may have its process id by now, and Postgres would take that
        # process for a running server. The lock of the folder proves that no server runs, so removing it is safe here.
        _remove_within(self._data, "postmaster.pid")

    @property
    def url(self) -> str:
        return f"postgresql://{_USER}:{self._endpoint.password}@{self.host}:{self.port}/postgres"

    def _prepare(self) -> None:
        if self._data.exists():
            return
        self._make_home()
        new = self.home / "new"
        shutil.rmtree(new, ignore_errors=True)
        password = self.home.with_name("postgres.password")
        self._write_private(password, self._endpoint.password)
        initdb = self._spawn(
            [
                *(self._programs / "initdb", "-D", new, "-U", _USER),
                *("--auth=scram-sha-256", f"--pwfile={password}"),
                # Needs no locale of the machine, and text sorts the same everywhere.
                *("--encoding=UTF8", "--no-locale", "--no-instructions"),
                *([] if self._durable else ["--no-sync"]),
            ]
        )
        try:
            status = initdb.wait()
        finally:
            processes.kill(initdb)
            password.unlink()
        if status != 0:
            raise ServerFailed(f"initdb failed; its log {self.log} ends with:", details=last_lines(self.log))
        # The data need this password from now on, so it is saved first.
        self._endpoint.save(self._endpoint_file)
        new.rename(self._data)

    def _command(self) -> list[str | Path]:
        settings = (
            _SETTINGS
            | {"listen_addresses": self.host, "port": str(self.port)}
            | ({} if self._durable else _NOT_DURABLE)
        )
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._programs / "postgres", "-D", self._data, *options]

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        # The first line is the process id, and distinguishes this process from a killed one.
        return lines[0] == str(process.pid) and len(lines) > 7 and lines[7].strip() == "ready"


def _remove_within(folder: Path, name: str) -> None:
    """Remove a file of the folder, if there is one; not through a link in place of the folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)
