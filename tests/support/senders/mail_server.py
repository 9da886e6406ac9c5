"""A real mail server (aiosmtpd) that keeps what it takes, and misbehaves when a test says so."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from tests.support.senders.loop_thread import LoopThread, loop_thread

PASSWORD = "correct horse"


@dataclass(eq=False)
class MailServer:
    """What the server has taken, and how it behaves. A test may change the behaviour at any time."""

    thread: LoopThread
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    """Of each mail: from whom, and to whom."""
    connections: int = 0
    rejects: dict[str, str] = field(default_factory=dict)
    """By command, `MAIL`, `RCPT` or `DATA`: the answer in place of 250."""
    hangs_at: str | None = None
    """The command that is never answered."""
    closes_at: str | None = None
    """The command at which the connection is cut."""
    hung: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a command is not answered."""
    open: list[SMTP] = field(default_factory=list)

    def close_connections(self) -> None:
        """Cut all connections, as a server does with idle ones."""

        async def cut() -> None:
            for session in self.open:
                if session.transport is not None:
                    session.transport.close()
            self.open.clear()

        self.thread.run(cut())

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        self.open.append(server)
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._answer("MAIL", server)
        if answer.startswith("250"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._answer("RCPT", server)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = await self._answer("DATA", server)
        if answer.startswith("250"):
            mail = message_from_bytes(cast("bytes", envelope.content), policy=default)
            self.mails.append(mail)
            self.envelopes.append((str(envelope.mail_from), list(envelope.rcpt_tos)))
        return answer

    async def _answer(self, command: str, server: SMTP) -> str:
        if self.hangs_at == command:
            self.hung.set()
            await asyncio.Event().wait()
        if self.closes_at == command and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
            return "421 the client does not read this"
        return self.rejects.get(command, "250 OK")


@contextmanager
def mail_server(
    *, tls: ssl.SSLContext | None = None, implicit: bool = False, login: bool = False, smtputf8: bool = True
) -> Iterator[MailServer]:
    """A server on the loopback interface.

    tls: offers STARTTLS, and takes no mail without it; with `implicit` it speaks TLS from the first byte.
    login: takes no mail without the password `PASSWORD`.
    """
    with loop_thread() as thread:
        server = MailServer(thread)

        def authenticate(_: object, __: object, ___: object, mechanism: str, data: Any) -> AuthResult:
            found = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
            return AuthResult(success=found, handled=False)

        def session() -> SMTP:
            return SMTP(
                server,
                hostname="mail.example.com",
                enable_SMTPUTF8=smtputf8,
                tls_context=None if implicit else tls,
                require_starttls=tls is not None and not implicit,
                auth_required=login,
                auth_require_tls=not implicit,
                authenticator=authenticate if login else None,
                loop=thread.loop,
            )

        async def listen() -> asyncio.Server:
            return await asyncio.get_running_loop().create_server(
                session, "127.0.0.1", 0, ssl=tls if implicit else None
            )

        listener = thread.run(listen())
        server.port = listener.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            thread.call(listener.close)
