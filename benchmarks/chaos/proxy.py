"""A network that can be cut: TCP connections on the loopback, passed on byte by byte to a server.

Applications cannot tell it from the server itself. A cut happens after so many more bytes of a connection, so it may
strike in the middle of an answer, or between a commit and the answer to it. So may anything else: a `fuse` burns down
with the bytes that pass.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from rollbook_ops.devstack.endpoint import LOOPBACK, free_port

_READ: Final = 64 * 1024


class Network:
    """Its proxies work in one thread, until `close`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._proxies: list[Proxy] = []
        self._thread = threading.Thread(target=self.loop.run_forever, name="network", daemon=True)
        self._thread.start()

    def to(self, port: int) -> Proxy:
        """A new proxy before the server on this port."""
        proxy = asyncio.run_coroutine_threadsafe(Proxy.open(self.loop, port), self.loop).result()
        self._proxies.append(proxy)
        return proxy

    def close(self) -> None:
        """Break everything, and listen no more. Idempotent."""
        if not self.loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._end(), self.loop).result()
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()

    async def _end(self) -> None:
        for proxy in self._proxies:
            proxy.end()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@dataclass(slots=True)
class _Fuse:
    left: int
    burnt: Callable[[], object]


class Proxy:
    """Passes connections on to a port of this machine."""

    _server: asyncio.Server

    def __init__(self, loop: asyncio.AbstractEventLoop, to_port: int) -> None:
        self.port = free_port()
        self._to = to_port
        self._loop = loop
        self._connections: set[_Connection] = set()
        self._stalled = False
        self._fuse: _Fuse | None = None

    @classmethod
    async def open(cls, loop: asyncio.AbstractEventLoop, to_port: int) -> Proxy:
        """Begin to listen."""
        proxy = cls(loop, to_port)
        proxy._server = await asyncio.start_server(proxy._accept, LOOPBACK, proxy.port)
        return proxy

    def cut(self, after_bytes: int) -> None:
        """Break every connection once so many more bytes went over it, in either direction."""
        self._loop.call_soon_threadsafe(self._cut, after_bytes)

    def stall(self) -> None:
        """Pass nothing on, and break nothing."""
        self._loop.call_soon_threadsafe(self._set_stalled, True)

    def flow(self) -> None:
        """Pass on again, what was held first."""
        self._loop.call_soon_threadsafe(self._set_stalled, False)

    def fuse(self, after_bytes: int, burnt: Callable[[], object]) -> None:
        """Once so many more bytes have passed, over whatever connection, call `burnt` before any other does."""
        self._loop.call_soon_threadsafe(setattr, self, "_fuse", _Fuse(after_bytes, burnt))

    def put_out(self) -> None:
        """Put the fuse out, if there is one."""
        self._loop.call_soon_threadsafe(setattr, self, "_fuse", None)

    def end(self) -> None:
        """Break everything, and listen no more. From the loop only."""
        self._server.close()
        self._cut(0)

    def burn(self, passed: int) -> None:
        """So many bytes have passed."""
        if fuse := self._fuse:
            fuse.left -= passed
            if fuse.left <= 0:
                self._fuse = None
                fuse.burnt()

    def until_burnt(self, number: int) -> int:
        """How many of so many bytes may pass before it is to be looked whether the fuse is burnt."""
        return min(number, self._fuse.left) if self._fuse else number

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
        connection = _Connection(self, writer, back)
        connection.set_flowing(not self._stalled)
        self._connections.add(connection)
        with suppress(asyncio.CancelledError):  # the end; asyncio's server would show it as an error
            await asyncio.gather(connection.pass_on(reader, back), connection.pass_on(there, writer))
        self._connections.discard(connection)


class _Connection:
    def __init__(self, proxy: Proxy, *ends: asyncio.StreamWriter) -> None:
        self._proxy = proxy
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
                first = self._proxy.until_burnt(len(data))
                writer.write(data[:first])
                self._proxy.burn(first)
                writer.write(data[first:])
                await writer.drain()
        except OSError:
            pass
        finally:
            self._abort()

    def _abort(self) -> None:
        for end in self._ends:
            end.close() if self._left is None else end.transport.abort()
