"""Checks the console, if it is used here: that its settings go together, and that people can log in."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Final

from rollbook.database import Database
from rollbook_ops.formatting import format_count
from rollbook_server.console.accounts import list_accounts
from rollbook_server.console.roles import Role
from rollbook_server.console.settings import ConsoleSettings, SignIn
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.install_hint import install_hint
from rollbook_shared.observability.findings import Finding, ok, problem, warning
from rollbook_shared.settings import Settings

_MODULES: Final = ("jinja2", "argon2")
_NAME: Final = "console"
_ADD: Final = "`rollbook console accounts add NAME --role admin` adds one."


def examine_console(settings: Settings, console: ConsoleSettings) -> Iterator[Finding]:
    """Check what the settings turn on; reports nothing if there is no console."""
    if not console.is_on:
        return
    if any(importlib.util.find_spec(module) is None for module in _MODULES):
        yield problem(_NAME, "the extra `console` is not installed, so the server does not start", install_hint(_NAME))
        return
    database = Database(settings.need_database_url(), schema=settings.schema)
    try:
        accounts = database.run(list_accounts())
    except NotConfigured as error:
        yield problem(_NAME, str(error), "Give the server a login in the role rollbook_console (deploy/roles.sql).")
        return
    except Unavailable:
        return  # the check of Postgres says so
    finally:
        database.close()
    admins = [account for account in accounts if account.role is Role.ADMIN]
    if not admins:
        yield warning(_NAME, f"{format_count(len(accounts), 'account')}, no admin", _ADD)
    elif console.sign_in is SignIn.PASSWORD and not any(account.has_password for account in accounts):
        yield warning(
            _NAME, "no account has a password", "`rollbook console accounts set-password NAME` sets one; or use links."
        )
    else:
        yield ok(_NAME, f"{format_count(len(accounts), 'account')}, {format_count(len(admins), 'admin')}")
