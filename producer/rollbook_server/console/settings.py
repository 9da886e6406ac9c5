"""The settings of the console."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import urlsplit

from rollbook_server.settings import TextList
from rollbook_shared.environment import Choice, Duration, Number, Setting, read_fields
from rollbook_shared.errors import NotConfigured

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
PATH: Final = "/console"
LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


class SignIn(StrEnum):
    """How people log in to the console."""

    OFF = "off"
    PASSWORD = "password"
    PROXY = "proxy"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsoleSettings:
    """The settings of the console of one server process. They are checked when they are made.

    Raises:
        NotConfigured: they contradict each other, or would let in who should stay outside.
    """

    sign_in: Annotated[
        SignIn,
        Choice(
            "ROLLBOOK_CONSOLE",
            "Whether `rollbook serve` shows the console, and how people log in: `off`; `password`: with a name and a "
            "password, or a link that works once; `proxy`: an authenticating proxy names them in a header.",
            kind=SignIn,
        ),
    ] = SignIn.OFF
    url: Annotated[
        str | None,
        Setting(
            "ROLLBOOK_CONSOLE_URL",
            "The address of the server as browsers see it, such as `https://rollbook.example.com`. Needed if others "
            "than this machine may connect; it must be `https` then.",
        ),
    ] = None
    peers: Annotated[
        tuple[str, ...],
        TextList(
            "ROLLBOOK_CONSOLE_PEERS",
            "Networks from which connections to the console are accepted, separated by commas: those of the proxy, if "
            "there is one. For all others the console does not exist.",
        ),
    ] = LOOPBACK
    proxy_header: Annotated[
        str,
        Setting(
            "ROLLBOOK_CONSOLE_PROXY_HEADER",
            "The header in which the proxy names the account. The proxy must remove it from what it receives.",
        ),
    ] = "x-forwarded-user"
    session: Annotated[
        timedelta,
        Duration("ROLLBOOK_CONSOLE_SESSION_HOURS", "How long a login lasts.", unit="hours"),
    ] = timedelta(hours=12)
    idle: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_CONSOLE_IDLE_HOURS", "How long a login lasts of which no use is made meanwhile.", unit="hours"
        ),
    ] = timedelta(hours=2)
    login_failures: Annotated[
        int,
        Number(
            "ROLLBOOK_CONSOLE_LOGIN_FAILURES",
            "Failed logins to one account within 15 minutes, after which one process rejects further ones; from one "
            "address four times as many.",
            least=1,
        ),
    ] = 5
    flower_url: Annotated[
        str | None, Setting("ROLLBOOK_CONSOLE_FLOWER_URL", "Where Flower is, for a link on the page of the health.")
    ] = None
    grafana_url: Annotated[
        str | None, Setting("ROLLBOOK_CONSOLE_GRAFANA_URL", "Where Grafana is, for a link on the page of the health.")
    ] = None

    def __post_init__(self) -> None:
        if self.sign_in is SignIn.OFF:
            return
        networks = self.networks
        if self.url is None:
            if not all(network.is_loopback for network in networks):
                raise NotConfigured(
                    "ROLLBOOK_CONSOLE_PEERS lets others than this machine connect to the console, so "
                    "ROLLBOOK_CONSOLE_URL must be set to its address as browsers see it, such as https://host"
                )
        elif urlsplit(self.url).scheme != "https" and urlsplit(self.url).hostname not in _LOCAL_HOSTS:
            raise NotConfigured(
                "ROLLBOOK_CONSOLE_URL must be an https URL, or one of this machine: passwords and sessions pass there"
            )
        if self.sign_in is SignIn.PROXY and any(network.prefixlen == 0 for network in networks):
            raise NotConfigured(
                "with ROLLBOOK_CONSOLE=proxy ROLLBOOK_CONSOLE_PEERS must name the proxy's addresses: from all others "
                "anyone could name any account in the header"
            )

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> ConsoleSettings:
        """Read the settings from `env`, by default the process's environment.

        Raises:
            NotConfigured: a variable has a value that cannot be used, or they contradict each other.
        """
        return cls(**read_fields(cls, os.environ if env is None else env))

    @property
    def is_on(self) -> bool:
        """Whether there is a console."""
        return self.sign_in is not SignIn.OFF

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it over TLS, so that cookies may be bound to that."""
        return self.url is not None and urlsplit(self.url).scheme == "https"

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks that may connect.

        Raises:
            NotConfigured: one of them is no network.
        """
        try:
            return tuple(map(ipaddress.ip_network, self.peers))
        except ValueError:
            raise NotConfigured(
                "ROLLBOOK_CONSOLE_PEERS must be networks such as 10.0.0.0/8, separated by commas"
            ) from None

    def accepts_peer(self, host: str | None) -> bool:
        """Whether a connection from this address is accepted."""
        try:
            address = ipaddress.ip_address(host or "")
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.networks)

    def accepts_host(self, host: str) -> bool:
        """Whether a request may name this host: without a URL only this machine, so that no page of another host, whose
        name leads here, can use the console.
        """
        return self.url is not None or (urlsplit(f"//{host}").hostname or "") in _LOCAL_HOSTS

    def accepts_origin(self, origin: str, host: str) -> bool:
        """Whether a form may come from a page of this origin.

        host: the host that the request names.
        """
        if self.url is not None:
            parts = urlsplit(self.url)
            return origin == f"{parts.scheme}://{parts.netloc}"
        return urlsplit(origin).netloc == host
