"""What senders hand messages over to: it records each message that it takes, and fails when a fault says so."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks.chaos.delivery_journal import HandOver

from rollbook_ops.devstack.endpoint import LOOPBACK

_HANGS_SECONDS: Final = 20.0
"""Longer than a sender waits."""


class SinkState(Enum):
    """How it answers."""

    TAKES = auto()
    FAILS = auto()
    """With the status 500; it keeps nothing."""
    HANGS = auto()
    """Not at all; it keeps nothing."""


class Sink:
    """An HTTP server at this address."""

    def __init__(self, host: str = LOOPBACK) -> None:
        self.taken: list[HandOver] = []
        self._state = SinkState.TAKES
        self._changed = threading.Condition()
        self._calls: dict[str, Callable[[], object]] = {}
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(204 if sink.take(self.path.removeprefix("/"), json.loads(body)) else 500)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = _Server((host, 0), Handler)
        self.url = f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="sink", daemon=True)
        self._thread.start()

    def become(self, state: SinkState) -> None:
        """Answer in this way from now on."""
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def call_when_taken(self, sender: str, callback: Callable[[], object]) -> None:
        """Call once, when it has taken the next message from this sender, before that learns of it."""
        with self._changed:
            self._calls[sender] = callback

    def cancel_call(self, sender: str) -> None:
        """Cancel the call, if it has not happened."""
        with self._changed:
            self._calls.pop(sender, None)

    def take(self, sender: str, delivery: dict[str, Any]) -> bool:
        """Record the message before it is answered, unless a fault forbids it; return whether it was taken."""
        with self._changed:
            if self._state is SinkState.HANGS:
                self._changed.wait_for(lambda: self._state is not SinkState.HANGS, _HANGS_SECONDS)
                return False  # the sender has gone
            if self._state is SinkState.FAILS:
                return False
            self.taken.append(HandOver(id=delivery["id"], claim=delivery["claim"], at=time.time()))
            if (callback := self._calls.pop(sender, None)) is not None:
                callback()
            return True

    def close(self) -> None:
        """Stop listening."""
        self.become(SinkState.FAILS)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that is killed closes its connection in the middle."""
