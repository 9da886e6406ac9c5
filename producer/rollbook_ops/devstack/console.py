"""The console of a stack: an admin, and a link with which a developer logs in once."""

from __future__ import annotations

import importlib.util
from datetime import timedelta
from typing import Final

ACCOUNT: Final = "developer"
LINK_HOURS: Final = 24
_MODULES: Final = ("jinja2", "argon2")


def console_is_installed() -> bool:
    """Whether the extra `console` is installed."""
    return all(importlib.util.find_spec(module) is not None for module in _MODULES)


def console_link(database_url: str, schema: str, server_url: str) -> str:
    """The address that logs in once to the console, as an admin who sees personal data.

    database_url, schema: of a migrated Rollbook.

    Raises:
        RollbookError: Postgres does not answer.
    """
    # imported here: `rollbook up` starts without the HTTP server too
    from rollbook.database import Database
    from rollbook_server.console.accounts import add_account
    from rollbook_server.console.login_links import login_url
    from rollbook_server.console.roles import Role
    from rollbook_server.console.sessions import add_login_token, new_token

    token = new_token()
    database = Database(database_url, schema=schema)
    try:
        database.run(add_account(ACCOUNT, None, Role.ADMIN, True))
        database.run(add_login_token(ACCOUNT, token, timedelta(hours=LINK_HOURS)))
    finally:
        database.close()
    return login_url(server_url, token)
