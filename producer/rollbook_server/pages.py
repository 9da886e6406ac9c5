"""What everybody may read without a key: the description of the API, and how the process is."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from rollbook_server.openapi import openapi
from rollbook_server.openapi_page import openapi_page
from rollbook_server.routes import ApiRoute
from rollbook_server.services import Services
from rollbook_shared.install_hint import DISTRIBUTION
from rollbook_shared.registry import registry_fingerprint

_JSON: Final = "application/json"
_PAGE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def pages(endpoints: Sequence[ApiRoute], services: Services) -> list[Route]:
    """The routes of the pages.

    endpoints: what is described.
    """
    document = openapi(endpoints, version(DISTRIBUTION), services.settings.url)
    described, page = orjson.dumps(document), openapi_page(document)

    async def describe(request: Request) -> Response:
        return Response(described, media_type=_JSON)

    async def show(request: Request) -> Response:
        return Response(page, media_type="text/html", headers={"content-security-policy": _PAGE_POLICY})

    async def to_page(request: Request) -> Response:
        return RedirectResponse("docs")

    async def health(request: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type=_JSON)

    async def ready(request: Request) -> Response:
        answer: dict[str, Any] = {"status": "ready", "registry": registry_fingerprint(services.registry.current)}
        if missing := await services.readiness.missing():
            answer |= {"status": "not ready", "missing": missing}
        return Response(orjson.dumps(answer), 503 if missing else 200, media_type=_JSON)

    return [
        Route("/openapi.json", describe),
        Route("/", to_page),
        Route("/docs", show),
        Route("/healthz", health),
        Route("/readyz", ready),
    ]
