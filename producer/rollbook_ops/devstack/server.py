"""What a local Postgres and a local Valkey have in common: starting, stopping, being killed."""

from __future__ import annotations

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.accounts import Account
from rollbook_ops.devstack.endpoint import Endpoint
from rollbook_ops.devstack.errors import ServerFailed
from rollbook_ops.devstack.folders import OwnedFolder

# Seconds. Recovery after a crash is the slowest start there is.
_READY_WITHIN = 120.0
_POLL = 0.01
_LOG_TAIL = 2_000


class Server(ABC):
    """One server process of ours. It keeps its port and its URL over restarts."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    """Ends the server in good order; also what it gets when we die."""
    crash_signal: ClassVar[signal.Signals]
    """Ends the server without order, as a crash would."""
    passing_troubles: ClassVar[tuple[str, ...]]
    """What the log says when a start failed for a reason that goes away."""

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
        """Where clients connect, password included."""

    @property
    def port(self) -> int:
        return self._endpoint.port

    @property
    def pid(self) -> int:
        """The process to stop or watch; it changes with a restart."""
        if self._process is None:
            raise ServerFailed(f"{self.name} was never started")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and return when clients can connect. Does nothing when already running."""
        if self.running:
            return
        self._prepare()
        deadline = time.monotonic() + _READY_WITHIN
        while True:
            mark = self.log.stat().st_size if self.log.exists() else 0
            self._process = self._launch()
            if self._wait_ready(self._process, deadline):
                break
            said = self.log.read_bytes()[mark:].decode(errors="replace")
            if time.monotonic() > deadline or not any(trouble in said for trouble in self.passing_troubles):
                raise ServerFailed(f"{self.name} did not start; its log ends:\n{said[-_LOG_TAIL:].strip()}")
            if not self._was_ready:
                self._endpoint = self._endpoint.moved()
            time.sleep(_POLL)
        self._was_ready = True
        self._endpoint.save(self._endpoint_file)

    def ask_to_stop(self, *, immediate: bool = False) -> None:
        """Begin to stop, without waiting."""
        if self._process is not None:
            processes.ask(self._process, by=self.crash_signal if immediate else self.stop_signal)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop in good order, or, `immediate`, as in a crash. Idempotent."""
        if self._process is not None:
            processes.stop(self._process, by=self.crash_signal if immediate else self.stop_signal)

    def kill(self) -> None:
        """End by SIGKILL. Idempotent."""
        if self._process is not None:
            processes.kill(self._process)

    def restart(self, *, immediate: bool = False) -> None:
        """Stop and start again, on the same port."""
        self.stop(immediate=immediate)
        self.start()

    @abstractmethod
    def _prepare(self) -> None:
        """Make the folders and files that a start needs. Idempotent."""

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
            time.sleep(_POLL)
        return True

    def _make_home(self) -> None:
        self.home.mkdir(mode=0o700, exist_ok=True)
        if self._account is not None:
            self._account.give(self.home)
