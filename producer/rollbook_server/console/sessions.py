"""Sessions and links to log in: random tokens, of which Postgres has only the hashes."""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Final

from rollbook.queries.query import Statement, Steps, query, write_query
from rollbook_server.console.accounts import ConsoleAccount, account_of
from rollbook_shared.database.statements import load

_SQL: Final = load(__package__, "sessions")
_BYTES: Final = 32
TOUCH_SECONDS: Final = 60
"""How often at most the use of a session is noted."""


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(_BYTES)


@write_query
def start_session(account: str, token: str, lifetime: timedelta) -> Steps[None]:
    """Start a session of an account that exists."""
    yield Statement(_SQL["start"], {"hash": _hash(token), "account": account, "seconds": lifetime.total_seconds()})


@query
def find_session(token: str, idle: timedelta) -> Steps[tuple[ConsoleAccount, bool] | None]:
    """The account of a session, and whether its use should be noted; None: there is none, or it has ended."""
    parameters = {"hash": _hash(token), "idle": idle.total_seconds(), "touch": TOUCH_SECONDS}
    rows = yield Statement(_SQL["find"], parameters)
    return (account_of(rows[0]), rows[0]["is_old"]) if rows else None


@write_query
def touch_session(token: str) -> Steps[None]:
    """Note that a session was used."""
    yield Statement(_SQL["touch"], {"hash": _hash(token)})


@write_query
def end_session(token: str) -> Steps[None]:
    """End a session."""
    yield Statement(_SQL["end"], {"hash": _hash(token)})


@write_query
def add_login_token(account: str, token: str, lifetime: timedelta) -> Steps[bool]:
    """Let the token log in to an account once; says whether there is the account."""
    parameters = {"hash": _hash(token), "account": account, "seconds": lifetime.total_seconds()}
    return bool((yield Statement(_SQL["add_login_token"], parameters)))


@write_query
def use_login_token(token: str) -> Steps[str | None]:
    """The account to which the token logs in, never again; None: it has expired, was used, or never was one."""
    rows = yield Statement(_SQL["use_login_token"], {"hash": _hash(token)})
    return str(rows[0]["account"]) if rows else None


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
