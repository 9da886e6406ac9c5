"""A local Postgres."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.accounts import Account
from rollbook_ops.devstack.binaries import postgres_for
from rollbook_ops.devstack.errors import ServerFailed
from rollbook_ops.devstack.folders import OwnedFolder
from rollbook_ops.devstack.ports import LOOPBACK
from rollbook_ops.devstack.server import Server

_USER = "postgres"

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    # A socket's path is limited to about 100 bytes, which temporary folders exceed on some machines; and TCP is enough.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    # No replica will ever follow.
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
# Everything else is Postgres' default: a commit that was confirmed survives a crash of the machine.
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresServer(Server):
    """Postgres on the loopback interface; superuser `postgres`, by password."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends sessions; SIGTERM would wait for them
    crash_signal = signal.SIGQUIT  # "immediate": recovers at the next start
    passing_troubles = (
        # Another program took the port between our look and Postgres' bind.
        "could not bind IPv4 address",
        # The sessions of a killed Postgres have not all ended yet.
        "is still in use",
    )

    def __init__(self, folder: OwnedFolder, account: Account | None, programs: Path, *, durable: bool) -> None:
        super().__init__(folder, account)
        self._programs = postgres_for(account, programs, folder.path / "postgres-programs")
        self._data = self.home / "data"
        self._durable = durable
        # Left by a run that was killed. Its number may by now be another process's, which Postgres would take for
        # a running server. The folder's lock says that no server is left, so it is safe to remove, here and only here.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    @property
    def url(self) -> str:
        return f"postgresql://{_USER}:{self._endpoint.password}@{LOOPBACK}:{self.port}/postgres"

    def _prepare(self) -> None:
        if self._data.exists():
            return
        self._make_home()
        new = self.home / "new"
        shutil.rmtree(new, ignore_errors=True)
        password = self.home / "password"
        with open(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self._endpoint.password)
        if self._account is not None:
            self._account.give(password)
        initdb = self._spawn(
            [
                *(self._programs / "initdb", "-D", new, "-U", _USER),
                *("--auth=scram-sha-256", f"--pwfile={password}"),
                # No locale of the machine is needed, and text sorts the same everywhere.
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
            raise ServerFailed(f"initdb failed; {self.log} ends:\n{self.log.read_text(errors='replace')[-2000:]}")
        # The password opens the data from now on, so it is kept before they are.
        self._endpoint.save(self._endpoint_file)
        new.rename(self._data)

    def _command(self) -> list[str | Path]:
        settings = _SETTINGS | {"port": str(self.port)} | ({} if self._durable else _NOT_DURABLE)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._programs / "postgres", "-D", self._data, *options]

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        # The first line tells our process from a killed predecessor.
        return lines[0] == str(process.pid) and len(lines) > 7 and lines[7].strip() == "ready"
