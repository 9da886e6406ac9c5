"""The audit: what was done in the console, by whom, and for what reason."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from rollbook_server.console.audit import list_audit
from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute

_LIMIT: Final = 100


async def audit_page(call: ConsoleCall) -> Response:
    """The newest rows, filtered by account, action and user."""
    filters = {name: call.text(name, 256) for name in ("account", "action", "user_id")}
    before = call.text("before", 20)
    if before and not (before.isascii() and before.isdecimal() and len(before) < 19):
        raise ConsoleError(400, "Not valid", "before must be the number of a row")
    page = await call.console.run(
        list_audit(limit=_LIMIT, before=int(before) if before else None, **{k: v or None for k, v in filters.items()})
    )
    return call.render("audit.html", page=page, filters=filters)


ROUTES: Final = (ConsoleRoute(method="GET", path="/audit", page=audit_page, role=Role.ADMIN, menu="Audit"),)
