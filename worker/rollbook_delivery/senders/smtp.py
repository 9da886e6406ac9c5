"""Sends messages as e-mail through a mail server.

The `Message-ID` is made of the delivery's id, so a mail that is handed over twice is recognised as one. A 4xx answer is
tried again. A 5xx answer about the recipient or the mail is permanent; one about us (the login, the sender's address)
is an outage of the channel, because each mail would get it. Of an answer only its codes are kept: its text often
quotes the address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.errors import HeaderParseError
from enum import StrEnum
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPNotSupported,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from rollbook.models import Content, Delivery
from rollbook_delivery.results import Failed, Result, Sent
from rollbook_delivery.senders.email_address import deliverable_address
from rollbook_delivery.senders.email_message import email_message, one_line
from rollbook_delivery.senders.options import read_options
from rollbook_delivery.senders.smtp_connections import SmtpConnection, SmtpConnections
from rollbook_delivery.senders.smtp_options import SmtpOptions, mailbox, smtp_server, unsubscribe_key
from rollbook_delivery.senders.unreachable import unreachable
from rollbook_delivery.senders.unsubscribe import unsubscribe_headers
from rollbook_shared.registry import Channel

_ENHANCED_CODE: Final = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}\b")
_SHUTTING_DOWN: Final = 421


class Stage(StrEnum):
    """What the server was asked about last."""

    SENDER = "sender"
    RECIPIENT = "recipient"
    MAIL = "mail"


class SmtpSender:
    """Sends e-mail."""

    def __init__(self, channel: Channel, env: Mapping[str, str]) -> None:
        """Check the options; nothing is connected.

        Raises:
            NotConfigured: an option, or a variable that one names, is missing or invalid.
        """
        options = read_options(SmtpOptions, channel)
        self.timeout = options.timeout
        self.concurrency = options.concurrency
        self._from = mailbox(options.sender, "from", channel)
        self._reply_to = None if options.reply_to is None else mailbox(options.reply_to, "reply_to", channel)
        self._unsubscribe = options.unsubscribe
        self._unsubscribe_key = unsubscribe_key(options, channel, env)
        self._connections = SmtpConnections(smtp_server(options, channel, env))

    async def prepare(self) -> None:
        """See `Sender`."""

    async def send(self, delivery: Delivery, content: Content | None) -> Result:
        """See `Sender`."""
        if content is None or (content.text is None and content.html is None):
            return Failed(reason="there is no template with a text or HTML for this mail", permanent=True)
        if not one_line(content.subject or content.title or ""):
            return Failed(reason="the template gives no subject", permanent=True)
        if (address := deliverable_address(delivery.address or "")) is None:
            return Failed(reason="the recipient's address is no e-mail address", permanent=True)
        headers = {}
        if self._unsubscribe is not None:
            headers = dict(unsubscribe_headers(self._unsubscribe, self._unsubscribe_key, delivery))
        try:
            mail = email_message(
                delivery,
                content,
                from_=self._from,
                reply_to=self._reply_to,
                address=address,
                headers=headers,
                now=datetime.now(UTC),
            ).as_bytes()
        except (ValueError, HeaderParseError):  # the text would quote what cannot stand in a header
            return Failed(reason="the mail cannot be put together", permanent=True)
        return await self._hand_over(address, mail)

    async def aclose(self) -> None:
        """See `Sender`."""
        await self._connections.aclose()

    async def _hand_over(self, address: str, mail: bytes) -> Result:
        if (idle := self._connections.take_idle()) is not None:
            result = await self._try(idle, address, mail)
            if result is not None:
                return result
            # the server had closed it, before it took anything of this mail
        try:
            connection = await self._connections.open()
        except (SMTPException, OSError) as error:
            return _connect_failure(error)
        result = await self._try(connection, address, mail)
        return result or Failed(reason="the mail server closes connections at once", outage=True)

    async def _try(self, connection: SmtpConnection, address: str, mail: bytes) -> Result | None:
        """Hand the mail over; None: the connection was closed before."""
        client = connection.client
        stage = Stage.SENDER
        try:
            if not address.isascii() and not await self._takes(client, "smtputf8"):
                self._connections.release(connection)
                return Failed(reason="the mail server takes no such address (no SMTPUTF8)", permanent=True)
            options, encoding = ([], "ascii") if address.isascii() else (["SMTPUTF8"], "utf-8")
            await client.mail(self._from.addr_spec, options=options, encoding=encoding)
            stage = Stage.RECIPIENT
            await client.rcpt(address, encoding=encoding)
            stage = Stage.MAIL
            await client.data(mail)
        except SMTPResponseException as error:
            await self._reset(connection, error.code)
            return _rejection(error, stage)
        except SMTPTimeoutError:
            client.close()
            return Failed(reason="the mail server did not answer in time")
        except (SMTPServerDisconnected, OSError):
            client.close()
            return None if stage is Stage.SENDER else Failed(reason="the mail server closed the connection")
        except BaseException:  # cut off: another mail would take a late answer for its own
            client.close()
            raise
        self._connections.release(connection)
        return Sent()

    async def _takes(self, client: SMTP, extension: str) -> bool:
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
        return client.supports_extension(extension)

    async def _reset(self, connection: SmtpConnection, code: int) -> None:
        """Make the connection ready for another mail, or close it."""
        try:
            if code == _SHUTTING_DOWN:
                connection.client.close()
                return
            await connection.client.rset()
        except (SMTPException, OSError):
            connection.client.close()
        except BaseException:
            connection.client.close()
            raise
        else:
            self._connections.release(connection)


def _connect_failure(error: Exception) -> Failed:
    match error:
        case SMTPAuthenticationError():
            return Failed(reason=f"the mail server rejects the login{_codes(error)}", outage=True)
        case SMTPTimeoutError() | TimeoutError():
            return Failed(reason="the mail server does not answer", outage=True)
        case SMTPResponseException():
            return Failed(reason=f"the mail server takes no mail now{_codes(error)}", outage=True)
        case SMTPServerDisconnected():
            return Failed(reason="the mail server closed the connection", outage=True)
        case SMTPConnectError() | OSError():
            return unreachable("mail server", error)
        case _:  # SMTPException itself: the server has no STARTTLS, or no login
            missing = "an extension that is configured" if isinstance(error, SMTPNotSupported) else "TLS or a login"
            return Failed(reason=f"the mail server does not offer {missing}", outage=True)


def _rejection(error: SMTPResponseException, stage: Stage) -> Failed:
    reason = f"the mail server rejects the {stage.value}{_codes(error)}"
    about_us = stage is Stage.SENDER or error.code == _SHUTTING_DOWN
    return Failed(reason=reason, permanent=error.code >= 500 and not about_us, outage=about_us)


def _codes(error: SMTPResponseException) -> str:
    """The codes of the answer, without its text."""
    enhanced = _ENHANCED_CODE.match(str(error.message))
    return f" ({error.code}{' ' + enhanced[0] if enhanced else ''})"
