"""The command line: all commands, and how their errors are printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Annotated, Final

import typer

from rollbook_ops.cli import (
    broker,
    console,
    database,
    dead_letters,
    deliver,
    deliveries,
    demo,
    doctor,
    feed,
    import_file,
    jobs,
    messages,
    outbox,
    registry,
    serve,
    templates,
    up,
    users,
    worker,
)
from rollbook_ops.cli.command import Command, add_command, help_epilog, help_text
from rollbook_ops.cli.output import finish_json, print_error, print_exception
from rollbook_ops.cli.server_errors import is_server_error
from rollbook_shared.errors import RollbookError
from rollbook_shared.install_hint import DISTRIBUTION
from rollbook_shared.reasons import safe_reason

_TRY: Final = "Try it"
_USERS: Final = "Users"
_JOBS: Final = "Jobs"
_OPERATE: Final = "Operate"

app = typer.Typer(
    name="rollbook",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=help_text(
        """
        Rollbook keeps one answer to who a user is, and how to reach them.

        `rollbook demo` sends the jobs of a product's life and checks the result. `rollbook up` runs everything on this
        machine, and prints the two URLs that the other commands need: `ROLLBOOK_BROKER_URL`, to which jobs are sent,
        and `ROLLBOOK_DATABASE_URL`, from which users are read.

        Results go to stdout, everything else to stderr. With `--json` a command prints one JSON value on stdout; if it
        failed, this is an object with the `error`.
        """
    ),
    epilog=help_epilog(
        examples=(
            "rollbook up",
            "rollbook import users.csv --wait",
            "rollbook users get ann",
            "rollbook users merge ann guest_9 --dry-run",
            "rollbook users list --where plan=pro --json | jq -r '.items[].email'",
            "rollbook --install-completion",
        ),
        exit_codes={1: "failed, not found, or a server is not available"},
    ),
)


def _add_group(name: str, text: str, panel: str, **functions: Command) -> typer.Typer:
    group = _group(text, functions)
    app.add_typer(group, name=name, rich_help_panel=panel)
    return group


def _group(text: str, functions: Mapping[str, Command]) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, help=help_text(text))
    for command_name, function in functions.items():
        add_command(group, command_name.replace("_", "-"), function)
    return group


add_command(app, "up", up.up, panel=_TRY)
add_command(app, "demo", demo.demo, panel=_TRY)
add_command(app, "import", import_file.import_file, panel=_USERS)
_add_group(
    "users",
    "Read users, merge and delete them.",
    _USERS,
    get=users.get,
    list=users.list_users,
    find=users.find,
    count=users.count,
    merge=users.merge,
    delete=users.delete,
    export=users.export,
    explain=users.explain,
)
add_command(app, "feed", feed.feed, panel=_USERS)
_add_group("messages", "Explain messages.", _USERS, explain=messages.explain)
add_command(app, "erase", database.erase, panel=_USERS)
_add_group(
    "jobs",
    "List jobs and show their status; cancel deferred jobs; replay dead letters.",
    _JOBS,
    get=jobs.get,
    list=jobs.list_jobs,
    wait=jobs.wait,
    deferred=jobs.deferred,
    cancel=jobs.cancel,
    dead=jobs.dead,
    show=jobs.show,
    replay=jobs.replay,
    drop=jobs.drop,
    codes=dead_letters.codes,
    replay_all=dead_letters.replay_all,
    drop_all=dead_letters.drop_all,
)
_add_group(
    "deliveries",
    "The messages that leave: list, claim, retry and cancel their deliveries.",
    _JOBS,
    list=deliveries.list_deliveries,
    get=deliveries.get,
    claim=deliveries.claim,
    retry=deliveries.retry,
    cancel=deliveries.cancel,
)
_add_group(
    "outbox",
    "The outbox: jobs that an application wrote within its own transactions.",
    _JOBS,
    create=outbox.create,
    show=outbox.show,
)
add_command(app, "relay", outbox.relay, panel=_JOBS)
add_command(app, "channels", registry.channels, panel=_OPERATE)
add_command(app, "workflows", registry.workflows, panel=_OPERATE)
_add_group(
    "templates",
    "Check the templates of messages, and render one for a user.",
    _OPERATE,
    check=templates.check,
    preview=templates.preview,
)
add_command(app, "serve", serve.serve, panel=_OPERATE)
_add_group(
    "console",
    "Who may use the console, which `rollbook serve` shows under `/console` if `ROLLBOOK_CONSOLE` is set.",
    _OPERATE,
    login_link=console.login_link,
).add_typer(
    _group(
        "The accounts of the console.",
        {
            "add": console.add,
            "list": console.list_accounts,
            "remove": console.remove,
            "set-password": console.set_password,
        },
    ),
    name="accounts",
)
add_command(app, "deliver", deliver.deliver, panel=_OPERATE)
add_command(app, "worker", worker.worker, panel=_OPERATE, takes_any_option=True)
add_command(app, "migrate", database.migrate, panel=_OPERATE)
add_command(app, "maintenance", database.maintenance, panel=_OPERATE)
_add_group(
    "broker",
    "To which database the queues in Redis belong.",
    _OPERATE,
    show=broker.show,
    adopt=broker.adopt,
)
add_command(app, "doctor", doctor.doctor, panel=_OPERATE)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # takes a tenth of the time that the help takes

        print(f"rollbook {version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def _main(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def run() -> None:
    """Run the command line. An error that a user can cause is printed as one line, without a traceback."""
    try:
        try:
            app()
        except RollbookError as error:
            sys.exit(print_exception(error))
        except Exception as error:
            if not is_server_error(error):
                raise
            print_error(f"a server failed: {safe_reason(error)}; `rollbook doctor` looks at both")
            sys.exit(1)
        finally:
            finish_json()
            if sys.stdout is not None:  # None if it was closed at the start
                sys.stdout.flush()  # now, while we can handle the error; at exit Python would print a traceback
    except BrokenPipeError:  # the reader of our output has ended
        _discard_output()
        sys.exit(1)
    except OSError as error:
        _discard_output()
        where = f"{error.filename}: " if error.filename else ""
        print_error(f"{where}{error.strerror or error}")
        sys.exit(1)


def _discard_output() -> None:
    """Redirect stdout to nowhere: Python flushes it at exit, and would fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
