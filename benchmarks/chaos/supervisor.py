"""Runs the processes under test: workers, maintenance, relays, senders and the HTTP server. Restarts those that are
killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
from benchmarks.chaos.fault_kinds import DELIVERING, HTTP_SERVER, MAINTENANCE, OWN_SENDERS, PREFORKED, RELAYS, WORKERS

from rollbook_ops.devstack import ServerFailed, processes
from rollbook_ops.devstack.workers import responding_workers
from rollbook_shared.jobs.celery_task import BULK_QUEUE, DEFAULT_QUEUE

GRACE_SECONDS: Final = 30.0
"""The time that our docker-compose.yml, and Kubernetes by default, give a process to stop."""
_READY_WITHIN: Final = 90.0
_POOL_FAILED: Final = "Could not start worker processes"
"""Celery's message when a process of its pool dies during start. Its supervisor has to restart it."""
_STARTED: Final = (
    *("@chaos ready.", "maintenance: started", "relay: started", "deliver: started", "sender: started"),
    "Application startup complete",
)
"""What each kind of process logs when it has started."""
_LINES: Final = 12
"""Lines of a log that are shown."""
_SERVE: Final = (sys.executable, "-m", "rollbook_ops.cli", "serve")
_QUEUES: Final[Mapping[str, str]] = {
    "default": DEFAULT_QUEUE,
    "bulk": BULK_QUEUE,
    "mixed": f"{DEFAULT_QUEUE},{BULK_QUEUE}",
}


@dataclass(slots=True)
class _Service:
    name: str
    command: Sequence[str | Path]
    process: subprocess.Popen[bytes] | None = None
    restart_at: float = 0.0
    stop_requested_at: float | None = None
    """When it was asked to stop."""
    kill_scheduled: bool = False
    """It may be killed at any time."""
    log_offset: int = 0
    """Where its log begins since the last start."""


