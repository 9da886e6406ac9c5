"""Facts of this repository that several tests compare with: its files, locks, settings and Celery options."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from rollbook_ops.devstack.http_server import HttpEndpoint
from rollbook_server.console.settings import ConsoleSettings
from rollbook_server.settings import ServerSettings
from rollbook_shared.environment import settings_with_defaults
from rollbook_shared.settings import all_settings

ROOT: Final = Path(__file__).resolve().parents[2]


LOCKS = [ROOT / folder / "requirements.lock" for folder in ("", "deploy", "benchmarks", "docs", "deploy/audit")]


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
    described = (
        *all_settings(),
        *settings_with_defaults(ServerSettings()),
        *settings_with_defaults(ConsoleSettings()),
    )
    return {setting.variable for setting, _ in described} | {"FLOWER_BASIC_AUTH"}


def printed_variables() -> set[str]:
    """What `rollbook up` prints for an application that uses the HTTP server."""
    return set(HttpEndpoint(port=1, secret_key="", public_key="", segment_key="").environment)
