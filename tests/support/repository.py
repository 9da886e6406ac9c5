"""Facts of this repository that several tests compare with: its files, locks, settings and Celery options."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from rollbook_shared.settings import all_settings

ROOT: Final = Path(__file__).resolve().parents[2]


LOCKS = [ROOT / folder / "requirements.lock" for folder in ("", "deploy", "benchmarks", "docs")]


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git clone")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in names.split("\0") if name and (path := ROOT / name).is_file()]


def pins(lock: Path) -> dict[str, list[str]]:
    """Requirement to its hashes, as pip reads them."""
    logical = lock.read_text().replace("\\\n", " ").splitlines()
    entries = [line.split() for line in logical if line.strip() and not line.startswith("#")]
    return {entry[0]: [part for part in entry if part.startswith("--hash=")] for entry in entries}


def unknown_options(subcommand: str, options: list[str]) -> list[str]:
    from celery.bin.celery import celery

    command = celery.commands[subcommand]
    known = {option for parameter in (*celery.params, *command.params) for option in parameter.opts}
    if subcommand == "flower":
        # Flower adds Tornado's options to Celery's.
        import flower.command
        from tornado.options import options as tornado_options

        assert flower.command
        known |= {f"--{name.replace('_', '-')}" for name in tornado_options.as_dict()}
    return [option for option in options if option.split("=")[0] not in known]


def known_variables() -> set[str]:
    return {setting.variable for setting, _ in all_settings()} | {"CELERY_BROKER_URL", "FLOWER_BASIC_AUTH"}
