"""Sends requests that are made beforehand over several connections, as fast as they are answered.

It does as little as possible, as it shares the machine with the server that it measures.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from typing import Final

from rollbook_ops.devstack.endpoint import LOOPBACK

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class UnexpectedAnswer(Exception):
    """The server answered with another status."""


def send_all(port: int, requests: Sequence[bytes], *, connections: int, status: int) -> float:
    """Send the requests; return the seconds until the last was answered.

    connections: how many are open; each has one request at a time.
    status: what each must be answered with.

    Raises:
        UnexpectedAnswer: one was answered otherwise, or a connection was lost.
    """
    return asyncio.run(_send_all(port, iter(requests), connections, status))


async def _send_all(port: int, requests: Iterator[bytes], connections: int, status: int) -> float:
    loop = asyncio.get_running_loop()
    senders = []
    for _ in range(connections):
        _, sender = await loop.create_connection(lambda: _Sender(requests, status), LOOPBACK, port)
        senders.append(sender)
    begin = time.perf_counter()
    for sender in senders:
        sender.send_next()
    await asyncio.gather(*(sender.done for sender in senders))
    return time.perf_counter() - begin


def is_complete(answer: bytes) -> bool:
    """Whether this is a whole answer."""
    end = answer.find(_HEAD_END)
    if end < 0:
        return False
    length = _LENGTH.search(answer, 0, end)
    return len(answer) >= end + len(_HEAD_END) + (int(length[1]) if length else 0)


class _Sender(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: Iterator[bytes], status: int) -> None:
        self._requests = requests
        self._expected = b"HTTP/1.1 %d " % status
        self._read = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send_next(self) -> None:
        """Send the next request, or close the connection if there is none."""
        if (request := next(self._requests, None)) is not None:
            self._transport.write(request)
            return
        self.done.set_result(None)
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not is_complete(self._read):
            return
        answer, self._read = self._read, b""
        if answer.startswith(self._expected):
            self.send_next()
        else:
            self._fail(answer[:400].decode(errors="replace"))

    def connection_lost(self, exception: Exception | None) -> None:
        self._fail("the connection was lost")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(UnexpectedAnswer(why))
            self._transport.close()
