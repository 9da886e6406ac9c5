"""The proxies of a chaos run: forwarding, cuts, stalls, and calls after a number of bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from benchmarks.chaos.proxy import Network, Proxy
from tests.support.waits import DEADLINE_SECONDS

from rollbook_ops.devstack.endpoint import LOOPBACK


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@pytest.fixture
def proxy(network: Network) -> Iterator[Proxy]:
    """Before a server that says everything back."""
    with socket.create_server((LOOPBACK, 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        yield network.to(server.getsockname()[1])


def _echo(server: socket.socket) -> None:
    def answer(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65_536):
                connection.sendall(data)

    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def connected(proxy: Proxy) -> socket.socket:
    client = socket.create_connection((LOOPBACK, proxy.port), timeout=DEADLINE_SECONDS)
    client.sendall(b"hello")
    assert exactly(client, 5) == b"hello"
    return client


def exactly(client: socket.socket, number: int) -> bytes:
    with client.makefile("rb") as stream:
        return stream.read(number)


def read_all(client: socket.socket) -> bytes:
    read = b""
    try:
        while data := client.recv(65_536):
            read += data
    except ConnectionError:
        pass
    return read


def test_the_proxy_forwards_all_bytes(proxy: Proxy) -> None:
    sent = bytes(range(256)) * 4_000

    with connected(proxy) as client:
        threading.Thread(target=client.sendall, args=(sent,), daemon=True).start()

        assert exactly(client, len(sent)) == sent


def test_a_cut_breaks_every_connection_after_the_given_bytes(proxy: Proxy) -> None:
    with connected(proxy) as one, connected(proxy) as other:
        proxy.cut(7)
        _settled(proxy)
        for client in (one, other):
            client.sendall(b"four")  # and four come back: three of them are left

            assert read_all(client) == b"fou"


def test_a_cut_after_zero_bytes_is_immediate(proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxy.cut(0)

        assert read_all(client) == b""


def test_the_proxy_accepts_connections_after_a_cut(proxy: Proxy) -> None:
    proxy.cut(0)

    connected(proxy).close()


def test_a_stalled_proxy_delays_bytes_and_loses_none(proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxy.stall()
        _settled(proxy)
        client.sendall(b"late")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(4)

        proxy.resume()

        client.settimeout(10)
        assert exactly(client, 4) == b"late"


def test_a_callback_is_called_after_the_given_bytes(proxy: Proxy) -> None:
    callback = threading.Event()
    with connected(proxy) as client:
        proxy.call_after(8, callback.set)
        _settled(proxy)

        client.sendall(b"one")  # three there and three back
        assert exactly(client, 3) == b"one"
        assert not callback.is_set()

        client.sendall(b"two")
        assert exactly(client, 3) == b"two"
        assert callback.is_set()


def test_a_connection_ends_if_the_server_is_down(network: Network) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    proxy = network.to(port)

    with socket.create_connection((LOOPBACK, proxy.port), timeout=DEADLINE_SECONDS) as client:
        assert read_all(client) == b""


def _settled(proxy: Proxy) -> None:
    """Wait until the proxy has done what it was asked to do before."""
    assert proxy.wait_until_done(DEADLINE_SECONDS)
