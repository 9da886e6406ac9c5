"""A stand-in for a connection pooler that rejects a connection as PgBouncer does in transaction mode."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SSL_REQUESTS: Final = (80877103, 80877104)
"""Codes of the first message of a client that asks for TLS, or for GSSAPI."""


@contextmanager
def rejecting_pooler(message: str) -> Iterator[str]:
    """Its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_serve, args=(listening, message), daemon=True).start()
        yield f"postgresql://u@127.0.0.1:{listening.getsockname()[1]}/app"
        listening.shutdown(socket.SHUT_RDWR)


def _serve(listening: socket.socket, message: str) -> None:
    fields = {b"S": b"FATAL", b"V": b"FATAL", b"C": b"08P01", b"M": message.encode()}
    body = b"".join(key + value + b"\0" for key, value in fields.items()) + b"\0"
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        with client:
            while int.from_bytes(client.recv(8)[4:], "big") in _SSL_REQUESTS:
                client.sendall(b"N")
            client.recv(10_000)  # the settings
            client.sendall(b"E" + (len(body) + 4).to_bytes(4, "big") + body)
