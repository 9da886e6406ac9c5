"""Ports for servers on the loopback interface."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"

# Below the range from which the kernel takes source ports (32768 up on Linux, 49152 on macOS). In it, a client
# that knocks at a stopped server's port can be given that very port as its source and connect to itself, and
# then the server cannot come back.
_RANGE = range(15_000, 32_000)


def is_free(port: int) -> bool:
    """Tell whether a server could bind `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Find a port nobody listens on; it stays likely, not certainly, free until a server binds it."""
    ports = random.SystemRandom().sample(_RANGE, 100)
    return next(port for port in ports if is_free(port))
