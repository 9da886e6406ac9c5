"""All commands, gathered; and what an error looks like to whoever typed one."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from rollcall.cli import demo, doctor, erase, feed, importing, jobs, migrate, relay, up, users
from rollcall.cli.output import fail
from rollcall_shared.errors import RollcallError

app = typer.Typer(
    name="rollcall",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="""
Rollcall keeps one answer to who a user is, and how to reach them.

Try it: `rollcall demo` plays a product's life and checks the result, `rollcall up` keeps everything running on this
machine and prints the two URLs below. In another terminal, with those set:

    rollcall import users.csv
    rollcall users get u1
    rollcall users merge customer_1 guest_9 --dry-run

**ROLLCALL_BROKER_URL** says where jobs go (redis://...), **ROLLCALL_DATABASE_URL** where users are read
(postgresql://...). Exit codes: 0 done, 1 not done or not found, 2 wrong usage, 130 interrupted.
""",
)
app.command("up")(up.up)
app.command("demo")(demo.demo)
app.command("import")(importing.import_file)
app.command("migrate")(migrate.migrate)
app.command("doctor")(doctor.doctor)
app.command("erase")(erase.erase)
app.command("relay")(relay.relay)
app.command("feed")(feed.feed)
app.add_typer(users.app, name="users")
app.add_typer(jobs.app, name="jobs")
app.add_typer(relay.app, name="outbox")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"rollcall {version('rollcall')}")
        raise typer.Exit


@app.callback()
def _main(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def run() -> None:
    """Run the command line; a user's error is one line, never a traceback."""
    try:
        app()
    except RollcallError as error:
        sys.exit(fail(error))
    except BrokenPipeError:
        # Who read our output has gone. Python would complain about it once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
