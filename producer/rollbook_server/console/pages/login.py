"""The login: with a name and a password, or with a link that works once."""

from __future__ import annotations

from typing import Final

from starlette.responses import RedirectResponse, Response

from rollbook_server.console.accounts import MAX_NAME, find_account
from rollbook_server.console.audit import AuditNote, Result, write_audit
from rollbook_server.console.call import ConsoleCall, set_cookie
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.passwords import MAX_CHARACTERS
from rollbook_server.console.routes import OpenRoute
from rollbook_server.console.sessions import end_session, new_token, start_session, use_login_token
from rollbook_server.console.settings import PATH
from rollbook_server.console.sign_in import SESSION_COOKIE

LOGIN: Final = f"{PATH}/login"
_MAX_ADDRESS: Final = 4_000
_MAX_TOKEN: Final = 200


async def login_page(call: ConsoleCall) -> Response:
    """The form."""
    if call.account is not None:
        return RedirectResponse(_checked_address(call.query.get("next", "")), status_code=303)
    return call.render("login.html", next=_checked_address(call.query.get("next", "")), problem="")


async def login(call: ConsoleCall) -> Response:
    """Log in with a name and a password."""
    name, password = call.field("name", MAX_NAME), call.form.get("password", "")
    next_ = _checked_address(call.form.get("next", ""))
    address = _address(call)
    if not call.console.limits.allows(name, address):
        await _note(call, None, "login", Result.REJECTED, "too many failures")
        problem = "Too many failed logins. Wait a quarter of an hour, or use `rollbook console login-link`."
        return call.render("login.html", status=429, next=next_, problem=problem)
    found = await call.console.run(find_account(name)) if name else None
    known = found is not None
    matches = await call.console.passwords.matches(found[1] if found else None, password[: MAX_CHARACTERS + 1])
    if not matches:
        call.console.limits.record_failure(name, address)
        await _note(call, name if known else None, "login", Result.REJECTED, "wrong name or password")
        return call.render("login.html", status=401, next=next_, problem="The name or the password is wrong.")
    call.console.limits.record_success(name)
    return await _start(call, name, next_, "login")


async def link_page(call: ConsoleCall) -> Response:
    """A button, so that nothing that only looks at a link uses it up."""
    return call.render("login_link.html", token=call.query.get("token", "")[:_MAX_TOKEN])


async def login_by_link(call: ConsoleCall) -> Response:
    """Log in with the token of a link."""
    address = _address(call)
    if not call.console.limits.allows("", address):
        await _note(call, None, "login.link", Result.REJECTED, "too many failures")
        raise ConsoleError(429, "Too many failed logins", "Wait a quarter of an hour.")
    name = await call.console.run(use_login_token(call.form.get("token", "")[:_MAX_TOKEN]))
    if name is None:
        call.console.limits.record_failure("", address)
        await _note(call, None, "login.link", Result.REJECTED, "used or expired")
        raise ConsoleError(401, "This link does not work any more", "It was used, or has expired. Ask for another one.")
    return await _start(call, name, PATH, "login.link")


async def logout(call: ConsoleCall) -> Response:
    """End the session."""
    if token := call.request.cookies.get(SESSION_COOKIE, ""):
        await call.console.run(end_session(token))
    if call.account is not None:
        await _note(call, call.account.name, "logout", Result.DONE)
    response = RedirectResponse(LOGIN, status_code=303)
    response.delete_cookie(SESSION_COOKIE, path=PATH)
    return response


def login_routes(has_form: bool) -> tuple[OpenRoute, ...]:
    """The routes that need no login.

    has_form: whether people log in here; otherwise a proxy says who they are.
    """
    if not has_form:
        return ()
    return (
        OpenRoute(method="GET", path="/login", page=login_page),
        OpenRoute(method="POST", path="/login", page=login),
        OpenRoute(method="GET", path="/login/link", page=link_page),
        OpenRoute(method="POST", path="/login/link", page=login_by_link),
        OpenRoute(method="POST", path="/logout", page=logout),
    )


async def _start(call: ConsoleCall, name: str, next_: str, action: str) -> Response:
    """Start a session under a new token: one that was set before the login is worth nothing."""
    token = new_token()
    settings = call.console.settings
    await _note(call, name, action, Result.DONE)
    await call.console.run(start_session(name, token, settings.session))
    response = RedirectResponse(next_, status_code=303)
    set_cookie(response, SESSION_COOKIE, token, call.console, round(settings.session.total_seconds()))
    return response


async def _note(call: ConsoleCall, name: str | None, action: str, result: Result, reason: str | None = None) -> None:
    await call.console.run(write_audit(name, action, result, AuditNote(reason=reason)))


def _address(call: ConsoleCall) -> str:
    return call.request.client.host if call.request.client else ""


def _checked_address(address: str) -> str:
    """Where to go after the login: a page of the console, and no other site."""
    is_ours = address == PATH or address.startswith((f"{PATH}/", f"{PATH}?"))
    is_plain = address.isprintable() and "\\" not in address and len(address) <= _MAX_ADDRESS
    return address if is_ours and is_plain and not address.startswith(LOGIN) else PATH
