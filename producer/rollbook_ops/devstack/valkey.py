"""A local Valkey, which speaks Redis' protocol."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Literal

from rollbook_ops.devstack.accounts import Account
from rollbook_ops.devstack.append_only_file import mend
from rollbook_ops.devstack.binaries import valkey_for
from rollbook_ops.devstack.folders import OwnedFolder
from rollbook_ops.devstack.ports import LOOPBACK
from rollbook_ops.devstack.server import Server

AppendFsync = Literal["everysec", "always"]

# Seconds an answer to PING may take.
_ANSWER_WITHIN = 1.0


class ValkeyServer(Server):
    """Valkey on the loopback interface, by password. It refuses writes when full rather than drop jobs.

    append_fsync: when what it appends to its file is on disk; None: it keeps no file.
    """

    name = "valkey"
    stop_signal = signal.SIGTERM
    crash_signal = signal.SIGKILL
    passing_troubles = ("Address already in use",)

    def __init__(
        self, folder: OwnedFolder, account: Account | None, program: Path, *, append_fsync: AppendFsync | None
    ) -> None:
        super().__init__(folder, account)
        self._found = program
        self._program = valkey_for(account, program, folder.path / "valkey-programs")
        self._append_fsync = append_fsync
        self._was_killed = False
        self._config = self.home / "valkey.conf"

    @property
    def url(self) -> str:
        return f"redis://:{self._endpoint.password}@{LOOPBACK}:{self.port}/0"

    def kill(self) -> None:
        """End by SIGKILL. Idempotent."""
        super().kill()
        self._was_killed = True

    def _prepare(self) -> None:
        self._make_home()
        if self._was_killed:
            mend(self.home, self._found)
            self._was_killed = False

    def _launch(self) -> subprocess.Popen[bytes]:
        # A file and not arguments: everybody on the machine can read those, and the password is among them.
        settings = {
            "bind": LOOPBACK,
            "port": self.port,
            "requirepass": self._endpoint.password,
            "databases": 64,
            "dir": f'"{self.home}"',
            "save": '""',
            "appendonly": "no" if self._append_fsync is None else "yes",
            "appendfsync": self._append_fsync or "everysec",
            "maxmemory-policy": "noeviction",
        }
        self._config.unlink(missing_ok=True)
        with open(os.open(self._config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.writelines(f"{name} {value}\n" for name, value in settings.items())
        if self._account is not None:
            self._account.give(self._config)
        return super()._launch()

    def _command(self) -> list[str | Path]:
        return [self._program, self._config]

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), _ANSWER_WITHIN) as connection:
                connection.sendall(f"AUTH {self._endpoint.password}\r\nPING\r\nQUIT\r\n".encode())
                # Not while it reads its file back (-LOADING), and not if another program has the port.
                return b"+PONG" in connection.makefile("rb").read()
        except OSError:
            return False
