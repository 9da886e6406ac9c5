"""A network that can be cut: TCP connections on the loopback, passed on byte by byte to a server.

Applications cannot tell it from the server itself. A cut happens after so many more bytes of a connection, so it may
strike in the middle of an answer, or between a commit and the answer to it.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from rollcall.local.ports import LOOPBACK, free_port

_READ: Final = 64 * 1024


class Proxy:
    """Passes connections on to a port of this machine, in a thread of its own, until `close`."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self._to = to_port
        self._connections: set[_Connection] = set()
        self._stalled = False
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True).start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._accept, LOOPBACK, self.port), self._loop
        ).result()

    def cut(self, after_bytes: int) -> None:
        """Break every connection once so many more bytes went over it, in either direction."""
        self._loop.call_soon_threadsafe(self._cut, after_bytes)

    def stall(self) -> None:
        """Pass nothing on, and break nothing."""
        self._loop.call_soon_threadsafe(self._set_stalled, True)

    def flow(self) -> None:
        """Pass on again, what was held first."""
        self._loop.call_soon_threadsafe(self._set_stalled, False)

    def close(self) -> None:
        """Break everything, and listen no more. Idempotent."""
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._server.close)
            self._loop.call_soon_threadsafe(self._cut, 0)
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _cut(self, after_bytes: int) -> None:
        for connection in list(self._connections):
            connection.cut(after_bytes)

    def _set_stalled(self, stalled: bool) -> None:
        self._stalled = stalled
        for connection in self._connections:
            connection.set_flowing(not stalled)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(LOOPBACK, self._to)
        except OSError:  # the server is down
            writer.transport.abort()
            return
        connection = _Connection(writer, back)
        connection.set_flowing(not self._stalled)
        self._connections.add(connection)
        try:
            await asyncio.gather(connection.pass_on(reader, back), connection.pass_on(there, writer))
        finally:
            self._connections.discard(connection)


class _Connection:
    def __init__(self, *ends: asyncio.StreamWriter) -> None:
        self._ends = ends
        self._left: int | None = None
        """Bytes that may still pass; None: all."""
        self._flowing = asyncio.Event()

    def set_flowing(self, flowing: bool) -> None:
        (self._flowing.set if flowing else self._flowing.clear)()

    def cut(self, after_bytes: int) -> None:
        self._left = after_bytes
        if not after_bytes:
            self._abort()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until either end closes."""
        try:
            while data := await reader.read(_READ):
                await self._flowing.wait()
                if self._left is not None and len(data) >= self._left:
                    writer.write(data[: self._left])
                    break
                if self._left is not None:
                    self._left -= len(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self._abort()

    def _abort(self) -> None:
        for end in self._ends:
            end.close() if self._left is None else end.transport.abort()
