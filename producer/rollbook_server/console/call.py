"""What a page gets: who asks, for what, and all that it needs to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from rollbook import AsyncRollbook
from rollbook.queries.query import Query
from rollbook_server.console.accounts import ConsoleAccount
from rollbook_server.console.audit import AuditNote
from rollbook_server.console.csrf import csrf_token
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.findings import Examinations
from rollbook_server.console.flash import FLASH_COOKIE, Flash, flash_as_text, flash_of
from rollbook_server.console.login_limits import LoginLimits
from rollbook_server.console.passwords import PasswordChecks
from rollbook_server.console.rendering import Rendering, link
from rollbook_server.console.roles import Role
from rollbook_server.console.settings import PATH, ConsoleSettings
from rollbook_server.console.tools import ConsoleTools
from rollbook_server.services import Services
from rollbook_shared.json_values import find_text_problem

T = TypeVar("T")
MAX_FIELD: Final = 2 * 1024 * 1024
_FLASH_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsoleServices:
    """What all pages share."""

    services: Services
    settings: ConsoleSettings
    rendering: Rendering
    limits: LoginLimits
    passwords: PasswordChecks
    tools: ConsoleTools
    examinations: Examinations

    async def run(self, query: Query[T]) -> T:
        """The result of a query on the client's pool of connections."""
        return await self.services.client._context.read(query)


@dataclass(kw_only=True, slots=True)
class ConsoleCall:
    """One request for a page or an action."""

    request: Request
    console: ConsoleServices
    account: ConsoleAccount | None
    """Who asks; None only where a route is open to all, such as that of the login."""
    secret: str
    """What the CSRF token is made of: the session's token, or a random cookie."""
    form: Mapping[str, str] = field(default_factory=dict)
    """The fields of the form; of those that come twice the last."""
    form_lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """All values of each field."""
    is_revealed: bool = False
    """Whether the account has asked for this page without masks, with a reason."""
    audit: AuditNote = field(default_factory=AuditNote)
    """What the row of the audit says of this action."""

    @property
    def rb(self) -> AsyncRollbook:
        """The client: every write is a job of it."""
        return self.console.services.client

    @property
    def path(self) -> Mapping[str, str]:
        """The placeholders of the path."""
        return self.request.path_params

    @property
    def query(self) -> QueryParams:
        """The query string."""
        return self.request.query_params

    @property
    def shows_personal_data(self) -> bool:
        """Whether the page may show personal data."""
        return self.is_revealed or (self.account is not None and self.account.sees_personal_data)

    @property
    def here(self) -> str:
        """The address of this page, with its query string."""
        query = self.request.url.query
        return f"{self.request.url.path}?{query}" if query else self.request.url.path

    def may(self, role: Role) -> bool:
        """Whether the account has this role, or a higher one."""
        return self.account is not None and self.account.role.includes(role)

    def text(self, name: str, most: int = 1_000) -> str:
        """A field of the query string without blanks around it; empty if it is not there.

        Raises:
            ConsoleError: 400, it is too long, or has characters that Postgres does not keep.
        """
        return checked_text(name, self.query.get(name, "").strip(), most)

    def field(self, name: str, most: int = 1_000) -> str:
        """A field of the form without blanks around it; empty if it is not there.

        Raises:
            ConsoleError: 400, it is too long, or has characters that Postgres does not keep.
        """
        return checked_text(name, self.form.get(name, "").strip(), most)

    def render(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page of a template, with the layout around it."""
        flash = flash_of(self.request.cookies.get(FLASH_COOKIE, ""))
        response = self.console.rendering.respond(
            template,
            status,
            {
                "call": self,
                "account": self.account,
                "csrf_value": csrf_token(self.secret, "" if self.account is None else self.account.name),
                "flash": flash,
                "shows_personal_data": self.shows_personal_data,
                **values,
            },
        )
        if flash is not None:
            response.delete_cookie(FLASH_COOKIE, path=PATH)
        return response

    def fragment(self, template: str, **values: Any) -> str:
        """A part of a page, without the layout."""
        return self.console.rendering.fragment(template, values)

    def redirect(self, path: str, *values: str, flash: str = "", level: str = "ok") -> Response:
        """Where the browser goes after an action, with a sentence that it shows there once.

        path: below `/console`, with `{}` for each of the values.
        flash: holds no value of a user.
        level: `ok`, `warning` or `problem`.
        """
        return self.redirect_to(link(path, *values), flash=flash, level=level)

    def redirect_to(self, address: str, *, flash: str = "", level: str = "ok") -> Response:
        """The same; `address` is one that `link` or `with_query` made."""
        response = RedirectResponse(address, status_code=303)
        if flash:
            set_cookie(response, FLASH_COOKIE, flash_as_text(Flash(flash, level)), self.console, _FLASH_SECONDS)
        return response


def set_cookie(response: Response, name: str, value: str, console: ConsoleServices, seconds: int | None) -> None:
    """Set a cookie that only the console gets, and no script."""
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=PATH,
        secure=console.settings.is_secure,
        httponly=True,
        samesite="lax",
    )


def checked_text(name: str, text: str, most: int) -> str:
    """The text.

    Raises:
        ConsoleError: 400, it is too long, or has characters that Postgres does not keep.
    """
    if len(text) > most:
        raise ConsoleError(400, "Not valid", f"{name} must have at most {most:,} characters")
    if problem := find_text_problem(text):
        raise ConsoleError(400, "Not valid", f"{name}: {problem}")
    return text
