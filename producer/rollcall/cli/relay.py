"""`rollcall relay` sends what the outbox holds; `rollcall outbox` makes the table and shows how it stands."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rollcall.cli.options import AsJson
from rollcall.cli.output import out, pairs, print_json, say
from rollcall_shared.errors import NotConfigured
from rollcall_shared.settings import Settings

if TYPE_CHECKING:
    from rollcall.outbox.rows import Rows

app = typer.Typer(no_args_is_help=True, help="The outbox: jobs written with an application's own transactions.")


def relay() -> None:
    """Send the jobs of the outbox, and again until a worker has decided them, until Ctrl-C or SIGTERM.

    ROLLCALL_OUTBOX_URL names the application's database (by default that of ROLLCALL_DATABASE_URL), and
    ROLLCALL_RESEND_SECONDS how long a job may be undecided before it is sent again (60). With ROLLCALL_HEALTH_FILE it
    says in that file that it is well. Several relays share the work.
    """
    _need_drivers()
    from rollcall.outbox.relay import main

    sys.exit(main())


@app.command()
def create(
    only_print: Annotated[bool, typer.Option("--print", help="Write the SQL to stdout instead of running it.")] = False,
) -> None:
    """Make the table `rollcall_outbox` in the database of ROLLCALL_OUTBOX_URL, unless it is there."""
    if only_print:
        from rollcall.outbox.table import CREATE_TABLE

        print(*(f"{statement};" for statement in CREATE_TABLE), sep="\n\n")
        return
    rows = _rows()
    try:
        rows.create()
    finally:
        rows.close()
    say("the table rollcall_outbox is there")


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show how many jobs wait in the outbox, to be sent or to be decided."""
    rows = _rows()
    try:
        counts = rows.count()
    finally:
        rows.close()
    if as_json:
        print_json(counts)
    else:
        age = None if counts.oldest_seconds is None else f"{counts.oldest_seconds:.0f} s"
        out.print(
            pairs(
                "Outbox",
                {
                    "unsent": counts.unsent,
                    "undecided": counts.undecided,
                    "most often sent": counts.most_attempts,
                    "oldest": age,
                },
            )
        )


def _rows() -> Rows:
    _need_drivers()
    from rollcall.outbox.rows import Rows

    return Rows(Settings.from_env().need_outbox_url())


def _need_drivers() -> None:
    if importlib.util.find_spec("psycopg") is None or importlib.util.find_spec("sqlalchemy") is None:
        raise NotConfigured("the outbox's commands need the extra `read`: pip install 'rollcall[read]'")
