"""Watch child processes: which of them ended, how, and what it said last."""

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
# Seconds between two looks where the kernel cannot wake us (it has no pidfd).
_LOOK_EVERY = 0.1


class ChildDied(ServerFailed):
    """A process that should run has ended by itself."""

    def __init__(self, name: str, how: str, log: Path) -> None:
        self.name = name
        self.log = log
        said = last_lines(log)
        ending = f"its log {log} ends:\n{said}" if said else f"its log {log} is empty"
        super().__init__(f"{name} ended by itself ({how}); {ending}")


@dataclass(frozen=True, slots=True)
class Child:
    """One process of ours that should run until we stop it."""

    name: str
    pid: int
    log: Path


def ended(children: Sequence[Child], within: float | None = None) -> ChildDied | None:
    """The first of `children` to end, waiting at most `within` seconds for it (None: for ever); None when all run."""
    deadline = None if within is None else time.monotonic() + within
    while True:
        for child in children:
            if how := _how_it_ended(child.pid):
                return ChildDied(child.name, how, child.log)
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return None
        _sleep_until_one_ends(children, left)


def last_lines(log: Path) -> str:
    """The end of a log, for a person to read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(line for line in lines[-_TAIL_LINES:] if line.strip())


def _how_it_ended(pid: int) -> str | None:
    # WNOWAIT leaves the status for the process's owner (Popen) to collect.
    try:
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return "its status was already collected"
    if found is None:
        return None
    if found.si_code == os.CLD_EXITED:
        return f"exit code {found.si_status}"
    return f"killed by {signal.Signals(found.si_status).name}"


def _sleep_until_one_ends(children: Sequence[Child], within: float | None) -> None:
    if not hasattr(os, "pidfd_open"):
        time.sleep(_LOOK_EVERY if within is None else min(_LOOK_EVERY, within))
        return
    with ExitStack() as descriptors:
        watched = []
        for child in children:
            descriptor = os.pidfd_open(child.pid)
            descriptors.callback(os.close, descriptor)
            watched.append(descriptor)
        select.select(watched, [], [], within)
