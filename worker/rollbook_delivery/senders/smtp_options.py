"""The options of a channel that is delivered by SMTP."""

from __future__ import annotations

from collections.abc import Mapping
from email.headerregistry import Address
from email.utils import parseaddr
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from rollbook_delivery.senders.email_address import deliverable_address
from rollbook_delivery.senders.email_message import one_line
from rollbook_delivery.senders.options import Options, Variable, client_tls, read_secret, table_of
from rollbook_delivery.senders.smtp_connections import SmtpServer
from rollbook_delivery.senders.unsubscribe import UnsubscribeOptions
from rollbook_shared.errors import NotConfigured
from rollbook_shared.registry import Channel

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]+$", max_length=253)]


class Tls(StrEnum):
    """How the connection is encrypted. The server's certificate is always checked."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


_PORTS: Final = {Tls.STARTTLS: 587, Tls.IMPLICIT: 465, Tls.NONE: 25}


class SmtpOptions(Options):
    """The options of a channel with `delivery = "smtp"`."""

    host: HostName
    """The mail server."""
    port: int | None = Field(default=None, ge=1, le=65_535)
    """By default 587; 465 with `tls = "implicit"`, 25 with `tls = "none"`."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """How the connection is encrypted. A server that does not offer it gets no mail; its certificate is checked."""
    ca_file: str | None = None
    """A file with the certificates that the server's is checked with, in place of the system's."""
    username: str | None = None
    """With which to log in; none given: without a login. Never over an unencrypted connection, but to this machine."""
    password_env: Variable | None = None
    """The environment variable with the password."""
    sender: str = Field(alias="from")
    """Whom the mails come from: `Example <hello@example.com>`. Its domain is that of `Message-ID` too."""
    reply_to: str | None = None
    """Where answers go."""
    local_hostname: HostName | None = None
    """How we greet the server; by default the name of this machine."""
    unsubscribe: UnsubscribeOptions | None = None
    """The link by which recipients opt out of a category."""


def smtp_server(options: SmtpOptions, channel: Channel, env: Mapping[str, str]) -> SmtpServer:
    """The server of the options.

    Raises:
        NotConfigured: options contradict each other, or one names what is missing.
    """
    tls = Tls(options.tls)
    if (options.username is None) != (options.password_env is None):
        raise NotConfigured(f"{table_of(channel)}: username and password_env belong together")
    if options.username is not None and tls is Tls.NONE and options.host not in _LOOPBACK:
        raise NotConfigured(f'{table_of(channel)}: a password is not sent with tls = "none"')
    password = None if options.password_env is None else read_secret(options.password_env, channel, env)
    return SmtpServer(
        host=options.host,
        port=options.port or _PORTS[tls],
        tls=tls is Tls.IMPLICIT,
        start_tls=tls is Tls.STARTTLS,
        username=options.username,
        password=password,
        tls_context=None if tls is Tls.NONE else client_tls(options.ca_file, channel),
        local_hostname=options.local_hostname,
        timeout=options.timeout,
    )


def mailbox(text: str, option: str, channel: Channel) -> Address:
    """The address, with its name, that an option holds.

    Raises:
        NotConfigured: it is none.
    """
    name, address = parseaddr(text)
    if (plain := deliverable_address(address)) is None or not plain.isascii() or one_line(text) != text:
        raise NotConfigured(f"{table_of(channel)}: {option} must be such as `Example <hello@example.com>`")
    return Address(name, addr_spec=plain)


def unsubscribe_key(options: SmtpOptions, channel: Channel, env: Mapping[str, str]) -> str:
    """The key of the signatures of links; empty if there are none.

    Raises:
        NotConfigured: it is needed and missing.
    """
    if options.unsubscribe is None or not options.unsubscribe.is_signed:
        return ""
    if options.unsubscribe.key_env is None:
        raise NotConfigured(f"{table_of(channel)}: unsubscribe.key_env is required for {{signature}}")
    return read_secret(options.unsubscribe.key_env, channel, env)
