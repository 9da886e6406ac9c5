"""`rollbook migrate`: bring the database's schema up to date."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from rollbook_ops.cli.help import taught
from rollbook_ops.cli.output import say
from rollbook_shared.install_hint import require_extra
from rollbook_shared.settings import Settings


@taught(
    "rollbook migrate",
    "rollbook migrate --print > schema.sql",
    exits={1: "the database is away, or something held a lock for too long; run it again"},
)
def migrate(
    only_print: Annotated[bool, typer.Option("--print", help="Write the SQL to stdout instead of running it.")] = False,
) -> None:
    """Create Rollbook's tables in the database of `ROLLBOOK_DATABASE_URL`, or bring them up to date.

    Run it before each new version. Safe at any time, under running workers, and from several machines at once. All is
    in the schema `rollbook`.
    """
    require_extra("migrating", "worker", "alembic", "sqlalchemy", "psycopg")
    if not only_print:
        Settings.from_env().need_database_url()
    # A process of its own: what applies jobs is never imported by what sends them.
    command = [sys.executable, "-m", "rollbook_worker.migrations", *(["--print"] if only_print else [])]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="")
    if done.returncode == 0 and not only_print:
        say("the tables are up to date")
    raise typer.Exit(done.returncode)
