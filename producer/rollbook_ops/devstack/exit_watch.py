"""Watches child processes: which of them ended, how, and the end of its log."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rollbook_ops.devstack.errors import ServerFailed

_TAIL_LINES = 12
_TAIL_BYTES = 8_192
_POLL_SECONDS = 0.1
"""Seconds between two checks on a kernel without pidfd, which cannot wake this process."""


class ChildExited(ServerFailed):
    """A process that should be running has ended by itself."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        self.name = name
        self.reason = reason
        self.log = log
        tail = last_lines(log)
        log_state = f"its log {log} ends with:" if tail else f"its log {log} is empty"
        super().__init__(f"{name} ended by itself ({reason}); {log_state}", details=tail)


@dataclass(frozen=True, slots=True)
class Child:
    """A child process that should run until it is stopped."""

    name: str
    pid: int
    log: Path


def wait_for_exit(children: Sequence[Child], timeout: float | None = None) -> ChildExited | None:
    """Wait until one of `children` ends; return the first, or None if all still run after `timeout` seconds.

    Without a timeout it waits for ever.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        for child in children:
            if reason := _exit_reason(child.pid):
                return ChildExited(child.name, reason, child.log)
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return None
        _sleep_until_exit(children, left)


def last_lines(log: Path, start: int = 0) -> str:
    """Return the last lines of a log, without the first `start` bytes."""
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(line for line in lines[-_TAIL_LINES:] if line.strip())


def _exit_reason(pid: int) -> str | None:
    # WNOWAIT leaves the status to be collected by Popen.
    try:
        result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return "its exit status was already collected"
    if result is None:
        return None
    if result.si_code == os.CLD_EXITED:
        return f"exit code {result.si_status}"
    return f"killed by {signal.Signals(result.si_status).name}"


def _sleep_until_exit(children: Sequence[Child], timeout: float | None) -> None:
    if not hasattr(os, "pidfd_open"):
        time.sleep(_POLL_SECONDS if timeout is None else min(_POLL_SECONDS, timeout))
        return
    with ExitStack() as stack:
        descriptors = []
        for child in children:
            descriptor = os.pidfd_open(child.pid)
            stack.callback(os.close, descriptor)
            descriptors.append(descriptor)
        select.select(descriptors, [], [], timeout)
