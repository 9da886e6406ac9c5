"""`rollbook erase`: take away at once all that is held of a user."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated

import typer
from rich.table import Table

from rollbook_ops.cli.help import taught
from rollbook_ops.cli.options import AsJson, UserId
from rollbook_ops.cli.output import complain, out, print_json, waiting
from rollbook_shared.install_hint import require_extra
from rollbook_shared.settings import Settings


@taught("rollbook users export ann --output ann.json", "rollbook erase ann --now", exits={1: "the database is away"})
def erase(
    user_id: UserId,
    now: Annotated[bool, typer.Option("--now", help="Really do it; there is no way back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a user and erase all that is held of it now, rather than once the delete has settled (24 hours).

    The bare fact of the delete, the id with its time, stays until then, for jobs from before it may still arrive. A
    merged-away id erases nobody: erase the user it stands for.
    """
    from rollbook.queries.validation import checked_user_id

    user_id = checked_user_id(user_id)
    if not now:
        raise typer.BadParameter("erasing cannot be undone; say --now", param_hint="--now")
    require_extra("erasing", "worker", "alembic", "sqlalchemy", "psycopg")
    Settings.from_env().need_database_url()
    # A process of its own: what applies jobs is never imported by what sends them.
    command = [sys.executable, "-m", "rollbook_worker.maintenance.erase", "--", user_id]
    with waiting("erasing"):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        *before, last = done.stderr.strip().splitlines() or ["it was not done"]
        print(*before, sep="\n", end="\n" if before else "", file=sys.stderr)
        complain(last.removeprefix("rollbook: "))
    else:
        rows: dict[str, int] = json.loads(done.stdout)
        if as_json:
            print_json(rows)
        else:
            table = Table("table", "rows erased")
            for name, count in sorted(rows.items()):
                table.add_row(name, f"{count:,}")
            out.print(table if rows else "nothing was held under this id")
    raise typer.Exit(done.returncode)
