"""The first page: a search, and how much there is of what one may have to look at."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.responses import Response

from rollbook.models import Page
from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute

_MOST: Final = 100
"""What is counted exactly; more is shown as `100+`."""


async def home_page(call: ConsoleCall) -> Response:
    """The first page."""
    jobs = call.rb.jobs
    users, dead, deferred, rejected = await asyncio.gather(
        call.rb.users.count(),
        jobs.list_dead_letters(limit=_MOST),
        jobs.list_deferred(limit=_MOST),
        jobs.list(state="rejected", limit=_MOST),
    )
    counts = {"dead": _count(dead), "deferred": _count(deferred), "rejected": _count(rejected)}
    return call.render("home.html", users=users, counts=counts, newest_dead=dead.items[:5])


def _count(page: Page[Any]) -> tuple[int, bool]:
    """How many there are, and whether there are more."""
    return len(page.items), page.after is not None


ROUTES: Final = (ConsoleRoute(method="GET", path="", page=home_page, role=Role.READER),)
