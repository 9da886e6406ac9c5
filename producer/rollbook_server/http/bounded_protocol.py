"""HTTP/1.1 of uvicorn, with bounds on what comes before a request is one.

uvicorn hands a request over when its headers are complete. Until then it waits without an end, and keeps all that
comes: a caller who sends a byte a minute would hold a connection for ever, and one whose headers never end all memory.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from rollbook_server.http.errors import ApiError

MAX_HEADER_BYTES: Final = 64 * 1024
"""Of the request line and the headers of one request, and of what frames the chunks of its body. About so much: what
comes in one read is taken as a whole."""
_FRAME_BYTES: Final = 8
"""The most that frames one byte of a body which comes in chunks of one byte, and more."""
_TOO_LARGE: Final = ApiError(431, "headers_too_large", f"the headers must be at most {MAX_HEADER_BYTES} bytes")


def bounded_protocol(header_seconds: float) -> type[asyncio.Protocol]:
    """The protocol for uvicorn.

    header_seconds: how long the headers of a request may take, from the first byte on, and the first byte of a
        connection. Then the connection is closed.
    """

    class BoundedProtocol(HttpToolsProtocol):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._waiting: asyncio.TimerHandle | None = None
            self._frame_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            self._frame_bytes += len(data)
            super().data_received(data)
            if self._frame_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
                self.transport.write(_response_of(_TOO_LARGE))
                self.transport.close()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._frame_bytes = 0
            self._wait()

        def on_headers_complete(self) -> None:
            self._stop_waiting()
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._frame_bytes = max(0, self._frame_bytes - (1 + _FRAME_BYTES) * len(body))
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._frame_bytes = 0
            super().on_message_complete()

        def _wait(self) -> None:
            self._stop_waiting()
            self._waiting = self.loop.call_later(header_seconds, self._close_unless_complete)

        def _stop_waiting(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

        def _close_unless_complete(self) -> None:
            self._waiting = None
            # Not while a request before this one is answered: the caller may have sent the next one early.
            cycle: RequestResponseCycle | None = self.cycle
            if cycle is None or cycle.response_complete:
                self.transport.close()
            else:
                self._wait()

    return BoundedProtocol


def _response_of(error: ApiError) -> bytes:
    body = orjson.dumps(error.body())
    head = (
        f"HTTP/1.1 {error.status} Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
