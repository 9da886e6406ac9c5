"""A real HTTP server that keeps what is posted to it, and answers as a test says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.senders.loop_thread import LoopThread, loop_thread


@dataclass(frozen=True)
class Post:
    """A request."""

    line: str
    headers: dict[str, str]
    body: bytes


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """An answer; of a header's name `_` is `-`."""
    fields = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return "\r\n".join([f"HTTP/1.1 {status} X", *(f"{n}: {v}" for n, v in fields.items()), "", ""]).encode() + body


@dataclass(eq=False)
class HttpSink:
    """What was posted, and what is answered."""

    thread: LoopThread
    port: int = 0
    posts: list[Post] = field(default_factory=list)
    connections: int = 0
    answers: Callable[[Post], bytes | None] = lambda _: answer(204)
    """The bytes of the answer; None: none comes; empty: the connection is cut."""
    closes: bool = False
    """Whether a connection is closed after an answer."""
    hung: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a request is not answered."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=1"

    def reset(self) -> None:
        """Forget what was posted, and answer by default again."""
        self.posts.clear()
        self.connections = 0
        self.answers = lambda _: answer(204)
        self.closes = False
        self.hung.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):  # the client has closed it
            pass
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
        post = Post(line, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
        self.posts.append(post)
        if (found := self.answers(post)) is None:
            self.hung.set()
            await reader.readexactly(1)  # until the client closes
        writer.write(found or b"")
        await writer.drain()
        return bool(found) and not self.closes


@contextmanager
def http_sink(tls: ssl.SSLContext | None = None) -> Iterator[HttpSink]:
    """A sink on the loopback interface."""
    with loop_thread() as thread:
        sink = HttpSink(thread)

        async def listen() -> asyncio.Server:
            return await asyncio.start_server(sink.serve, "127.0.0.1", 0, ssl=tls)

        listener = thread.run(listen())
        sink.port = listener.sockets[0].getsockname()[1]
        try:
            yield sink
        finally:
            thread.call(listener.close)
