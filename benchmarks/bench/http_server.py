"""One process of `rollbook serve`, as its users run it, and what asks it."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import orjson
from benchmarks.bench.contenders import Stalled
from benchmarks.bench.environment import Environment
from benchmarks.bench.http_load import UnexpectedAnswer, is_complete
from benchmarks.bench.users import UserRecord

from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import LOOPBACK, free_port
from rollbook_ops.devstack.http_server import http_server_is_healthy

KEY: Final = "sk_benchmark"
_READY_WITHIN: Final = 60.0


class HttpServer:
    """A server process on these servers, with the logs that it writes by default."""

    def __init__(self, environment: Environment, name: str, variables: Mapping[str, str]) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "rollbook_ops.cli", "serve", "--host", LOOPBACK, "--port", str(self.port)]
        settings = {"ROLLBOOK_SECRET_KEYS": KEY}
        self.process = environment.spawn(name, command, {**settings, **variables})
        deadline = time.monotonic() + _READY_WITHIN
        while not http_server_is_healthy(self.url):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Stalled(f"the HTTP server did not start\n{environment.log_tails(name)}")
            time.sleep(0.05)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def caller(self) -> HttpCaller:
        """One connection."""
        return HttpCaller(self.port)

    def close(self) -> None:
        processes.kill(self.process)


class HttpCaller:
    """One connection, for one request after the other. It does as little as possible besides."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes, status: int) -> None:
        """Send the request and read its answer.

        Raises:
            UnexpectedAnswer: it has another status.
        """
        self._socket.sendall(request)
        answer = b""
        while not is_complete(answer):
            if not (more := self._socket.recv(65_536)):
                raise UnexpectedAnswer("the connection was lost")
            answer += more
        if not answer.startswith(b"HTTP/1.1 %d " % status):
            raise UnexpectedAnswer(answer[:400].decode(errors="replace"))


def identify_request(user: UserRecord, *headers: str) -> bytes:
    """The bytes of the request that identifies this user, with an idempotency key as the official SDKs send one."""
    body = orjson.dumps(user.traits)
    lines = [
        f"PUT /v1/users/{quote(user.id)} HTTP/1.1",
        f"host: {LOOPBACK}",
        f"authorization: Bearer {KEY}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        f"idempotency-key: {user.id}-{user.traits['visit']}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def feed_request(user_id: str) -> bytes:
    """The bytes of the request for the first page of a feed."""
    lines = [
        f"GET /v1/users/{quote(user_id)}/feeds/in_app?page_size=30 HTTP/1.1",
        f"host: {LOOPBACK}",
        f"authorization: Bearer {KEY}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()
