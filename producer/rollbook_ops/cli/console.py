"""`rollbook console`: who may use the console of the HTTP server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from rollbook_ops.cli.command import AsJson, command
from rollbook_ops.cli.output import format_cell, out, print_error, print_json, print_table
from rollbook_server.console.roles import Role
from rollbook_shared.install_hint import require_extra
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook.database import Database

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the account.")]
PasswordFromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, for programs.")
]
_MAX_HOURS: Final = 24 * 7


@command(
    examples=(
        "rollbook console accounts add ann@example.com --role operator",
        "rollbook console accounts add sso-user@example.com --no-password",
        "pass show console | rollbook console accounts add ci --password-stdin",
    ),
    exit_codes={1: "there is an account of this name, or the database is not available"},
)
def add(
    name: Name,
    role: Annotated[
        Role, typer.Option(help="reader looks; operator also acts; admin also has accounts and the audit.")
    ] = Role.READER,
    personal_data: Annotated[
        bool, typer.Option("--personal-data", help="It sees personal data; otherwise that is masked.")
    ] = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Without one: a proxy names it, or it logs in with links.")
    ] = False,
    password_stdin: PasswordFromStdin = False,
    as_json: AsJson = False,
) -> None:
    """Add an account to the console, with a password that is asked for."""
    from rollbook_server.console.accounts import add_account, checked_name

    checked_name(name)
    password_hash = None if no_password else _password_hash(password_stdin)
    with _database() as database:
        added = database.run(add_account(name, password_hash, role, personal_data))
    _report(added, as_json, "added", f"there is an account {name}", name)


@command(
    examples=("rollbook console accounts list", "rollbook console accounts list --json | jq -r '.[].name'"),
    exit_codes={1: "the database is not available"},
)
def list_accounts(as_json: AsJson = False) -> None:
    """List the accounts of the console."""
    from rollbook_server.console.accounts import list_accounts

    with _database() as database:
        accounts = database.run(list_accounts())
    if as_json:
        print_json([asdict(account) for account in accounts])
        return
    table = Table("name", "role", "personal data", "password", "since")
    for each in accounts:
        shown = "shown" if each.sees_personal_data else "masked"
        cells = (each.name, each.role.value, shown, "set" if each.has_password else "none", each.created_at)
        table.add_row(*map(format_cell, cells))
    print_table(table, "no accounts")


@command(
    examples=("rollbook console accounts remove ann@example.com",),
    exit_codes={1: "there is no such account, or the database is not available"},
)
def remove(name: Name, as_json: AsJson = False) -> None:
    """Remove an account of the console; its sessions end at once."""
    from rollbook_server.console.accounts import remove_account

    with _database() as database:
        removed = database.run(remove_account(name))
    _report(removed, as_json, "removed", f"there is no account {name}", name)


@command(
    examples=("rollbook console accounts set-password ann@example.com",),
    exit_codes={1: "there is no such account, or the database is not available"},
)
def set_password(name: Name, password_stdin: PasswordFromStdin = False, as_json: AsJson = False) -> None:
    """Set the password of an account of the console; its sessions and links end at once."""
    from rollbook_server.console.accounts import set_password

    password_hash = _password_hash(password_stdin)
    with _database() as database:
        changed = database.run(set_password(name, password_hash))
    _report(changed, as_json, "changed", f"there is no account {name}", name)


@command(
    examples=("rollbook console login-link ann@example.com", "rollbook console login-link ann@example.com --hours 1"),
    exit_codes={1: "there is no such account, or the database is not available"},
)
def login_link(
    name: Name,
    hours: Annotated[float, typer.Option(min=0, max=_MAX_HOURS, help="How long it may be used.")] = 0.25,
    as_json: AsJson = False,
) -> None:
    """Print a link that logs in to the console once.

    It begins with `ROLLBOOK_CONSOLE_URL`, or else with `ROLLBOOK_SERVER_URL`.
    """
    from rollbook_server.console.login_links import login_url
    from rollbook_server.console.sessions import add_login_token, new_token
    from rollbook_server.console.settings import ConsoleSettings
    from rollbook_server.settings import ServerSettings

    token = new_token()
    server = ConsoleSettings.from_env().url or ServerSettings.from_env().url or "http://127.0.0.1:8787"
    with _database() as database:
        added = database.run(add_login_token(name, token, timedelta(hours=hours)))
    if not added:
        print_error(f"there is no account {name}; `rollbook console accounts list` shows all")
        raise typer.Exit(1)
    url = login_url(server, token)
    if as_json:
        print_json({"name": name, "url": url})
    else:
        out.print(url, highlight=False, soft_wrap=True)


@contextmanager
def _database() -> Iterator[Database]:
    require_extra("`rollbook console`", "console", "psycopg")
    from rollbook.database import Database

    settings = Settings.from_env()
    database = Database(settings.need_database_url(), schema=settings.schema)
    try:
        yield database
    finally:
        database.close()


def _password_hash(from_stdin: bool) -> str:
    require_extra("a password", "console", "argon2")
    from rollbook_server.console.passwords import hash_password

    if from_stdin:
        return hash_password(sys.stdin.readline().rstrip("\n"))
    return hash_password(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _report(done: bool, as_json: bool, word: str, problem: str, name: str) -> None:
    if as_json:
        print_json({"name": name, word: done})
    elif done:
        out.print(f"{word}: {name}", highlight=False, markup=False, soft_wrap=True)
    else:
        print_error(problem)
    raise typer.Exit(0 if done else 1)
