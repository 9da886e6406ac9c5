"""Connections to public addresses only, so that a webhook's URL cannot reach what only our own network can.

The address that was looked at is the one that is connected to: a name that has another address at the next look-up
(DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from httpcore import SOCKET_OPTION, AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream, ConnectError

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_MOST_ADDRESSES: Final = 3
"""Of one name, that are tried one after the other."""


class NotPublic(ConnectError):
    """The host has no public address."""


class PublicAddresses(AsyncNetworkBackend):
    """Connects to public addresses only."""

    def __init__(self, inner: AsyncNetworkBackend | None = None) -> None:
        """Connect with `inner`, by default over TCP with asyncio."""
        self._inner = inner or AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to the first of the host's public addresses that answers.

        Raises:
            NotPublic: it has none.
            ConnectError, ConnectTimeout: none of them answers.
        """
        public = [address for address in await _addresses_of(host, port) if is_public(address)]
        failure: ConnectError = NotPublic()
        for address in public[:_MOST_ADDRESSES]:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except ConnectError as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """See httpcore."""
        await self._inner.sleep(seconds)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address is of the public internet, and of no machine of ours, however it is written."""
    if isinstance(address, IPv6Address):
        embedded = _embedded(address)
        if embedded is not None:
            return all(map(is_public, embedded))
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: IPv6Address) -> tuple[IPv4Address, ...] | None:
    """The IPv4 addresses that packets to this address may go to in the end; None: it goes to none."""
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo


async def _addresses_of(host: str, port: int) -> list[IPv4Address | IPv6Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConnectError(str(error)) from error
    # an address with a zone is link-local: without its zone it is still not public
    return list(dict.fromkeys(ipaddress.ip_address(str(item[4][0]).partition("%")[0]) for item in found))
