"""A network that can fail: proxies for TCP connections to a server on the loopback interface.

Applications cannot distinguish a proxy from the server. A cut happens after a number of further bytes of a connection,
so it may happen in the middle of an answer, or between a commit and its answer. A callback can also be called after a
number of bytes.
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
    """The proxies of a run; they work in one thread until `close`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._proxies: list[Proxy] = []
        self._thread = threading.Thread(target=self.loop.run_forever, name="network", daemon=True)
        self._thread.start()

    def to(self, port: int) -> Proxy:
        """Open a proxy for the server on this port."""
        proxy = asyncio.run_coroutine_threadsafe(Proxy.open(self.loop, port), self.loop).result()
        self._proxies.append(proxy)
        return proxy

    def close(self) -> None:
        """Break all connections and stop listening. Idempotent."""
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
class _Countdown:
    left: int
    callback: Callable[[], object]


class Proxy:
    """Forwards connections to a port of this machine."""

    _server: asyncio.Server

    def __init__(self, loop: asyncio.AbstractEventLoop, to_port: int) -> None:
        self.port = free_port()
        self._to = to_port
        self._loop = loop
        self._connections: set[_Connection] = set()
        self._stalled = False
        self._countdown: _Countdown | None = None

    @classmethod
    async def open(cls, loop: asyncio.AbstractEventLoop, to_port: int) -> Proxy:
        """Start listening."""
        proxy = cls(loop, to_port)
        proxy._server = await asyncio.start_server(proxy._accept, LOOPBACK, proxy.port)
        return proxy

    def cut(self, after_bytes: int) -> None:
        """Break every connection after this many further bytes, in either direction."""
        self._loop.call_soon_threadsafe(self._cut, after_bytes)

    def lead_to(self, port: int) -> None:
        """Lead new connections to another port."""
        self._loop.call_soon_threadsafe(setattr, self, "_to", port)

    def stall(self) -> None:
        """Forward nothing, and keep the connections open."""
        self._loop.call_soon_threadsafe(self._set_stalled, True)

    def resume(self) -> None:
        """Forward again, first what was held back."""
        self._loop.call_soon_threadsafe(self._set_stalled, False)

    def call_after(self, after_bytes: int, callback: Callable[[], object]) -> None:
        """Call `callback` after this many further bytes of any connections, before another byte passes."""
        self._loop.call_soon_threadsafe(setattr, self, "_countdown", _Countdown(after_bytes, callback))

    def cancel_call(self) -> None:
        """Cancel the call, if there is one."""
        self._loop.call_soon_threadsafe(setattr, self, "_countdown", None)

    def wait_until_done(self, timeout: float) -> bool:
        """Wait until the proxy has done what it was asked to do before, and return whether it has."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(done.set)
        return done.wait(timeout)

    def end(self) -> None:
        """Break all connections and stop listening. From the loop only."""
        self._server.close()
        self._cut(0)

    def count_bytes(self, passed: int) -> None:
        """Count bytes that have passed."""
        if countdown := self._countdown:
            countdown.left -= passed
            if countdown.left <= 0:
                self._countdown = None
                countdown.callback()

    def bytes_until_call(self, number: int) -> int:
        """How many of these bytes may pass before the call is due."""
        return min(number, self._countdown.left) if self._countdown else number

    def _cut(self, after_bytes: int) -> None:
        for connection in list(self._connections):
            connection.cut(after_bytes)

    def _set_stalled(self, stalled: bool) -> None:
        self._stalled = stalled
        for connection in self._connections:
            connection.set_open(not stalled)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(LOOPBACK, self._to)
        except OSError:  # the server is down
            writer.transport.abort()
            return
        connection = _Connection(self, writer, back)
        connection.set_open(not self._stalled)
        self._connections.add(connection)
        with suppress(asyncio.CancelledError):  # the network closes; asyncio's server would log it as an error
            await asyncio.gather(connection.pass_on(reader, back), connection.pass_on(there, writer))
        self._connections.discard(connection)


class _Connection:
    def __init__(self, proxy: Proxy, *ends: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._ends = ends
        self._left: int | None = None
        """Bytes that may still pass; None: no limit."""
        self._open = asyncio.Event()

    def set_open(self, is_open: bool) -> None:
        (self._open.set if is_open else self._open.clear)()

    def cut(self, after_bytes: int) -> None:
        self._left = after_bytes
        if not after_bytes:
            self._abort()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward until either end closes."""
        try:
            while data := await reader.read(_READ):
                await self._open.wait()
                if self._left is not None and len(data) >= self._left:
                    writer.write(data[: self._left])
                    break
                if self._left is not None:
                    self._left -= len(data)
                first = self._proxy.bytes_until_call(len(data))
                writer.write(data[:first])
                self._proxy.count_bytes(first)
                writer.write(data[first:])
                await writer.drain()
        except OSError:
            pass
        finally:
            self._abort()

    def _abort(self) -> None:
        for end in self._ends:
            end.close() if self._left is None else end.transport.abort()
