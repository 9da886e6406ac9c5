"""The network of packets of a chaos run: cuts in both directions and in one, losses, delays, and new addresses."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from benchmarks.chaos.command import main
from benchmarks.chaos.namespaces import Namespace, NamespacesUnavailable
from benchmarks.chaos.packet_network import CALM, CUT, PacketNetwork, Weather
from tests.support.chaos.packet_networks import HOME, packet_network
from tests.support.waits import DEADLINE_SECONDS

PORT = 5_000
SOON = 0.3
"""Seconds in which an answer would have come many times."""


@pytest.fixture
def network() -> Iterator[PacketNetwork]:
    with packet_network() as network:
        yield network


@pytest.fixture
def heard(network: PacketNetwork) -> Iterator[list[bytes]]:
    """What a server at the node `server` has received; it says everything back."""
    received: list[bytes] = []
    with network.entered("server"):
        server = socket.create_server((network.node("server").address, PORT))

    def answer(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65_536):
                received.append(data)
                connection.sendall(data)

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield received
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def connected(network: PacketNetwork, node: str = "client") -> socket.socket:
    with network.entered(node):
        client = socket.create_connection((network.node("server").address, PORT), timeout=DEADLINE_SECONDS)
    assert answer(client, b"hello") == b"hello"
    return client


def answer(client: socket.socket, question: bytes) -> bytes:
    client.sendall(question)
    return exactly(client, len(question))


def exactly(client: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length and (more := client.recv(length - len(found))):
        found += more
    return found


def is_silent(client: socket.socket) -> bool:
    client.settimeout(SOON)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(DEADLINE_SECONDS)
    return False


@pytest.mark.parametrize(
    ("weather", "is_heard"),
    [
        ({"outgoing": CUT, "incoming": CUT}, False),
        ({"outgoing": CUT}, False),
        ({"incoming": CUT}, True),
    ],
)
@pytest.mark.usefixtures("heard")
def test_a_cut_is_silent_and_what_was_sent_arrives_after_it(
    network: PacketNetwork, heard: list[bytes], weather: dict[str, Weather], is_heard: bool
) -> None:
    with connected(network) as client:
        network.change("client", **weather)
        client.sendall(b"?")

        assert is_silent(client)
        assert (b"?" in heard) == is_heard

        network.change("client", outgoing=CALM, incoming=CALM)
        assert exactly(client, 1) == b"?"


@pytest.mark.usefixtures("heard")
def test_a_connection_that_is_opened_in_a_cut_finds_no_one(network: PacketNetwork) -> None:
    network.change("server", outgoing=CUT, incoming=CUT)

    with network.entered("client"), pytest.raises(TimeoutError):
        socket.create_connection((network.node("server").address, PORT), timeout=SOON)


@pytest.mark.parametrize("weather", [Weather(loss=0.2), Weather(delay=0.02)])
@pytest.mark.usefixtures("heard")
def test_nothing_is_missing_where_packets_are_lost_or_overtake_each_other(
    network: PacketNetwork, weather: Weather
) -> None:
    sent = os.urandom(50_000)
    with connected(network) as client:
        network.change("server", outgoing=weather, incoming=weather)

        assert answer(client, sent) == sent


@pytest.mark.usefixtures("heard")
def test_this_process_has_no_weather(network: PacketNetwork) -> None:
    network.change("server", outgoing=CUT, incoming=CUT)

    with connected(network, HOME) as client:
        assert answer(client, b"still there") == b"still there"


@pytest.mark.usefixtures("heard")
def test_a_node_that_moves_has_another_address_and_leaves_its_connections_behind(network: PacketNetwork) -> None:
    before = network.node("client").address
    with connected(network) as left:
        network.move("client")

        left.sendall(b"?")
        assert is_silent(left)
        with connected(network) as client:
            assert client.getsockname()[0] != before


@pytest.mark.usefixtures("heard")
def test_a_call_comes_before_the_packet_passes(network: PacketNetwork) -> None:
    with connected(network) as client:
        network.link("client", "server").call_after(1_000, lambda: network.change("client", outgoing=CUT))
        client.sendall(b"x" * 2_000)

        assert is_silent(client)


def test_a_process_of_a_node_reaches_only_the_network(network: PacketNetwork) -> None:
    with network.entered("client"), pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("203.0.113.1", 80), timeout=SOON)


def test_nothing_is_left_of_a_namespace(network: PacketNetwork) -> None:
    def own() -> str:
        return os.readlink("/proc/thread-self/ns/net")

    here = own()
    with network.entered("client"):
        there = own()

    network.close()

    assert here == own() != there
    assert not [link for link in _namespaces() if link == there]


def _namespaces() -> Iterator[str]:
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue


def test_a_machine_without_namespaces_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forbid(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("benchmarks.chaos.namespaces._call", forbid)

    with pytest.raises(NamespacesUnavailable, match="root"):
        Namespace("10.83.0.1")
    assert main(["--namespaces", "--jobs", "1"]) == 2
    assert "not run: network namespaces need Linux, root" in capsys.readouterr().err
