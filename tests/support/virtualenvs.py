"""Virtualenvs of their own, for what is tested beside other versions of packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

INSTALL_SECONDS: Final = 180


def environment() -> dict[str, str]:
    """This process's, without what would lead another virtualenv's Python to the packages of this one."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


class FreshVirtualenv:
    """A virtualenv of its own, made and filled by uv, or without uv by venv and pip, which take longer."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "bin" / "python"
        if uv := shutil.which("uv"):
            self._run(uv, "venv", "--quiet", "--no-project", "--python", sys.executable, folder)
            self._install: tuple[str | Path, ...] = (uv, "pip", "install", "--quiet", "--python", self.python)
        else:
            self._run(sys.executable, "-m", "venv", folder)
            self._install = (self.python, "-m", "pip", "install", "--quiet", "--no-compile")

    def install(self, *requirements: str | Path) -> subprocess.CompletedProcess[str]:
        return self._run(*self._install, *requirements)

    def _run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        # from the root directory: where the caller stands, installers may find settings of another project
        return subprocess.run(
            command, cwd="/", env=environment(), capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
