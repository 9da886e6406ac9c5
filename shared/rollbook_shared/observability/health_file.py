"""The file in which a process says how it is: one word, touched each second."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class HealthState(StrEnum):
    """How a process is. One that hangs says nothing, so there is no word for it in the file."""

    READY = "ready"
    WAITING = "waiting"
    """It is alive, and waits: for a server to come back, or for its last jobs before it ends."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the file says, and how long ago it said so."""

    state: str
    age: float


def write(path: Path, state: HealthState) -> None:
    """Say how it is; readers see the old word or the new one, never half of it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(f"{state.value}\n")
    fresh.replace(path)


def read(path: Path) -> Health | None:
    """What the file says; None: there is none."""
    try:
        state = path.read_text().strip()
        return Health(state=state, age=max(0.0, time.time() - path.stat().st_mtime))
    except FileNotFoundError:
        return None


def remove(path: Path) -> None:
    """Say that the process has ended."""
    path.unlink(missing_ok=True)
