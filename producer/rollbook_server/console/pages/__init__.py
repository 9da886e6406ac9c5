"""All pages and actions, in the order of the menu. A page has a file; each file has its part of this table."""

from __future__ import annotations

from typing import Final

from rollbook_server.console.pages import (
    accounts,
    audit,
    dead_letters,
    deferred,
    deliveries,
    health,
    home,
    jobs,
    merge,
    message,
    templates,
    user,
    users,
)
from rollbook_server.console.routes import ConsoleRoute

ROUTES: Final[tuple[ConsoleRoute, ...]] = (
    *home.ROUTES,
    *users.ROUTES,
    *user.ROUTES,
    *merge.ROUTES,
    *message.ROUTES,
    *jobs.ROUTES,
    *dead_letters.ROUTES,
    *deferred.ROUTES,
    *deliveries.ROUTES,
    *templates.ROUTES,
    *health.ROUTES,
    *audit.ROUTES,
    *accounts.ROUTES,
)
