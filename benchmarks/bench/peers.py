"""Installs dramatiq and taskiq, the extra `bench`, when they are first measured.

With their dependencies they would make every `./run` a fifth slower to install. So they have a lock of their own, with
the versions of the main lock for packages that are in both.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.bench.environment import ROOT

LOCK: Final = ROOT / "benchmarks" / "requirements.lock"
_MODULES: Final = {"dramatiq": ("dramatiq",), "taskiq": ("taskiq", "taskiq_redis")}


def installed() -> list[str]:
    """The peers that can be measured."""
    importlib.invalidate_caches()
    return [name for name, modules in _MODULES.items() if all(map(importlib.util.find_spec, modules))]


def ensure(say: Callable[[str], None]) -> list[str]:
    """Install missing peers into the running virtualenv; return those that are installed.

    Without a network the benchmark goes on without them.
    """
    if len(installed()) < len(_MODULES):
        say("installing dramatiq and taskiq, once (--no-peers skips them)")
        done = subprocess.run(_installer(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            say(f"they could not be installed: {_last_line(done.stderr)}")
    return installed()


def _installer() -> Sequence[str]:
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable, "--require-hashes", "-r", str(LOCK)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    return [*pip, "--require-hashes", "-r", str(LOCK)]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was given"
