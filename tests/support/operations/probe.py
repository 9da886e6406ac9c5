"""The health command, as a supervisor runs it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.python_processes import run_python

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
        done = run_python(
            *("-m", "rollbook_worker.health", *options), env=os.environ | {"ROLLBOOK_HEALTH_FILE": str(self._path)}
        )
        return done.returncode, done.stdout.strip()
