"""The ASGI application: routes, and what happens to each request before and after its endpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, Final

from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Lifespan, Receive, Scope, Send

from rollbook.errors import NotConfigured, RollbookError
from rollbook_server.access.callers import NO_RIGHTS, TOKEN_HEADER, Callers
from rollbook_server.call import Call
from rollbook_server.endpoints import ENDPOINTS
from rollbook_server.http.answers import error_response, response_of
from rollbook_server.http.bodies import check_shape, parse_json_object, read_body
from rollbook_server.http.errors import ApiError, api_error, not_found, unavailable
from rollbook_server.http.query_params import QueryParams
from rollbook_server.observability.recorder import Limit
from rollbook_server.observability.request_trace import request_span
from rollbook_server.pages import pages
from rollbook_server.realtime.socket import feed_socket_route
from rollbook_server.routes import ApiRoute
from rollbook_server.services import Services
from rollbook_server.unsupported import unsupported
from rollbook_server.writes import JOB_HEADER, OCCURRED_AT_HEADER, REPLAY_HEADER, RUN_AT_HEADER
from rollbook_shared.loop_timeouts import LoopTimeouts

logger: Final = logging.getLogger("rollbook.server")

_ENCODED_SLASH: Final = b"%2f"
_ALLOWED_HEADERS: Final = (
    "authorization",
    "content-type",
    "idempotency-key",
    "prefer",
    TOKEN_HEADER,
    "x-knock-branch",
    "x-knock-client",
    OCCURRED_AT_HEADER,
    RUN_AT_HEADER,
)
_EXPOSED_HEADERS: Final = (JOB_HEADER, REPLAY_HEADER, "retry-after", "retry-after-ms")
_METHODS: Final = ("GET", "PUT", "POST", "DELETE")
_NO_ROUTE: Final = "unknown"


def create_app(
    services: Services,
    callers: Callers,
    *,
    endpoints: Sequence[ApiRoute] = ENDPOINTS,
    console: Sequence[BaseRoute] = (),
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
    """The application.

    services: what all calls share.
    callers: finds out who calls.
    endpoints: the API.
    console: the routes of the console, if there is one.
    lifespan: what happens at the start and the end.
    """
    served = _Server(services, callers)
    middleware = [
        Middleware(
            CORSMiddleware,
            allow_origins=services.settings.cors_origins,
            allow_methods=_METHODS,
            allow_headers=_ALLOWED_HEADERS,
            expose_headers=_EXPOSED_HEADERS,
            max_age=3_600,
        )
    ]
    return Starlette(
        routes=[
            feed_socket_route(services, callers),
            *console,
            *pages(endpoints, services),
            *(served.route(endpoint) for endpoint in endpoints),
        ],
        lifespan=lifespan,
        middleware=middleware if services.settings.cors_origins else [],
        exception_handlers={HTTPException: served.http_error},  # type: ignore[dict-item]
    )


class _Server:
    """Runs endpoints for requests, a bounded number at the same time."""

    def __init__(self, services: Services, callers: Callers) -> None:
        self._services = services
        self._callers = callers
        self._running = 0
        services.recorder.observe(lambda: self._running, services.feeds)
        self._timeouts = LoopTimeouts()
        self._seconds = services.settings.request_timeout.total_seconds()

    def route(self, endpoint: ApiRoute) -> Route:
        """The endpoint as a route."""
        name = endpoint.handler.__qualname__
        return Route(endpoint.path, _Endpoint(self._answer, endpoint), methods=[endpoint.method], name=name)

    async def http_error(self, request: Request, error: HTTPException) -> Response:
        """The answer to a request that has no endpoint."""
        refusal = _refusal_of(request, error)
        self._services.recorder.record_request(_NO_ROUTE, refusal.status)
        return error_response(refusal)

    async def _answer(self, request: Request, endpoint: ApiRoute, shape: TypeAdapter[Any] | None) -> Response:
        begun = time.perf_counter()
        with request_span(endpoint.method, endpoint.path, request.headers) as span:
            response, error = await self._serve(request, endpoint, shape)
            span.record_answer(response.status_code, error)
        seconds = time.perf_counter() - begun
        route, recorder = endpoint.name, self._services.recorder
        recorder.record_request(route, response.status_code, seconds)
        if REPLAY_HEADER in response.headers:
            recorder.record_replay()
        logger.info("%s %d %.1f ms", route, response.status_code, seconds * 1_000)
        return response

    async def _serve(
        self, request: Request, endpoint: ApiRoute, shape: TypeAdapter[Any] | None
    ) -> tuple[Response, Exception | None]:
        settings = self._services.settings
        if self._running >= settings.max_requests:
            self._services.recorder.record_overload(Limit.REQUESTS)
            return error_response(unavailable("the server is busy", code="too_many_requests_in_progress")), None
        self._running += 1
        try:
            with self._timeouts.limit(self._seconds, "the request took too long"):
                return response_of(await endpoint.handler(await self._call(request, endpoint, shape))), None
        except Exception as error:
            return error_response(_error_of(error, endpoint)), error
        finally:
            self._running -= 1

    async def _call(self, request: Request, endpoint: ApiRoute, shape: TypeAdapter[Any] | None) -> Call:
        if _ENCODED_SLASH in request.scope.get("raw_path", b"").lower():
            raise not_found("no id holds a slash, not even an encoded one")
        caller = NO_RIGHTS
        if not endpoint.authorised_by_handler:
            caller = self._callers.of_query(request) if endpoint.streams else self._callers.of(request)
            caller.check(endpoint.permission, request.path_params.get("user_id"))
        raw = await read_body(request, self._services.settings.max_body_bytes)
        body: dict[str, Any] = {}
        if shape is not None:
            body = check_shape(parse_json_object(raw, request.headers.get("content-type")), shape)
        return Call(
            services=self._services,
            caller=caller,
            path=request.path_params,
            query=QueryParams(request.query_params.multi_items() if request.scope["query_string"] else ()),
            body=body,
            headers=_headers_of(request),
            fingerprint=_fingerprint(request, caller.user_id, raw),
            route=endpoint.name,
        )


class _Endpoint:
    """An endpoint as an ASGI application: what Starlette puts around a function takes a tenth of a request's time."""

    def __init__(
        self, answer: Callable[[Request, ApiRoute, TypeAdapter[Any] | None], Awaitable[Response]], endpoint: ApiRoute
    ) -> None:
        self._answer = answer
        self._endpoint = endpoint
        self._shape = None if endpoint.body is None else TypeAdapter(endpoint.body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive, send), self._endpoint, self._shape)
        await response(scope, receive, send)


