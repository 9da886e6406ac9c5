"""A local Valkey, which is compatible with Redis."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path
from typing import Literal

from rollbook_ops.devstack.accounts import Account
from rollbook_ops.devstack.append_only_file import repair
from rollbook_ops.devstack.binaries import runnable_valkey
from rollbook_ops.devstack.folders import OwnedFolder
from rollbook_ops.devstack.server import Server

AppendFsync = Literal["everysec", "always"]

_ANSWER_SECONDS = 1.0
"""How long the answer to PING may take."""


class ValkeyServer(Server):
    """Valkey on the loopback interface, with a password. When it is full, it rejects writes and drops no jobs.

    append_fsync: when the appended commands are on disk; None: it has no append-only file.
    """

    name = "valkey"
    stop_signal = signal.SIGTERM
    crash_signal = signal.SIGKILL
    transient_errors = ("Address already in use",)

    def __init__(
        self, folder: OwnedFolder, account: Account | None, program: Path, *, append_fsync: AppendFsync | None
    ) -> None:
        super().__init__(folder, account)
        self._found = program
        self._program = runnable_valkey(account, program, folder.path / "valkey-programs")
        self._append_fsync = append_fsync
        self._was_killed = False
        self._config = folder.path / "valkey.conf"

    @property
    def url(self) -> str:
        return f"redis://:{self._endpoint.password}@{self.host}:{self.port}/0"

    def kill(self) -> None:
        """Kill the server by SIGKILL. Idempotent."""
        super().kill()
        self._was_killed = True

    def _prepare(self) -> None:
        self._make_home()
        if self._was_killed:
            repair(self.home, self._found, self._account)
            self._was_killed = False

    def _launch(self) -> subprocess.Popen[bytes]:
        # In a file: every account of the machine can read the arguments of a process, and the password is among them.
        settings = {
            "bind": self.host,
            "port": self.port,
            "requirepass": self._endpoint.password,
            "databases": 64,
            "dir": f'"{self.home}"',
            "save": '""',
            "appendonly": "no" if self._append_fsync is None else "yes",
            "appendfsync": self._append_fsync or "everysec",
            "maxmemory-policy": "noeviction",
        }
        self._write_private(self._config, "".join(f"{name} {value}\n" for name, value in settings.items()))
        return super()._launch()

    def _command(self) -> list[str | Path]:
        return [self._program, self._config]

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        try:
            with socket.create_connection((self.host, self.port), _ANSWER_SECONDS) as connection:
                connection.sendall(f"AUTH {self._endpoint.password}\r\nPING\r\nQUIT\r\n".encode())
                # Not ready while it loads its file (-LOADING), nor if another program has the port.
                return b"+PONG" in connection.makefile("rb").read()
        except OSError:
            return False
