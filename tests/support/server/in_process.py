"""Requests to the server's application without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from rollbook_server.serve import application
from rollbook_server.settings import ServerSettings
from rollbook_shared.settings import Settings

_KEY = "sk_in_process"


def request(settings: Settings, method: str, path: str, body: Any, headers: Mapping[str, str]) -> httpx.Response:
    """Start the application, send one request with a secret key, and stop it."""

    async def send() -> httpx.Response:
        app = application(settings, ServerSettings(secret_keys=(_KEY,)))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://rollbook") as client,
        ):
            return await client.request(method, path, json=body, headers={"authorization": f"Bearer {_KEY}", **headers})

    return asyncio.run(send())
