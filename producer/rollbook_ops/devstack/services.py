"""The processes of a stack that are no servers: they hold no data, so one that ended can be started again."""

from __future__ import annotations

import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rollbook_ops.devstack.exit_watch import Child

_MAX_RESTARTS: Final = 5
_RESTART_SECONDS: Final = 60.0
"""A service that ends more than `_MAX_RESTARTS` times within this time has a fault that a restart does not mend."""


class Service:
    """One process that should run, and how to start it."""

    def __init__(self, name: str, log: Path, spawn: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.name = name
        self.log = log
        self.process = spawn()
        self._spawn = spawn
        self._restarts: deque[float] = deque(maxlen=_MAX_RESTARTS)

    @property
    def child(self) -> Child:
        """The process that runs now."""
        return Child(self.name, self.process.pid, self.log)

    def restart(self) -> bool:
        """Start it again after it ended; False if it has ended too often of late."""
        now = time.monotonic()
        if len(self._restarts) == _MAX_RESTARTS and now - self._restarts[0] < _RESTART_SECONDS:
            return False
        self._restarts.append(now)
        self.process.wait()
        self.process = self._spawn()
        return True
