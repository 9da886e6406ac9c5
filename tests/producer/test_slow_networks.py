"""A large job passes a slow network, and fails in time on one that transfers nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

import pytest
from tests.support.brokers import connect_to_broker
from tests.support.event_loops import CLIENTS, open_client

from rollbook import NotSent

RATE: Final = 6_000_000
"""Bytes a second: about 50 Mbit."""
PIECE: Final = RATE // 50
LARGE: Final = [{"id": f"u{number}", "blob": "x" * 200_000} for number in range(60)]
"""12 MB, 16 on the wire."""


@contextmanager
def slow_line(url: str, *, moves: bool = True) -> Iterator[str]:
    """The broker's URL over a line that is slow towards it, or takes nothing."""
    parts = urlsplit(url)
    assert parts.port
    with ExitStack() as undo:
        server = undo.enter_context(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=_serve, args=(server, parts.port, moves, undo), daemon=True).start()
        netloc = parts.netloc.replace(f":{parts.port}", f":{server.getsockname()[1]}")
        yield parts._replace(netloc=netloc).geturl()


def _serve(server: socket.socket, port: int, moves: bool, undo: ExitStack) -> None:
    with suppress(OSError):  # closed at the end
        while True:
            client, _ = server.accept()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            broker = socket.create_connection(("127.0.0.1", port))
            undo.enter_context(closing(client))
            undo.enter_context(closing(broker))
            threading.Thread(target=_pump, args=(broker, client, 0.0), daemon=True).start()
            if moves:
                threading.Thread(target=_pump, args=(client, broker, PIECE / RATE), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, pause: float) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
            time.sleep(pause)
        target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_large_job_is_sent_over_a_slow_network(broker_url: str, kind: str) -> None:
    with (
        slow_line(broker_url) as url,
        open_client(kind, broker_url=url) as rb,
        connect_to_broker(broker_url) as client,
    ):
        client.flushdb()
        begin = time.monotonic()
        rb.users.bulk_identify(LARGE)

        assert time.monotonic() - begin > 2, "not slow enough to show anything"
        assert client.llen("bulk") == 1


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_large_job_over_a_stalled_network_fails_in_time(broker_url: str, kind: str) -> None:
    with slow_line(broker_url, moves=False) as url, open_client(kind, broker_url=url) as rb:
        begin = time.monotonic()
        with pytest.raises(NotSent):
            rb.users.bulk_identify(LARGE)

        assert time.monotonic() - begin < 10
