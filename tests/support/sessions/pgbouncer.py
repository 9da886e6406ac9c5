"""A real PgBouncer before a Postgres, in transaction mode: it gives each transaction whichever session is free."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from rollbook_ops.devstack.accounts import Account, server_account
from rollbook_ops.devstack.endpoint import LOOPBACK
from rollbook_ops.devstack.folders import OwnedFolder, own_temporary_folder
from rollbook_ops.devstack.server import Server

PROGRAM: Final = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin")
needs_pgbouncer: Final = pytest.mark.skipif(PROGRAM is None, reason="needs the program pgbouncer")
KEEPS_STATEMENTS: Final = (1, 21)
"""The first version that knows which prepared statements are in which of its sessions."""
_SETTINGS: Final = """
[databases]
* = host={host} port={server_port}

[pgbouncer]
listen_addr = {address}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 300
server_lifetime = 600
{prepared}
{more}
"""


class PgBouncer(Server):
    """PgBouncer on the loopback interface, for the user of the server's URL."""

    name = "pgbouncer"
    stop_signal = signal.SIGQUIT
    crash_signal = signal.SIGKILL
    transient_errors = ("Address already in use",)

    def __init__(
        self, folder: OwnedFolder, account: Account | None, server_url: str, *, pool_size: int, **more: str
    ) -> None:
        """pool_size: how many sessions it has for all connections of a user to one database.
        more: further settings.
        """
        super().__init__(folder, account)
        self._server = urlsplit(server_url)
        self._pool_size = pool_size
        self._more = more

    @property
    def url(self) -> str:
        """Of the same database as that of the server."""
        return self.before(self._server.geturl())

    def before(self, url: str) -> str:
        """The URL of a database of the server, by way of PgBouncer."""
        parts = urlsplit(url)
        return parts._replace(netloc=f"{parts.username}:{parts.password}@{LOOPBACK}:{self.port}").geturl()

    def _prepare(self) -> None:
        self._make_home()
        folder = self.home.parent
        users = folder / "pgbouncer.users"
        users.unlink(missing_ok=True)
        self._write_private(users, f'"{self._server.username}" "{self._server.password}"\n')

    def _command(self) -> list[str | Path]:
        settings = self.home.parent / "pgbouncer.ini"
        settings.unlink(missing_ok=True)
        text = _SETTINGS.format(
            host=self._server.hostname,
            server_port=self._server.port,
            address=LOOPBACK,
            port=self.port,
            users=self.home.parent / "pgbouncer.users",
            pool_size=self._pool_size,
            prepared="max_prepared_statements = 200" if version() >= KEEPS_STATEMENTS else "",
            more="\n".join(f"{name} = {value}" for name, value in self._more.items()),
        )
        self._write_private(settings, text)
        assert PROGRAM is not None
        return [PROGRAM, settings]

    def _is_ready(self, process: object) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def version() -> tuple[int, ...]:
    """Of the program."""
    assert PROGRAM is not None
    said = subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, text=True).stdout
    return tuple(int(part) for part in said.split()[1].split(".")[:2])


@contextmanager
def running_pgbouncer(server_url: str, *, pool_size: int, **more: str) -> Iterator[PgBouncer]:
    """One that ends with the block."""
    with ExitStack() as undo:
        folder = own_temporary_folder()
        undo.callback(folder.release)
        pooler = PgBouncer(
            folder, server_account(folder.path / PgBouncer.name), server_url, pool_size=pool_size, **more
        )
        undo.callback(pooler.kill)
        pooler.start()
        yield pooler
