"""`rollcall migrate`: bring the database's schema up to date."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Annotated

import typer

from rollcall_shared.errors import NotConfigured
from rollcall_shared.settings import Settings


def migrate(
    only_print: Annotated[bool, typer.Option("--print", help="Write the SQL to stdout instead of running it.")] = False,
) -> None:
    """Create Rollcall's tables in the database of ROLLCALL_DATABASE_URL, or bring them up to date.

    Safe at any time, and from several machines at once.
    """
    if importlib.util.find_spec("rollcall_worker") is None or importlib.util.find_spec("alembic") is None:
        raise NotConfigured("migrating needs the extra `worker`: pip install 'rollcall[worker]'")
    if not only_print:
        Settings.from_env().need_database_url()
    # A process of its own: what applies jobs is never imported by what sends them.
    command = [sys.executable, "-m", "rollcall_worker.migrate", *(["--print"] if only_print else [])]
    raise typer.Exit(subprocess.run(command, check=False).returncode)
