"""The accounts of the console, for admins: add, change and remove them, and set passwords."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from rollbook_server.console.accounts import (
    add_account,
    change_account,
    checked_name,
    find_account,
    list_accounts,
    remove_account,
    set_password,
)
from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.passwords import MAX_CHARACTERS
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute
from rollbook_server.console.settings import SignIn

_PATH: Final = "/accounts"


async def accounts_page(call: ConsoleCall) -> Response:
    """All accounts."""
    accounts = await call.console.run(list_accounts())
    return call.render("accounts.html", accounts=accounts, roles=list(Role), has_passwords=_has_passwords(call))


async def add(call: ConsoleCall) -> Response:
    """Add an account."""
    name = checked_name(call.field("name"))
    call.audit.target = name
    password = call.form.get("password", "")
    password_hash = await call.console.passwords.hash(password) if password and _has_passwords(call) else None
    if not await call.console.run(add_account(name, password_hash, _role(call), "sees_personal_data" in call.form)):
        raise ConsoleError(409, "Not added", "There is an account of this name.")
    return call.redirect(_PATH, flash="The account was added.")


async def change(call: ConsoleCall) -> Response:
    """Change what an account may do; not one's own, so that there is always an admin."""
    name = _other(call)
    if not await call.console.run(change_account(name, _role(call), "sees_personal_data" in call.form)):
        raise ConsoleError(404, "Not found", "There is no such account.")
    return call.redirect(_PATH, flash="The account was changed.")


async def change_password(call: ConsoleCall) -> Response:
    """Set the password of an account, which ends its sessions."""
    name = call.path["name"]
    call.audit.target = name
    password_hash = await call.console.passwords.hash(call.form.get("password", "")[: MAX_CHARACTERS + 1])
    if not await call.console.run(set_password(name, password_hash)):
        raise ConsoleError(404, "Not found", "There is no such account.")
    return call.redirect(_PATH, flash="The password was set; the sessions of the account have ended.")


async def remove(call: ConsoleCall) -> Response:
    """Remove an account; not one's own."""
    if not await call.console.run(remove_account(_other(call))):
        raise ConsoleError(404, "Not found", "There is no such account.")
    return call.redirect(_PATH, flash="The account was removed.")


async def own_page(call: ConsoleCall) -> Response:
    """One's own account."""
    return call.render("account.html", has_passwords=_has_passwords(call))


async def change_own_password(call: ConsoleCall) -> Response:
    """Set one's own password, with the one that was valid until now; all sessions end."""
    assert call.account is not None
    found = await call.console.run(find_account(call.account.name))
    if found is None or not _has_passwords(call):
        raise ConsoleError(409, "Not changed", "This account has no password.")
    current, address = call.form.get("current", ""), call.request.client.host if call.request.client else ""
    if not call.console.limits.allows(call.account.name, address):
        raise ConsoleError(429, "Too many failures", "Wait a quarter of an hour.")
    if found[1] is not None and not await call.console.passwords.matches(found[1], current):
        call.console.limits.record_failure(call.account.name, address)
        raise ConsoleError(403, "Not changed", "The current password is wrong.")
    password_hash = await call.console.passwords.hash(call.form.get("password", "")[: MAX_CHARACTERS + 1])
    await call.console.run(set_password(call.account.name, password_hash))
    return call.redirect("/login")


def _has_passwords(call: ConsoleCall) -> bool:
    return call.console.settings.sign_in is SignIn.PASSWORD


def _role(call: ConsoleCall) -> Role:
    try:
        return Role(call.field("role"))
    except ValueError:
        raise ConsoleError(400, "Not valid", f"The role must be one of {', '.join(Role)}.") from None


def _other(call: ConsoleCall) -> str:
    name = call.path["name"]
    call.audit.target = name
    if call.account is not None and name == call.account.name:
        raise ConsoleError(409, "Not your own", "Another admin must do that with your account.")
    return name


ROUTES: Final = (
    ConsoleRoute(method="GET", path=_PATH, page=accounts_page, role=Role.ADMIN, menu="Accounts"),
    ConsoleRoute(method="POST", path=_PATH, page=add, role=Role.ADMIN, action="accounts.add"),
    ConsoleRoute(method="POST", path=f"{_PATH}/{{name}}", page=change, role=Role.ADMIN, action="accounts.change"),
    ConsoleRoute(
        method="POST",
        path=f"{_PATH}/{{name}}/password",
        page=change_password,
        role=Role.ADMIN,
        action="accounts.set_password",
    ),
    ConsoleRoute(
        method="POST", path=f"{_PATH}/{{name}}/remove", page=remove, role=Role.ADMIN, action="accounts.remove"
    ),
    ConsoleRoute(method="GET", path="/account", page=own_page, role=Role.READER),
    ConsoleRoute(
        method="POST",
        path="/account/password",
        page=change_own_password,
        role=Role.READER,
        action="accounts.set_own_password",
    ),
)
