"""What a local Postgres and a local Valkey have in common: how they are started, stopped and killed."""

from __future__ import annotations

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.accounts import Account
from rollbook_ops.devstack.endpoint import LOOPBACK, Endpoint
from rollbook_ops.devstack.errors import ServerFailed
from rollbook_ops.devstack.exit_watch import last_lines
from rollbook_ops.devstack.folders import OwnedFolder
from rollbook_shared.private_file import create_private_file

_READY_SECONDS = 120.0
"""How long a start may take. The slowest start is the recovery after a crash."""
_POLL_SECONDS = 0.01


class Server(ABC):
    """A server process. It keeps its port and its URL when it is restarted."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    """Ends the server in good order; sent also when this process dies."""
    crash_signal: ClassVar[signal.Signals]
    """Ends the server as a crash would."""
    transient_errors: ClassVar[tuple[str, ...]]
    """Texts in the log of a start that failed for a transient reason."""
    host: str = LOOPBACK
    """The address at which it listens."""

    def __init__(self, folder: OwnedFolder, account: Account | None) -> None:
        self.home = folder.path / self.name
        self.log = folder.path / f"{self.name}.log"
        self._account = account
        self._lock = folder.descriptor
        self._endpoint_file = folder.path / f"{self.name}.json"
        self._endpoint = Endpoint.load(self._endpoint_file)
        self._process: subprocess.Popen[bytes] | None = None
        self._was_ready = False

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL for clients, with the password."""

    @property
    def port(self) -> int:
        return self._endpoint.port

    @property
    def pid(self) -> int:
        """The current process id; it changes with a restart."""
        if self._process is None:
            raise ServerFailed(f"{self.name} was never started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, and return when clients can connect. Does nothing if it is running.

        Raises:
            ServerFailed: it did not start.
        """
        if self.is_running:
            return
        self._prepare()
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            log_start = self.log.stat().st_size if self.log.exists() else 0
            self._process = self._launch()
            if self._wait_ready(self._process, deadline):
                break
            output = self.log.read_bytes()[log_start:].decode(errors="replace")
            if time.monotonic() > deadline or not any(text in output for text in self.transient_errors):
                raise ServerFailed(
                    f"{self.name} did not start; its log ends with:", details=last_lines(self.log, log_start)
                )
            if not self._was_ready:
                self._endpoint = self._endpoint.with_new_port()
            time.sleep(_POLL_SECONDS)
        self._was_ready = True
        self._endpoint.save(self._endpoint_file)

    def request_stop(self, *, immediate: bool = False) -> None:
        """Request the server to stop, without waiting."""
        if self._process is not None:
            processes.request_stop(self._process, by=self.crash_signal if immediate else self.stop_signal)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop in good order, or, if `immediate`, as in a crash. Idempotent."""
        if self._process is not None:
            processes.stop(self._process, by=self.crash_signal if immediate else self.stop_signal)

    def kill(self) -> None:
        """Kill the server by SIGKILL. Idempotent."""
        if self._process is not None:
            processes.kill(self._process)

    def restart(self, *, immediate: bool = False) -> None:
        """Stop, and start again on the same port."""
        self.stop(immediate=immediate)
        self.start()

    @abstractmethod
    def _prepare(self) -> None:
        """Create the folders and files that a start needs. Idempotent."""

    @abstractmethod
    def _command(self) -> list[str | Path]: ...

    @abstractmethod
    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool: ...

    def _environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "LC_ALL": "C", "TZ": "UTC"}

    def _launch(self) -> subprocess.Popen[bytes]:
        return self._spawn(self._command())

    def _spawn(self, command: list[str | Path]) -> subprocess.Popen[bytes]:
        return processes.spawn(
            command,
            log=self.log,
            env=self._environment(),
            cwd=self.home,
            death_signal=self.stop_signal,
            account=self._account,
            pass_fds=[self._lock],
        )

    def _wait_ready(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        while not self._is_ready(process):
            if process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                processes.kill(process)
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _write_private(self, path: Path, text: str) -> None:
        """Write a file for the server alone to read."""
        with create_private_file(path) as file:
            file.write(text)
            if self._account is not None:
                self._account.own(file)

    def _make_home(self) -> None:
        self.home.mkdir(mode=0o700, exist_ok=True)
        if self._account is not None:
            self._account.own_folder(self.home)
