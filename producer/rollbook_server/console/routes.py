"""What a route of the console is: a page or an action, with the role that it needs. There is none without a role."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.roles import Role

PageFunction = Callable[[ConsoleCall], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsoleRoute:
    """A page (GET), or an action (POST)."""

    method: Literal["GET", "POST"]
    path: str
    """Below `/console`, with placeholders such as `{user_id}`; empty: the first page."""
    page: PageFunction
    role: Role
    """What the account must have at least."""
    action: str = ""
    """Of a POST: what the audit calls it, such as `users.delete`."""
    reveals: bool = False
    """Of a GET whose page masks personal data: a POST to the same path shows it without masks, to operators and admins
    who give a reason.
    """
    menu: str = ""
    """Of a GET: under which name the menu has it; empty: it is not in the menu."""

    def __post_init__(self) -> None:
        if (self.method == "POST") != bool(self.action):
            raise ValueError(f"{self.method} {self.path}: a POST has an action, and a GET has none")
        if self.method == "POST" and (self.reveals or self.menu):
            raise ValueError(f"POST {self.path}: only a page reveals, and only a page is in the menu")

    @property
    def name(self) -> str:
        """The method and the path with placeholders, as metrics, spans and logs name it."""
        return f"{self.method} /console{self.path}"


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenRoute:
    """A page or an action that needs no login: the login itself."""

    method: Literal["GET", "POST"]
    path: str
    page: PageFunction

    @property
    def name(self) -> str:
        """See `ConsoleRoute.name`."""
        return f"{self.method} /console{self.path}"
