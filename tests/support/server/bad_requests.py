"""Bad requests, made from good ones: `python -m tests.support.server.bad_requests PORT [COUNT]` sends them to a server.

Each is sent over a connection of its own. The server may refuse it or close the connection; it may never fail.
"""

from __future__ import annotations

import random
import socket
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from tests.support.server.running_server import SECRET_KEY

CLOSED: Final = 0
"""In place of a status: the server closed the connection without an answer."""
_HEAD: Final = f"host: x\r\nauthorization: Bearer {SECRET_KEY}\r\nconnection: close\r\n".encode()
_PATHS: Final = (
    b"/v1/users/ann",
    b"/v1/users/bulk/identify",
    b"/v1/workflows/x/trigger",
    b"/v1/batch",
    b"/v1/messages/x",
)
_BODY: Final = (
    b'{"id": "ann", "users": [{"id": "bo"}], "recipients": ["ann"], "a": {"b": [1, 2.5, null, true, "\\u00e9"]}}'
)


def send_bad_requests(port: int, count: int, *, seed: int = 0) -> Counter[int]:
    """Send so many, one after the other; return how often each status came."""
    rng = random.Random(seed)
    makers = rng.choices(list(_MAKERS), k=count)
    return Counter(_send(port, make(rng), may_be_incomplete=_MAKERS[make]) for make in makers)


def _send(port: int, request: bytes, *, may_be_incomplete: bool) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(request)
            if may_be_incomplete:  # the server would wait for the rest
                connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(4_096)
        except TimeoutError:  # the server neither answers nor closes the connection
            raise
        except OSError:
            return CLOSED
    return int(answer.split(b" ", 2)[1]) if answer else CLOSED


def _request(rng: random.Random, body: bytes = _BODY, *, length: int | None = None, head: bytes = b"") -> bytes:
    line = b"%s %s HTTP/1.1\r\n" % (rng.choice((b"PUT", b"POST", b"GET", b"DELETE")), rng.choice(_PATHS))
    return line + _HEAD + head + b"content-length: %d\r\n\r\n" % (len(body) if length is None else length) + body


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randint(1, 2_000))


def _flipped(rng: random.Random) -> bytes:
    request = bytearray(_request(rng))
    for _ in range(rng.randint(1, 8)):
        request[rng.randrange(len(request))] = rng.randrange(256)
    return bytes(request)


def _cut(rng: random.Random) -> bytes:
    request = _request(rng)
    return request[: rng.randrange(1, len(request))]


def _spoilt_body(rng: random.Random) -> bytes:
    body = bytearray(_BODY)
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(body))
        body[place : place + rng.randint(0, 3)] = rng.choice((b"[", b"{", b'"', b"\x00", b"\xff", b"1e999", b"\\ud800"))
    return _request(rng, bytes(body))


def _deep(rng: random.Random) -> bytes:
    return _request(rng, rng.choice((b"[", b'{"a":')) * rng.randint(1_000, 50_000))


def _wrong_length(rng: random.Random) -> bytes:
    return _request(rng, length=rng.choice((0, 1, len(_BODY) - 1, len(_BODY) + 1, 10**9, 10**30)))


def _chunked(rng: random.Random) -> bytes:
    sizes = rng.choice(
        (b"5\r\nhello\r\n", b"ffffffffffffffffff\r\n", b"-1\r\n", b"5;" + b"x" * 5_000 + b"\r\n", b"g\r\n")
    )
    head = b"PUT /v1/users/ann HTTP/1.1\r\n" + _HEAD + b"transfer-encoding: chunked\r\n\r\n"
    return head + sizes * rng.randint(1, 20) + rng.choice((b"0\r\n\r\n", b""))


def _odd_headers(rng: random.Random) -> bytes:
    name = rng.choice((b"idempotency-key", b"rollbook-occurred-at", b"rollbook-run-at", b"content-type", b"prefer"))
    return _request(
        rng, head=name + b": " + rng.randbytes(rng.randint(0, 600)).replace(b"\n", b"").replace(b"\r", b"") + b"\r\n"
    )


def _many_headers(rng: random.Random) -> bytes:
    return _request(rng, head=b"x-more: %s\r\n" % (b"x" * 200) * rng.randint(100, 2_000))


_MAKERS: Final[Mapping[Callable[[random.Random], bytes], bool]] = {
    _noise: True,
    _flipped: True,
    _cut: True,
    _spoilt_body: False,
    _deep: False,
    _wrong_length: True,
    _chunked: True,
    _odd_headers: False,
    _many_headers: False,
}
"""What makes a request, and whether its end may be missing."""


if __name__ == "__main__":
    print(sorted(send_bad_requests(int(sys.argv[1]), int((sys.argv[2:] or ["10000"])[0])).items()))
