"""All commands, gathered; and what an error looks like to whoever typed one."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final

import typer

from rollbook_ops.cli import demo, doctor, erase, feed, import_file, jobs, migrate, outbox, relay, up, users
from rollbook_ops.cli.help import Command, add, lesson, prose
from rollbook_ops.cli.output import complain, fail, finish_json
from rollbook_shared.errors import RollbookError

_TRY: Final = "Try it"
_USERS: Final = "Users"
_JOBS: Final = "Jobs"
_OPERATE: Final = "Operate"

app = typer.Typer(
    name="rollbook",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=prose(
        """
        Rollbook keeps one answer to who a user is, and how to reach them.

        `rollbook demo` plays a product's life and checks the result. `rollbook up` keeps everything running on this
        machine, and prints the two URLs that the other commands need: `ROLLBOOK_BROKER_URL`, where jobs go, and
        `ROLLBOOK_DATABASE_URL`, where users are read.

        Results go to stdout, everything else to stderr. With `--json` there is one JSON value on stdout; where
        nothing could be done it is an object with the `error`.
        """
    ),
    epilog=lesson(
        "rollbook up",
        "rollbook import users.csv --wait",
        "rollbook users get ann",
        "rollbook users merge ann guest_9 --dry-run",
        "rollbook users list --where plan=pro --json | jq -r '.items[].email'",
        "rollbook --install-completion",
        exits={1: "not done, not found, or a server is away"},
    ),
)


def _group(name: str, says: str, panel: str, **commands: Command) -> None:
    group = typer.Typer(no_args_is_help=True, help=prose(says))
    for command_name, command in commands.items():
        add(group, command_name, command)
    app.add_typer(group, name=name, rich_help_panel=panel)


add(app, "up", up.up, panel=_TRY)
add(app, "demo", demo.demo, panel=_TRY)
add(app, "import", import_file.import_file, panel=_USERS)
_group(
    "users",
    "Read users, merge and delete them.",
    _USERS,
    get=users.get,
    list=users.list_users,
    merge=users.merge,
    delete=users.delete,
    export=users.export,
)
add(app, "feed", feed.feed, panel=_USERS)
add(app, "erase", erase.erase, panel=_USERS)
_group(
    "jobs",
    "Ask what became of jobs; cancel deferred ones; replay dead ones.",
    _JOBS,
    get=jobs.get,
    wait=jobs.wait,
    deferred=jobs.deferred,
    cancel=jobs.cancel,
    dead=jobs.dead,
    show=jobs.show,
    replay=jobs.replay,
    drop=jobs.drop,
)
_group(
    "outbox",
    "The outbox: jobs written with an application's own transactions.",
    _JOBS,
    create=outbox.create,
    show=outbox.show,
)
add(app, "relay", relay.relay, panel=_JOBS)
add(app, "migrate", migrate.migrate, panel=_OPERATE)
add(app, "doctor", doctor.doctor, panel=_OPERATE)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # a tenth of what the help takes

        print(f"rollbook {version('rollbook')}")
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
        try:
            app()
        except RollbookError as error:
            sys.exit(fail(error))
        finally:
            finish_json()
            if sys.stdout is not None:  # it is where it was closed
                sys.stdout.flush()  # while we can say what is wrong: at exit Python would, in its own way
    except BrokenPipeError:  # who read our output has gone
        _drop_output()
        sys.exit(1)
    except OSError as error:
        _drop_output()
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror or error}")
        sys.exit(1)


def _drop_output() -> None:
    """Python would complain about it once more when it flushes at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
