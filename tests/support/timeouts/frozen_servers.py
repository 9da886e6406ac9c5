"""Servers that stop answering."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import psutil

SHORT = timedelta(milliseconds=300)


@contextmanager
def frozen(server_pid: int) -> Iterator[None]:
    """Stop a server and all its processes, as a machine does whose disk is stuck; then let it go on."""
    server = psutil.Process(server_pid)
    pids = [server_pid, *(child.pid for child in server.children(recursive=True))]
    _send(signal.SIGSTOP, pids)
    try:
        yield
    finally:
        _send(signal.SIGCONT, pids)


def _send(what: signal.Signals, pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # a session of an earlier test may just have ended
            os.kill(pid, what)
