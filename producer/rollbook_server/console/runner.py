"""Runs the routes of the console: who may connect, who asks, the role, the CSRF token, the audit, and errors as pages.

A page or an action checks nothing of that, so none can forget to.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from rollbook_server.console.assets import Assets
from rollbook_server.console.audit import Result, finish_audit, write_audit
from rollbook_server.console.call import MAX_FIELD, ConsoleCall, ConsoleServices, set_cookie
from rollbook_server.console.csrf import FIELD, is_csrf_token
from rollbook_server.console.errors import ConsoleError, console_error
from rollbook_server.console.findings import Examinations
from rollbook_server.console.headers import KEPT, NOT_KEPT, SECURITY_HEADERS
from rollbook_server.console.login_limits import LoginLimits
from rollbook_server.console.pages import ROUTES
from rollbook_server.console.pages.login import LOGIN, login_routes
from rollbook_server.console.passwords import PasswordChecks
from rollbook_server.console.rendering import Rendering
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute, OpenRoute
from rollbook_server.console.sessions import new_token
from rollbook_server.console.settings import PATH, ConsoleSettings, SignIn
from rollbook_server.console.sign_in import CSRF_COOKIE, SESSION_COOKIE, Visitor, visitor_of
from rollbook_server.console.tools import NO_TOOLS, ConsoleTools
from rollbook_server.http.bodies import read_body
from rollbook_server.http.errors import ApiError
from rollbook_server.observability.recorder import Limit
from rollbook_server.observability.request_trace import request_span
from rollbook_server.services import Services
from rollbook_shared.loop_timeouts import LoopTimeouts

logger: Final = logging.getLogger("rollbook.server")

REASON_FIELD: Final = "reveal_reason"
MAX_PAGES: Final = 50
"""Pages that are made at the same time."""
_MAX_FIELDS: Final = 1_000
_FORM: Final = "application/x-www-form-urlencoded"


def console_routes(
    services: Services,
    settings: ConsoleSettings,
    routes: Sequence[ConsoleRoute] = ROUTES,
    *,
    tools: ConsoleTools = NO_TOOLS,
) -> list[BaseRoute]:
    """The console, for the application; empty if the settings turn it off.

    routes: the pages and actions.
    tools: what the pages of the health and of the templates use.
    """
    if not settings.is_on:
        return []
    assets = Assets()
    console = ConsoleServices(
        services=services,
        settings=settings,
        rendering=Rendering(assets, [route for route in routes if route.menu]),
        limits=LoginLimits(settings.login_failures),
        passwords=PasswordChecks(),
        tools=tools,
        examinations=Examinations(tools.examine),
    )
    runner = _Runner(console)
    reveals = [(route, True) for route in routes if route.reveals]
    return [
        Route(f"{PATH}/assets/{{digest}}/{{name}}", _asset_page(assets, settings)),
        *(
            Route(PATH + route.path, _ConsoleEndpoint(runner.answer_open, route), methods=[route.method])
            for route in login_routes(settings.sign_in is SignIn.PASSWORD)
        ),
        *(
            Route(
                PATH + route.path,
                _ConsoleEndpoint(runner.answer, route, reveals),
                methods=["POST" if reveals else route.method],
            )
            for route, reveals in [*((route, False) for route in routes), *reveals]
        ),
        Route(f"{PATH}/{{path:path}}", _ConsoleEndpoint(runner.answer, _NOTHING, False), methods=["GET"]),
    ]


async def _no_page(call: ConsoleCall) -> Response:
    if not call.path["path"]:
        return call.redirect("")
    raise ConsoleError(404, "Not found", "The console has no such page.")


_NOTHING: Final = ConsoleRoute(method="GET", path="/{path}", page=_no_page, role=Role.READER)


class _ConsoleEndpoint:
    """A route as an ASGI application."""

    def __init__(self, answer: Callable[..., Awaitable[Response]], *arguments: object) -> None:
        self._answer = answer
        self._arguments = arguments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive, send), *self._arguments)
        await response(scope, receive, send)


@dataclass(frozen=True, slots=True)
class _Form:
    fields: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]


class _Runner:
    """Runs routes, a bounded number at the same time."""

    def __init__(self, console: ConsoleServices) -> None:
        self._console = console
        self._timeouts = LoopTimeouts()
        self._seconds = console.services.settings.request_timeout.total_seconds()
        self._running = 0

    async def answer(self, request: Request, route: ConsoleRoute, is_reveal: bool) -> Response:
        """The answer of a page or an action."""
        name = f"POST {PATH}{route.path}" if is_reveal else route.name

        async def run(visitor: Visitor) -> Response:
            if visitor.account is None:
                return self._login_first(request, visitor)
            call = self._call(request, visitor)
            if request.method == "POST":
                return await self._act(call, route, is_reveal)
            if not call.may(route.role):
                raise ConsoleError(403, "Not permitted", f"This page needs the role {route.role}.")
            return await route.page(call)

        return await self._observed(request, name, run)

    async def answer_open(self, request: Request, route: OpenRoute) -> Response:
        """The answer of a route that is open to all, such as that of the login; it writes the audit itself."""

        async def run(visitor: Visitor) -> Response:
            call = self._call(request, visitor)
            if request.method == "POST":
                await self._read_form(call)
            return await route.page(call)

        return await self._observed(request, route.name, run)

    async def _observed(self, request: Request, name: str, run: Callable[[Visitor], Awaitable[Response]]) -> Response:
        begun = time.perf_counter()
        method, _, path = name.partition(" ")
        with request_span(method, path, request.headers) as span:
            response, error = await self._guarded(request, name, run)
            span.record_answer(response.status_code, error)
        seconds = time.perf_counter() - begun
        self._console.services.recorder.record_request(name, response.status_code, seconds)
        logger.info("%s %d %.1f ms", name, response.status_code, seconds * 1_000)
        return response

    async def _guarded(
        self, request: Request, name: str, run: Callable[[Visitor], Awaitable[Response]]
    ) -> tuple[Response, Exception | None]:
        settings = self._console.settings
        if not settings.accepts_peer(request.client and request.client.host):
            return _plain(404, "not found"), None
        if not settings.accepts_host(request.headers.get("host", "")):
            return _plain(421, "the console is not at this address"), None
        if self._running >= MAX_PAGES:
            self._console.services.recorder.record_overload(Limit.REQUESTS)
            return _plain(503, "the server is busy"), None
        self._running += 1
        visitor = Visitor(account=None, secret="")
        try:
            with self._timeouts.limit(self._seconds, "the page took too long"):
                visitor = await visitor_of(request, self._console)
                fresh = not visitor.secret
                if fresh:
                    visitor = Visitor(account=visitor.account, secret=new_token(), is_unknown=visitor.is_unknown)
                response = await run(visitor)
                if fresh:
                    set_cookie(response, CSRF_COOKIE, visitor.secret, self._console, None)
                return response, None
        except Exception as error:
            return self._error_page(request, visitor, name, error), error
        finally:
            self._running -= 1

    async def _act(self, call: ConsoleCall, route: ConsoleRoute, is_reveal: bool) -> Response:
        """Run an action, or show a page without masks, and write the audit. Without its row there is no action."""
        action = "reveal" if is_reveal else route.action
        account = None if call.account is None else call.account.name
        call.audit.target = route.path if is_reveal else None
        needed = Role.OPERATOR if is_reveal and route.role is Role.READER else route.role
        try:
            await self._read_form(call)
            if not call.may(needed):
                raise ConsoleError(403, "Not permitted", f"This needs the role {needed}.")
            if is_reveal:
                call.audit.reason = call.field(REASON_FIELD, 500)
                if not call.audit.reason:
                    raise ConsoleError(400, "A reason is needed", "Say why you need to see this data.")
        except Exception as error:
            if (known := console_error(error)) is not None and known.is_rejection:
                call.audit.reason = known.title
                call.audit.name_users(filter(None, [call.path.get("user_id")]))
                await self._console.run(write_audit(account, action, Result.REJECTED, call.audit))
            raise
        call.is_revealed = is_reveal
        call.audit.name_users(filter(None, [call.path.get("user_id")]))
        id_ = await self._console.run(write_audit(account, action, Result.BEGUN, call.audit))
        result = Result.FAILED
        try:
            response = await route.page(call)
            result = Result.DONE if response.status_code < 400 else Result.REJECTED
        except Exception as error:
            known = console_error(error)
            if known is not None and known.is_rejection:
                result = Result.REJECTED
                call.audit.reason = call.audit.reason or known.title
            raise
        finally:
            await self._console.run(finish_audit(id_, result, call.audit))
        return response

    async def _read_form(self, call: ConsoleCall) -> None:
        """Read the form, and reject one that another site has sent."""
        request = call.request
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            body = await read_body(request, MAX_FIELD) if kind == _FORM else b""
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
        except ApiError as error:
            raise ConsoleError(error.status, "Not valid", str(error)) from None
        except ValueError:
            raise ConsoleError(400, "Not valid", "The form cannot be read.") from None
        call.form = dict(pairs)
        call.form_lists = {name: tuple(value for each, value in pairs if each == name) for name, _ in pairs}
        origin = request.headers.get("origin")
        is_ours = origin is None or self._console.settings.accepts_origin(origin, request.headers.get("host", ""))
        account = "" if call.account is None else call.account.name
        if not (is_ours and is_csrf_token(call.form.get(FIELD, ""), call.secret, account)):
            raise ConsoleError(403, "Not sent", "The form is too old, or does not come from this page. Load it again.")

    def _call(self, request: Request, visitor: Visitor) -> ConsoleCall:
        return ConsoleCall(request=request, console=self._console, account=visitor.account, secret=visitor.secret)

    def _login_first(self, request: Request, visitor: Visitor) -> Response:
        if self._console.settings.sign_in is SignIn.PROXY:
            text = "The proxy names no account of the console. `rollbook console accounts add` adds one."
            raise ConsoleError(403, "No account", text)
        if request.method != "GET":
            raise ConsoleError(401, "Not logged in", "Your session has ended. Nothing was done. Log in again.")
        here = self._call(request, visitor).here
        return RedirectResponse(f"{LOGIN}?next={quote(here, safe='')}", status_code=303)

    def _error_page(self, request: Request, visitor: Visitor, name: str, error: Exception) -> Response:
        known = console_error(error)
        if known is None:
            logger.error("%s failed", name, exc_info=error)
            known = ConsoleError(500, "The server failed", "Its log says why.")
        elif not known.is_rejection:
            logger.error("%s: %s", name, known)
        call = self._call(request, visitor)
        response = call.render("error.html", status=known.status, title=known.title, text=str(known))
        if visitor.account is None and known.status == 401:
            response.delete_cookie(SESSION_COOKIE, path=PATH)
        return response


def _plain(status: int, text: str) -> Response:
    return Response(text, status, media_type="text/plain", headers={**SECURITY_HEADERS, **NOT_KEPT})


def _asset_page(assets: Assets, settings: ConsoleSettings) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        found = assets.find(request.path_params["name"], request.path_params["digest"])
        if found is None or not settings.accepts_peer(request.client and request.client.host):
            return _plain(404, "not found")
        content, kind = found
        return Response(content, media_type=kind, headers={**SECURITY_HEADERS, **KEPT})

    return page
