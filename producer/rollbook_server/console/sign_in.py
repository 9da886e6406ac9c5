"""Finds out who asks: by the session in a cookie, or by the header of a trusted proxy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from rollbook_server.console.accounts import ConsoleAccount, find_account
from rollbook_server.console.call import ConsoleServices
from rollbook_server.console.sessions import find_session, touch_session
from rollbook_server.console.settings import SignIn

SESSION_COOKIE: Final = "rollbook_console"
CSRF_COOKIE: Final = "rollbook_console_csrf"


@dataclass(frozen=True, kw_only=True, slots=True)
class Visitor:
    """Who asks."""

    account: ConsoleAccount | None
    """None: without a login."""
    secret: str
    """What its CSRF tokens are made of; empty: nothing yet."""
    is_unknown: bool = False
    """The proxy names an account that there is not."""


async def visitor_of(request: Request, console: ConsoleServices) -> Visitor:
    """Who asks.

    Raises:
        RollbookError: Postgres does not say.
    """
    cookie = request.cookies.get(CSRF_COOKIE, "")
    if console.settings.sign_in is SignIn.PROXY:
        names = request.headers.getlist(console.settings.proxy_header)
        if len(names) != 1 or not names[0].strip():  # two: the proxy has passed on what a browser sent
            return Visitor(account=None, secret=cookie, is_unknown=True)
        found = await console.run(find_account(names[0].strip()))
        return Visitor(account=found and found[0], secret=cookie, is_unknown=found is None)
    if not (token := request.cookies.get(SESSION_COOKIE, "")):
        return Visitor(account=None, secret=cookie)
    session = await console.run(find_session(token, console.settings.idle))
    if session is None:
        return Visitor(account=None, secret=cookie)
    account, is_old = session
    if is_old:
        await console.run(touch_session(token))
    return Visitor(account=account, secret=token)
