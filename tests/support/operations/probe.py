"""The health command, as a supervisor runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rollbook_worker.health.__main__ import find_problem


class Probe:
    """Asks as `python -m rollbook_worker.health` does."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def trouble(self, *, ready: bool = False, max_age: float = 10.0) -> str | None:
        """What is wrong; None: nothing."""
        return find_problem(self._path, max_age=max_age, ready=ready)

    def run(self, *options: str) -> tuple[int, str]:
        """Run the command, as a supervisor does; give its exit code and what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "rollbook_worker.health", *options],
            env=os.environ | {"ROLLBOOK_HEALTH_FILE": str(self._path)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.strip()
