"""The processes that do the work: Celery workers, dispatchers, relays. What is killed is started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
from benchmarks.chaos.kinds import MAINTENANCE, PREFORKED, RELAYS, WORKERS

from rollbook_ops.devstack import ServerFailed, processes
from rollbook_ops.devstack.workers import responding_workers
from rollbook_shared.jobs.routing import BULK_QUEUE, DEFAULT_QUEUE

GRACE_SECONDS: Final = 30.0
"""What Docker Compose (as we ship it) and Kubernetes (by default) give a process that is told to stop."""
_READY_WITHIN: Final = 90.0
_GIVES_UP: Final = "Could not start worker processes"
"""What Celery says when a process of its pool dies while it starts; starting it again is its supervisor's part."""
_STARTED: Final = ("@chaos ready.", "maintenance: started", "relay: started")
"""What each says when it has started."""
_LINES: Final = 12
"""Of a log, to be shown."""
_QUEUES: Final[Mapping[str, str]] = {
    "default": DEFAULT_QUEUE,
    "bulk": BULK_QUEUE,
    "mixed": f"{DEFAULT_QUEUE},{BULK_QUEUE}",
}


@dataclass(slots=True)
class _Member:
    name: str
    command: Sequence[str | Path]
    process: subprocess.Popen[bytes] | None = None
    back_at: float = 0.0
    told_at: float | None = None
    """When it was told to stop."""
    doomed: bool = False
    """It may be killed at any moment."""
    log_begins: int = 0
    """Where in its log this life of it begins."""


@dataclass(slots=True)
class Crew:
    """Keeps every member running until `stop`, and notes what should not have happened."""

    environment: Callable[[str], Mapping[str, str]]
    """Of each member, by name."""
    broker_url: str
    folder: Path
    members: dict[str, _Member] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    """Promises that were broken."""
    stopping_seconds: list[float] = field(default_factory=list)
    """How long each member took that was told to stop."""

    def start(self) -> None:
        """Start everybody, and return when the workers answer."""
        commands = {name: _worker(name) for name in WORKERS}
        commands |= {name: [sys.executable, "-m", "rollbook_worker.maintenance"] for name in MAINTENANCE}
        commands |= {name: [sys.executable, "-m", "rollbook_ops.relay"] for name in RELAYS}
        self.members.update({name: _Member(name, command) for name, command in commands.items()})
        self.tend()
        silent = {_host(name) for name in WORKERS}
        deadline = time.monotonic() + _READY_WITHIN
        while silent := silent - responding_workers(self.broker_url, silent):
            self.tend()
            if self.troubles or time.monotonic() > deadline:
                raise ServerFailed(f"these workers do not answer: {sorted(silent)}; {'; '.join(self.troubles)}")

    def tend(self) -> None:
        """Start who should be back; see who has ended, and who ought to have."""
        now = time.monotonic()
        for member in self.members.values():
            if member.process is None:
                if now >= member.back_at:
                    self._spawn(member)
                continue
            status = member.process.poll()
            if status is not None and member.doomed:
                continue
            if status is not None:
                self._ended(member, status, now)
            elif member.told_at is not None and now - member.told_at > GRACE_SECONDS:
                self.troubles.append(f"{member.name} did not stop within {GRACE_SECONDS:.0f} s")
                self.kill(member.name)

    def is_ready(self, name: str) -> bool:
        """Whether it has started, as its log says; what is no member always has."""
        member = self.members.get(name)
        return member is None or (member.process is not None and _has_started(self._said(member)))

    def doom(self, name: str) -> Callable[[], None]:
        """Make it known that it will be killed; return what does, from any thread. `kill` must follow."""
        member = self.members[name]
        member.doomed = True
        process = member.process

        def strike() -> None:
            if process is not None and process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

        return strike

    def kill(self, name: str) -> None:
        """End it and its pool at once; it is started again."""
        member = self.members[name]
        if member.process is not None:
            processes.kill(member.process)
        member.process, member.told_at, member.doomed = None, None, False
        member.back_at = time.monotonic()

    def kill_child(self, name: str, choice: float) -> bool:
        """End one process of its pool at once; False if there is none."""
        if not (children := self._children(name)):
            return False
        with suppress(psutil.NoSuchProcess):
            children[int(choice * len(children))].kill()
        return True

    def freeze(self, name: str) -> None:
        """Have it and its pool do nothing, and not even notice."""
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        self._signal(name, signal.SIGCONT)

    def tell_to_stop(self, name: str) -> None:
        """As an operator does; it must end by itself within its grace, and is then started again."""
        member = self.members[name]
        if member.process is not None and member.told_at is None:
            member.told_at = time.monotonic()
            processes.request_stop(member.process)

    def stop(self) -> None:
        """End everybody at once."""
        for name in self.members:
            self.thaw(name)
            self.kill(name)

    def _ended(self, member: _Member, status: int, now: float) -> None:
        said = self._said(member)
        if not (_GIVES_UP in said or _is_stop(member, status, said)):
            why = "after it was told to stop" if member.told_at is not None else "by itself"
            end = "\n".join(said.splitlines()[-_LINES:])
            self.troubles.append(f"{member.name} ended {why} (exit code {status}):\n{end}")
        if member.told_at is not None:
            self.stopping_seconds.append(now - member.told_at)
        member.process, member.told_at, member.back_at = None, None, now

    def _signal(self, name: str, number: signal.Signals) -> None:
        process = self.members[name].process
        if process is not None:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                for child in self._children(name):
                    child.send_signal(number)
                process.send_signal(number)

    def _children(self, name: str) -> list[psutil.Process]:
        process = self.members[name].process
        if process is None or name not in PREFORKED:
            return []
        try:
            return psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _spawn(self, member: _Member) -> None:
        log = self._log(member.name)
        member.log_begins = log.stat().st_size if log.exists() else 0
        member.process = processes.spawn(member.command, log=log, env=self.environment(member.name))

    def _said(self, member: _Member) -> str:
        """Its log, since it was last started."""
        with self._log(member.name).open("rb") as log:
            log.seek(member.log_begins)
            return log.read().decode(errors="replace")

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def _is_stop(member: _Member, status: int, said: str) -> bool:
    """Whether it did as it was told. One that is still starting has nothing to finish, and may just end."""
    return member.told_at is not None and (status == 0 or (status == -signal.SIGTERM and not _has_started(said)))


def _has_started(said: str) -> bool:
    return any(word in said for word in _STARTED)


def _host(name: str) -> str:
    return f"{name}@chaos"


def _worker(name: str) -> list[str | Path]:
    pool = ["prefork", "2"] if name in PREFORKED else ["threads", "2"]
    return [
        *(sys.executable, "-m", "celery", "-A", "benchmarks.chaos.workers:app", "worker"),
        *("--pool", pool[0], "--concurrency", pool[1], "--queues", _QUEUES[name.partition("-")[0]]),
        *("--hostname", _host(name), "--without-gossip", "--without-mingle", "--loglevel", "INFO"),
    ]
