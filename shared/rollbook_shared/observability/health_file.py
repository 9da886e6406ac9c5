"""The health file of a process: one word, updated every second."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rollbook_shared.private_file import create_private_file


class HealthState(StrEnum):
    """The state of a process. A process that hangs has none: it stops updating its file."""

    READY = "ready"
    WAITING = "waiting"
    """It is alive, and waits for a server to come back, or for its last jobs before it ends."""


@dataclass(frozen=True, slots=True)
class Health:
    """What a health file says."""

    state: str
    age: float
    """Seconds since its last update."""


def write_health(path: Path, state: HealthState) -> None:
    """Update the file, which only this account may read. Readers see the old word or the new one, never half of it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with create_private_file(fresh) as file:
        file.write(f"{state.value}\n")
    fresh.replace(path)


def read_health(path: Path) -> Health | None:
    """What the file says; None if there is no file."""
    try:
        state = path.read_text().strip()
        return Health(state=state, age=max(0.0, time.time() - path.stat().st_mtime))
    except FileNotFoundError:
        return None


def remove_health(path: Path) -> None:
    """Remove the file: the process has ended."""
    path.unlink(missing_ok=True)
