"""A network of packets between namespaces, which can be cut in both directions or in one, lose packets and delay them.

A packet that is dropped leaves no trace: neither end learns that a connection is broken, as when a cable is pulled. So
the timeouts of clients and servers decide what happens next.
"""

from __future__ import annotations

import heapq
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final

from benchmarks.chaos.namespaces import Namespace

_PACKET: Final = 65_535
_AT_ONCE: Final = 64
"""Packets that are read from one interface before the others have their turn."""
NETWORK: Final = "10.83.0.0/16"
_ADDRESSES: Final = "10.83.{}.{}"
_SOURCE: Final = slice(12, 16)
_DESTINATION: Final = slice(16, 20)
_IPV4: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Weather:
    """What becomes of packets in one direction."""

    loss: float = 0.0
    """The share that is lost; 1: all are."""
    delay: float = 0.0
    """Each takes up to so many seconds, so they overtake each other."""


CALM: Final = Weather()
CUT: Final = Weather(loss=1.0)


@dataclass(slots=True)
class Node:
    """A place in the network."""

    namespace: Namespace
    outgoing: Weather = CALM
    incoming: Weather = CALM

    @property
    def address(self) -> str:
        return self.namespace.address


@dataclass(slots=True)
class _Countdown:
    left: int
    callback: Callable[[], object]


class Link:
    """What passes between a node and a server. The node may get another address meanwhile."""

    def __init__(self) -> None:
        self.countdown: _Countdown | None = None

    def call_after(self, after_bytes: int, callback: Callable[[], object]) -> None:
        """Call `callback` after this many further bytes, before the packet passes that has the last of them."""
        self.countdown = _Countdown(after_bytes, callback)

    def cancel_call(self) -> None:
        """Cancel the call, if there is one."""
        self.countdown = None

    def look_at(self, packet: bytes) -> None:
        """Count the bytes of a packet that is about to pass."""
        if countdown := self.countdown:
            countdown.left -= len(packet)
            if countdown.left <= 0:
                self.countdown = None
                countdown.callback()


class PacketNetwork:
    """Carries packets between its nodes in one thread, until `close`.

    `home` is the node of this process, for whose packets there is no weather: it watches the servers meanwhile.
    """

    def __init__(self, home: str, seed: int) -> None:
        """Make the network.

        Raises:
            NamespacesUnavailable: this machine cannot.
        """
        self._chance = Random(seed)
        self._numbers = count(1)
        self._selector = selectors.DefaultSelector()
        self._nodes: dict[str, Node] = {}
        self._names: dict[bytes, str] = {}
        """By address, those of nodes that are there."""
        self._links: dict[frozenset[str], Link] = {}
        self._delayed: list[tuple[float, int, bytes]] = []
        self._order = count()
        self._lock = threading.Lock()
        """Held while packets are carried, and while nodes come and go."""
        self._gone: list[Node] = []
        self._is_open = True
        self._woken, self._waker = os.pipe()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._home = home
        self.node(home)
        self._thread = threading.Thread(target=self._carry, name="packets", daemon=True)
        self._thread.start()

    def node(self, name: str) -> Node:
        """The node of this name, which is made if there is none."""
        if name not in self._nodes:
            self._add(name)
        return self._nodes[name]

    @contextmanager
    def entered(self, name: str) -> Iterator[None]:
        """Within the block, this thread opens sockets and starts processes at this node."""
        with self.node(name).namespace.entered():
            yield

    def link(self, node: str, server: str) -> Link:
        """What passes between the two."""
        return self._links.setdefault(frozenset((node, server)), Link())

    def change(self, name: str, *, outgoing: Weather | None = None, incoming: Weather | None = None) -> None:
        """Change the weather of what a node sends, and of what it receives; None leaves it."""
        node = self.node(name)
        node.outgoing = outgoing or node.outgoing
        node.incoming = incoming or node.incoming

    def move(self, name: str) -> None:
        """Give the node another namespace, with another address. What is at the old one is cut off for ever."""
        with self._lock:
            old = self._nodes.pop(name)
            del self._names[socket.inet_aton(old.address)]
            self._selector.unregister(old.namespace.interface)
            self._gone.append(old)  # its interface stays, so that a process there notices nothing
        self._add(name)

    def close(self) -> None:
        """Carry nothing any more, and let the namespaces go. Idempotent."""
        if self._is_open:
            self._is_open = False
            os.write(self._waker, b".")
            self._thread.join()
            self._selector.close()
            for node in (*self._nodes.values(), *self._gone):
                node.namespace.close()
            os.close(self._woken)
            os.close(self._waker)

    def _add(self, name: str) -> None:
        number = next(self._numbers)
        node = Node(Namespace(_ADDRESSES.format(*divmod(number, 250))))
        with self._lock:
            self._nodes[name] = node
            self._names[socket.inet_aton(node.address)] = name
            self._selector.register(node.namespace.interface, selectors.EVENT_READ)
        os.write(self._waker, b".")  # a thread that waits already does not know of it

    def _carry(self) -> None:
        while self._is_open:
            wait = self._delayed[0][0] - time.monotonic() if self._delayed else None
            ready = self._selector.select(None if wait is None else max(wait, 0))
            with self._lock:
                for key, _ in ready:
                    if key.fd == self._woken:
                        os.read(self._woken, _AT_ONCE)
                    else:
                        self._read(key.fd)
                while self._delayed and self._delayed[0][0] <= time.monotonic():
                    self._write(heapq.heappop(self._delayed)[2])

    def _read(self, interface: int) -> None:
        with suppress(OSError):  # there is nothing to read, or the interface is gone
            for _ in range(_AT_ONCE):
                packet = os.read(interface, _PACKET)
                if packet[0] >> 4 == _IPV4:
                    self._pass(packet)

    def _pass(self, packet: bytes) -> None:
        source, destination = self._names.get(packet[_SOURCE]), self._names.get(packet[_DESTINATION])
        if source is None or destination is None:
            return
        if link := self._links.get(frozenset((source, destination))):
            link.look_at(packet)
        delay = 0.0
        if self._home not in (source, destination):
            for weather in (self._nodes[source].outgoing, self._nodes[destination].incoming):
                if weather.loss and self._chance.random() < weather.loss:
                    return
                if weather.delay:
                    delay += self._chance.uniform(0, weather.delay)
        if delay:
            heapq.heappush(self._delayed, (time.monotonic() + delay, next(self._order), packet))
        else:
            self._write(packet)

    def _write(self, packet: bytes) -> None:
        name = self._names.get(packet[_DESTINATION])
        if name is not None:
            with suppress(OSError):  # its queue is full: a packet may be lost
                os.write(self._nodes[name].namespace.interface, packet)
