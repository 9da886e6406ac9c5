"""A client of the feed socket, and a proxy that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import websockets
from tests.support.server.running_server import SECRET_KEY, RunningServer
from tests.support.waits import DEADLINE_SECONDS
from websockets.asyncio.client import ClientConnection


class FeedSocket:
    """One connection, as the official client makes it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, event: str, topic: str, payload: Any = None) -> None:
        await self.connection.send(json.dumps(["1", "2", topic, event, payload or {}]))

    async def receive(self, event: str) -> Any:
        """The payload of the next frame, which must be this event."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            _, _, _, found, payload = json.loads(await self.connection.recv())
        assert found == event, (found, payload)
        return payload

    async def join(self, topic: str, payload: Any = None) -> Any:
        """Join; the payload of the reply."""
        await self.send("phx_join", topic, payload)
        return await self.receive("phx_reply")

    async def counts(self) -> tuple[int, int, int]:
        """The total, unseen and unread of the next `new-message`."""
        return counts_in((await self.receive("new-message"))["metadata"])

    async def closed(self) -> int:
        """The code with which the server closes it."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self.connection.wait_closed()
        code = self.connection.close_code
        assert code is not None
        return code


@contextlib.asynccontextmanager
async def feed_socket(server: RunningServer, key: str = SECRET_KEY, token: str = "") -> AsyncIterator[FeedSocket]:
    """A socket with these credentials."""
    query = urlencode({"api_key": key, "user_token": token, "branch_slug": "", "vsn": "2.0.0"})
    url = server.url.replace("http", "ws") + f"/ws/v1/websocket?{query}"
    async with websockets.connect(url) as connection:
        yield FeedSocket(connection)


def counts_in(metadata: Any) -> tuple[int, int, int]:
    return metadata["total_count"], metadata["unseen_count"], metadata["unread_count"]


class CuttableProxy:
    """Passes bytes to an address, until it is cut."""

    def __init__(self) -> None:
        self._upstream = ("", 0)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def open(self, url: str) -> str:
        """Listen; the URL with this address in place of its own."""
        parts = urlsplit(url)
        self._upstream = (parts.hostname or "", parts.port or 6379)
        await self.restore()
        return url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{self.port}")

    async def cut(self) -> None:
        """Close all connections, and accept no others."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def restore(self) -> None:
        """Accept connections again."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection(*self._upstream)
        self._writers |= {writer, their_writer}
        await asyncio.gather(_pass(reader, their_writer), _pass(their_reader, writer), return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
