"""Make each seeded mistake in a copy of the sources, and see that the tests notice, or a chaos run.

`./run python -m tests.mutations.run` takes words to choose by, such as "rule 16", "transport" or "under fire" (all that
chaos runs are to notice). It exits with 1 if a mistake goes unnoticed. With `--control` it makes no mistake, and plays
each of the chosen chaos runs once with the code as it is: nothing must be found.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.mutations.chaos_mutants import UNDER_FIRE
from tests.mutations.console_mutants import IN_THE_CONSOLE
from tests.mutations.mutants import DEFECTS, Defect
from tests.mutations.server_mutants import IN_THE_SERVER
from tests.support.repository import ROOT

PACKAGES: Final = ("producer", "worker", "shared")
COPIED: Final = (*PACKAGES, "tests", "benchmarks", "deploy", "pyproject.toml")
TESTS_FAILED: Final = 1
"""Pytest's exit code for that; others mean that it could not run them."""


def main(words: list[str]) -> int:
    is_control = "--control" in words
    words = [word for word in words if word != "--control"]
    chosen = [
        defect
        for defect in (*DEFECTS, *IN_THE_SERVER, *IN_THE_CONSOLE, *UNDER_FIRE)
        if not words or any(word in _named(defect) for word in words)
    ]
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / name)
        if is_control:
            return control(copy, list(dict.fromkeys(defect.chaos for defect in chosen if defect.chaos)))
        for defect in chosen:
            started = time.monotonic()
            noticed = is_noticed(defect, copy)
            unnoticed += not noticed
            print(
                f"{'noticed' if noticed else 'UNNOTICED'} {defect.what} ({time.monotonic() - started:.0f} s)",
                flush=True,
            )
    print(f"{len(chosen) - unnoticed} of {len(chosen)} noticed")
    return 1 if unnoticed or not chosen else 0


def is_noticed(defect: Defect, copy: Path) -> bool:
    """Make the mistake in the copy, run its tests there, and mend it again."""
    file = copy / defect.file
    right = file.read_text()
    file.write_text(spoiled(defect, right))
    try:
        if defect.chaos:
            return bool(found_under_fire(copy, defect.chaos))
        return run_tests(copy, defect.tests) == TESTS_FAILED
    finally:
        file.write_text(right)


def control(copy: Path, runs: list[tuple[str, ...]]) -> int:
    """Play the chaos runs with the code as it is; 1 if any of them finds something."""
    wrong = 0
    for arguments in runs:
        found = found_under_fire(copy, arguments)
        wrong += found != {}
        print(f"{'clean' if found == {} else 'FOUND'} {' '.join(arguments)}", flush=True)
    print(f"{len(runs) - wrong} of {len(runs)} clean")
    return 1 if wrong or not runs else 0


def spoiled(defect: Defect, text: str) -> str:
    """The text with the mistake in it.

    Raises:
        ValueError: the place is not there, or there more than once.
    """
    if (times := text.count(defect.right)) != 1:
        raise ValueError(f"{defect.file} holds the place of this mistake {times} times: {defect.what}")
    return text.replace(defect.right, defect.wrong)


def run_tests(copy: Path, tests: tuple[str, ...]) -> int:
    return run_python(copy, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests).returncode


def found_under_fire(copy: Path, arguments: tuple[str, ...]) -> dict[str, int] | None:
    """What a chaos run found against the copy; None if it did not come to its end."""
    run = run_python(copy, "-m", "benchmarks.chaos", "--json", *arguments)
    last = run.stdout.splitlines()[-1:]
    if not last:
        print(f"    no verdict: {run.stderr[-500:]}", flush=True)
        return None
    found: dict[str, int] = json.loads(last[0]).get("found", {})
    print(f"    {', '.join(f'{what} {number}' for what, number in found.items()) or 'found nothing'}", flush=True)
    return found


def _named(defect: Defect) -> str:
    return f"under fire: {defect.what}" if defect.chaos else defect.what


def run_python(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # before what is installed; without bytecode, whose age in seconds would hide a change
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(copy), *(str(copy / package) for package in PACKAGES)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