@dataclass(slots=True)
class Supervisor:
    """Keeps all processes running until `stop`, and records what should not have happened."""

    variables: Callable[[str], Mapping[str, str]]
    """The environment variables of a process, by its name."""
    broker_url: str
    http_address: tuple[str, int]
    """Host and port of the HTTP server, also after a restart."""
    folder: Path
    place: Callable[[str], AbstractContextManager[None]]
    """Within it a process is started, by its name."""
    services: dict[str, _Service] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    """What a process did that it should not."""
    stopping_seconds: list[float] = field(default_factory=list)
    """How long each process took that was asked to stop."""

    def start(self) -> None:
        """Start all processes, and return when the workers answer."""
        commands = {name: _worker(name) for name in WORKERS}
        commands |= {name: [sys.executable, "-m", "benchmarks.chaos.maintenance_process"] for name in MAINTENANCE}
        commands |= {name: [sys.executable, "-m", "rollbook_ops.relay"] for name in RELAYS}
        commands |= {name: [sys.executable, "-m", "benchmarks.chaos.deliver_process"] for name in DELIVERING}
        commands |= {name: [sys.executable, "-m", "benchmarks.chaos.own_sender"] for name in OWN_SENDERS}
        host, port = self.http_address
        commands[HTTP_SERVER] = [*_SERVE, "--host", host, "--port", str(port)]
        self.services.update({name: _Service(name, command) for name, command in commands.items()})
        self.supervise()
        silent = {_host(name) for name in WORKERS}
        deadline = time.monotonic() + _READY_WITHIN
        while silent := silent - responding_workers(self.broker_url, silent):
            self.supervise()
            if self.violations or time.monotonic() > deadline:
                raise ServerFailed(f"these workers do not answer: {sorted(silent)}; {'; '.join(self.violations)}")

    def supervise(self) -> None:
        """Restart processes that are due; look for those that ended, or should have ended."""
        now = time.monotonic()
        for service in self.services.values():
            if service.process is None:
                if now >= service.restart_at:
                    self._spawn(service)
                continue
            status = service.process.poll()
            if status is not None and service.kill_scheduled:
                continue
            if status is not None:
                self._ended(service, status, now)
            elif service.stop_requested_at is not None and now - service.stop_requested_at > GRACE_SECONDS:
                self.violations.append(f"{service.name} did not stop within {GRACE_SECONDS:.0f} s")
                self.kill(service.name)

    def is_ready(self, name: str) -> bool:
        """Whether the process has started, by its log. True for a target that is not a process."""
        service = self.services.get(name)
        return service is None or (service.process is not None and _has_started(self._read_log(service)))

    def schedule_kill(self, name: str) -> Callable[[], None]:
        """Expect the process to be killed; return what kills it, from any thread. Call `kill` afterwards."""
        service = self.services[name]
        service.kill_scheduled = True
        process = service.process

        def kill() -> None:
            if process is not None and process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

        return kill

    def kill(self, name: str) -> None:
        """Kill the process and its pool. It is restarted."""
        service = self.services[name]
        if service.process is not None:
            processes.kill(service.process)
        service.process, service.stop_requested_at, service.kill_scheduled = None, None, False
        service.restart_at = time.monotonic()

    def kill_child(self, name: str, choice: float) -> bool:
        """Kill one process of its pool; False if it has none."""
        if not (children := self._children(name)):
            return False
        with suppress(psutil.NoSuchProcess):
            children[int(choice * len(children))].kill()
        return True

    def pause(self, name: str) -> None:
        """Pause the process and its pool (SIGSTOP)."""
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Resume them."""
        self._signal(name, signal.SIGCONT)

    def lie(self, name: str) -> None:
        """Let an application's sender lie; one that has not started yet knows no such signal."""
        if self.is_ready(name):
            self._signal(name, signal.SIGUSR1)

    def request_stop(self, name: str) -> None:
        """Ask the process to stop, as an operator does. It must end within `GRACE_SECONDS`, and is then restarted."""
        service = self.services[name]
        if service.process is not None and service.stop_requested_at is None:
            service.stop_requested_at = time.monotonic()
            processes.request_stop(service.process)

    def stop(self) -> None:
        """Kill all processes."""
        for name in self.services:
            self.resume(name)
            self.kill(name)

    def _ended(self, service: _Service, status: int, now: float) -> None:
        log = self._read_log(service)
        if not (_POOL_FAILED in log or _is_stop(service, status, log)):
            how = "after it was asked to stop" if service.stop_requested_at is not None else "by itself"
            end = "\n".join(log.splitlines()[-_LINES:])
            self.violations.append(f"{service.name} ended {how} (exit code {status}):\n{end}")
        if service.stop_requested_at is not None:
            self.stopping_seconds.append(now - service.stop_requested_at)
        service.process, service.stop_requested_at, service.restart_at = None, None, now

    def _signal(self, name: str, number: signal.Signals) -> None:
        process = self.services[name].process
        if process is not None:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                for child in self._children(name):
                    child.send_signal(number)
                process.send_signal(number)

    def _children(self, name: str) -> list[psutil.Process]:
        process = self.services[name].process
        if process is None or name not in PREFORKED:
            return []
        try:
            return psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _spawn(self, service: _Service) -> None:
        log = self._log_file(service.name)
        service.log_offset = log.stat().st_size if log.exists() else 0
        with self.place(service.name):
            service.process = processes.spawn(service.command, log=log, env=self.variables(service.name))

    def _read_log(self, service: _Service) -> str:
        """Its log since the last start."""
        with self._log_file(service.name).open("rb") as file:
            file.seek(service.log_offset)
            return file.read().decode(errors="replace")

    def _log_file(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def _is_stop(service: _Service, status: int, log: str) -> bool:
    """Whether it stopped as requested. A process that is still starting has nothing to finish and may just end."""
    return service.stop_requested_at is not None and (
        status == 0 or (status == -signal.SIGTERM and not _has_started(log))
    )


def _has_started(log: str) -> bool:
    return any(word in log for word in _STARTED)


def _host(name: str) -> str:
    return f"{name}@chaos"


def _worker(name: str) -> list[str | Path]:
    pool = ["prefork", "2"] if name in PREFORKED else ["threads", "2"]
    return [
        *(sys.executable, "-m", "rollbook_worker", "--app", "benchmarks.chaos.worker_app:app"),
        *("--pool", pool[0], "--concurrency", pool[1], "--queues", _QUEUES[name.partition("-")[0]]),
        *("--hostname", _host(name)),
    ]
