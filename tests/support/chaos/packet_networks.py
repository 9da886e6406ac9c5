"""A network of packets, where this machine can make one; elsewhere the test is skipped, with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Final
from urllib.parse import quote

import pytest
from benchmarks.chaos.namespaces import NamespacesUnavailable
from benchmarks.chaos.packet_network import PacketNetwork

HOME: Final = "home"
SOON: Final = {
    "tcp_user_timeout": 1_000,
    "tcp_keepalives_idle": 1,
    "tcp_keepalives_interval": 1,
    "tcp_keepalives_count": 1,
}
"""For Postgres, in place of our own, which take half a minute."""


@contextmanager
def packet_network() -> Iterator[PacketNetwork]:
    """Within the block this thread is at the node `home`."""
    try:
        network = PacketNetwork(HOME, seed=1)
    except NamespacesUnavailable as unavailable:
        pytest.skip(str(unavailable))
    with closing(network), network.entered(HOME):
        yield network


def with_options(url: str, settings: Mapping[str, int]) -> str:
    """The URL of a Postgres, with settings for its sessions."""
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return f"{url}?options={quote(options)}"