def _headers_of(request: Request) -> dict[str, str]:
    """The headers by their names in lower case; of those that come twice the first."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(request.scope["headers"])}


def _fingerprint(request: Request, user_id: str | None, body: bytes) -> bytes:
    scope = request.scope
    parts = (request.method.encode(), scope["path"].encode(), scope["query_string"], (user_id or "").encode())
    digest = sha256()
    for part in (*parts, body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _error_of(error: Exception, endpoint: ApiRoute) -> ApiError:
    match error:
        case ApiError():
            return error
        case RollbookError():
            if isinstance(error, NotConfigured):
                logger.error("%s: %s", endpoint.name, error)
            return api_error(error)
        case TimeoutError():  # not a `JobTimeout`, which is one, too
            return unavailable("the request took too long", code="request_timeout")
    logger.error("%s failed", endpoint.name, exc_info=error)
    return ApiError(500, "internal_error", "the server failed; its log says why")


def _refusal_of(request: Request, error: HTTPException) -> ApiError:
    if error.status_code in (404, 405) and (known := unsupported(request.url.path)):
        return known
    if error.status_code == 404:
        return not_found("there is no such call")
    if error.status_code == 405:
        return ApiError(405, "method_not_allowed", "the call has another method", headers=error.headers)
    return ApiError(error.status_code, "http_error", error.detail)
