"""Servers behind TLS: the embedded programs have no TLS, so a proxy terminates it."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

_ASKED_FOR_TLS: Final = bytes.fromhex("0000000804d2162f")
"""How a client of Postgres begins that wants TLS; the server says S, and TLS begins."""
_CHUNK: Final = 65_536


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """A self-signed certificate of 127.0.0.1, which is thereby its own authority."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_certificate(folder: Path) -> Certificate:
    """Make one with `openssl`, or skip the test where there is none."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("there is no openssl on the PATH to make a certificate with")
    made = Certificate(certificate=folder / "certificate.pem", key=folder / "key.pem")
    subprocess.run(
        [
            *(program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", made.key, "-out", made.certificate),
        ],
        check=True,
        capture_output=True,
    )
    return made


class Front:
    """Takes connections with TLS, and passes what they say on to a server without."""

    def __init__(self, certificate: Certificate, port: int, *, asks_first: bool) -> None:
        self._context = certificate.context()
        self._target = port
        self._asks_first = asks_first
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.rejected = 0
        self.taken = 0

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                threading.Thread(target=self._serve_one, args=(plain,), daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve_one(self, plain: socket.socket) -> None:
        try:
            if self._asks_first:
                if plain.recv(8, socket.MSG_WAITALL) != _ASKED_FOR_TLS:
                    raise ssl.SSLError("this client speaks without TLS")
                plain.sendall(b"S")
            client = self._context.wrap_socket(plain, server_side=True)
        except OSError:  # what ssl raises is one
            self.rejected += 1
            plain.close()
            return
        self.taken += 1
        server = socket.create_connection(("127.0.0.1", self._target))
        threading.Thread(target=_pass_on, args=(server, client), daemon=True).start()
        _pass_on(client, server)


@contextmanager
def tls_in_front_of(certificate: Certificate, port: int, *, asks_first: bool = False) -> Iterator[Front]:
    """A front for the server on this port; `asks_first` for Postgres, whose clients ask before they begin with TLS."""
    front = Front(certificate, port, asks_first=asks_first)
    threading.Thread(target=front.serve, daemon=True).start()
    try:
        yield front
    finally:
        front.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError, ValueError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
