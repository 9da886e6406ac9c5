"""Where a local server listens, and its password."""

from __future__ import annotations

import json
import random
import secrets
import socket
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rollbook_shared.private_file import create_private_file

LOOPBACK = "127.0.0.1"

_PORTS = range(15_000, 32_000)
"""Below the range from which the kernel takes source ports (from 32768 on Linux, from 49152 on macOS).

In that range, a client that connects to the port of a stopped server may be given the same port as its source and
connect to itself; then the server cannot start again.
"""

_RESERVED: dict[int, socket.socket] = {}
_LOCK = threading.Lock()
_RELEASE_SECONDS = 5.0
"""How long a process of a killed run may take to release its port."""
_POLL_SECONDS = 0.05


def is_free(port: int) -> bool:
    """Return whether a server could bind `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def is_free_soon(port: int) -> bool:
    """Return whether a server could bind `port` within the time that a killed run may take to release it."""
    deadline = time.monotonic() + _RELEASE_SECONDS
    while not (free := is_free(port)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return free


def preferred_port(port: int) -> int:
    """Return `port` if it is free and reserved by no other run, otherwise a free one; reserve it."""
    return port if is_free(port) and reserve(port) else free_port()


def reserve(port: int) -> bool:
    """Keep other runs from choosing `port` until this process ends; return whether no other run has reserved it.

    Some time passes between the choice of a port and the start of the server that binds it, and two runs that begin
    together would choose the same one. So each holds the UDP port of the same number, which the system releases with
    the process, however that ends.
    """
    with _LOCK:
        if port in _RESERVED:
            return True
        holder = socket.socket(type=socket.SOCK_DGRAM)
        try:
            holder.bind((LOOPBACK, port))
        except OSError:
            holder.close()
            return False
        _RESERVED[port] = holder
        return True


def free_port() -> int:
    """Return a free port. Another process may still take it before a server binds it."""
    ports = random.SystemRandom().sample(_PORTS, 100)
    return next(port for port in ports if is_free(port))


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A port on the loopback interface. The password keeps other accounts of this machine out."""

    port: int
    password: str = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> Endpoint:
        """Return the endpoint of an earlier run, so that its URLs stay valid, or a new one.

        The port changes only if another process uses it now.
        """
        endpoint = cls.read(path)
        if endpoint is None:
            return cls(port=free_port(), password=secrets.token_hex(16))
        return endpoint if is_free(endpoint.port) else endpoint.with_new_port()

    @classmethod
    def read(cls, path: Path) -> Endpoint | None:
        """Return the endpoint that an earlier run saved; None if there is none."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, json.JSONDecodeError, TypeError):
            return None

    def with_new_port(self) -> Endpoint:
        """Return this endpoint with another port."""
        return Endpoint(port=free_port(), password=self.password)

    def save(self, path: Path) -> None:
        """Save it for the next run, readable only by this account."""
        new = path.with_suffix(".new")
        with create_private_file(new) as file:
            json.dump(asdict(self), file)
        new.replace(path)
