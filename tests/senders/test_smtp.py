"""E-mail through a real mail server: what arrives, and what becomes of a mail that does not."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.privacy.tls_proxy import Certificate, make_certificate
from tests.support.senders.deliveries import CONTENT, ID, channel, delivery, run, send
from tests.support.senders.mail_server import PASSWORD, MailServer, mail_server

from rollbook.models import Content
from rollbook_delivery.results import Failed, Sent
from rollbook_delivery.senders import smtp_connections
from rollbook_delivery.senders.factory import make_sender
from rollbook_delivery.senders.sender import Sender
from rollbook_shared.errors import NotConfigured
from rollbook_shared.registry import DeliveryMethod

ENV = {"MAIL_PASSWORD": PASSWORD, "UNSUBSCRIBE_KEY": "secret"}


def sender(server: MailServer | int, **options: Any) -> Sender:
    port = server if isinstance(server, int) else server.port
    given = {"host": "127.0.0.1", "port": port, "tls": "none", "from": "Example <hello@mail.example.com>"}
    found = make_sender(channel(DeliveryMethod.SMTP, given | options), ENV)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def shared_server() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def server(shared_server: MailServer) -> MailServer:
    shared_server.mails.clear()
    shared_server.envelopes.clear()
    shared_server.rejects.clear()
    shared_server.hangs_at = shared_server.closes_at = None
    shared_server.connections = 0
    shared_server.hung.clear()
    return shared_server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_a_mail_has_text_and_html_and_names_its_delivery(server: MailServer) -> None:
    assert send(sender(server, reply_to="help@example.com")) == [Sent()]

    (mail,) = server.mails
    assert server.envelopes == [("hello@mail.example.com", ["ann@example.com"])]
    assert mail["From"] == "Example <hello@mail.example.com>"
    assert mail["To"] == "Ann Example <ann@example.com>"
    assert mail["Reply-To"] == "help@example.com"
    assert mail["Subject"] == "Bo answered you"
    assert mail["Message-ID"] == f"<{ID}@mail.example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = mail.iter_parts()
    assert (text.get_content_type(), text.get_content()) == ("text/plain", "Hello Ann,\r\nBo answered you.\r\n")
    assert (html.get_content_type(), html.get_content()) == ("text/html", "<p>Bo answered you.</p>\r\n")
    assert "List-Unsubscribe" not in mail


@pytest.mark.parametrize(
    ("content", "type"),
    [(Content(subject="S", text="Grüße 👋"), "text/plain"), (Content(title="S", html="<b>x</b>"), "text/html")],
)
def test_a_mail_may_have_one_part(server: MailServer, content: Content, type: str) -> None:
    assert send(sender(server), content=content) == [Sent()]

    (mail,) = server.mails
    assert (mail.get_content_type(), mail["Subject"]) == (type, "S")
    assert mail.get_content().rstrip("\r\n") == (content.text or content.html)


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\0"])
def test_no_text_adds_a_header_or_a_recipient(server: MailServer, separator: str) -> None:
    hostile = f"x{separator}Bcc: eve@example.com{separator}{separator}<b>"
    ann = {"id": "ann", "name": hostile, "properties": {}}

    results = send(
        sender(server, unsubscribe={"url": "https://example.com/{user_id}/{category}"}),
        delivery(recipient=ann | {"id": hostile}, categories=(hostile,)),
        delivery(address=f"ann@example.com{separator}RCPT TO:<eve@example.com>"),
        content=Content(subject=hostile, text="t"),
    )

    assert results == [Sent(), Failed(reason="the recipient's address is no e-mail address", permanent=True)]
    (mail,) = server.mails
    assert mail["Bcc"] is None
    assert server.envelopes[0][1] == ["ann@example.com"]
    assert mail["Subject"].startswith("x Bcc: eve@example.com")
    assert [address.addr_spec for address in mail["To"].addresses] == ["ann@example.com"]


@pytest.mark.parametrize(
    "address",
    [
        None, "", "ann", "ann@", "@example.com", "ann@example.com, eve@example.com", "Ann <ann@example.com>",
        "ann@example.com (x)", '"a b"@example.com', "ann@exa mple.com", "a@b@example.com", "x" * 65 + "@example.com",
        "ann@\ud800.example", "\ud800@example.com", "ann@" + "é" * 70 + ".example",
    ],
)  # fmt: skip
def test_an_address_is_one_plain_address(server: MailServer, address: str | None) -> None:
    result = Failed(reason="the recipient's address is no e-mail address", permanent=True)

    assert send(sender(server), delivery(address=address)) == [result]
    assert server.connections == 0


def test_addresses_may_have_other_scripts(server: MailServer) -> None:
    results = send(sender(server), delivery(address="jürgen@bücher.example"), delivery(address="ann@bücher.example"))

    assert results == [Sent(), Sent()]
    assert [to for _, to in server.envelopes] == [["jürgen@xn--bcher-kva.example"], ["ann@xn--bcher-kva.example"]]
    assert "jürgen@" in server.mails[0]["To"]


def test_a_server_without_smtputf8_gets_no_such_address() -> None:
    with mail_server(smtputf8=False) as server:
        results = send(sender(server), delivery(address="jürgen@example.com"), delivery(address="ann@bücher.example"))

    reason = "the mail server takes no such address (no SMTPUTF8)"
    assert results == [Failed(reason=reason, permanent=True), Sent()]


def test_a_category_that_can_be_opted_out_has_a_signed_link(server: MailServer) -> None:
    url = "https://example.com/optout?u={user_id}&c={category}&s={signature}"
    options = {"url": url, "key_env": "UNSUBSCRIBE_KEY", "categories": ["social", "news"]}

    send(
        sender(server, unsubscribe=options),
        delivery(recipient={"id": "ann&c=x", "properties": {}}, categories=("account", "news")),
        delivery(categories=("account",)),
        delivery(categories=()),
    )

    signature = hmac.new(b"secret", b"ann&c=x\nnews", hashlib.sha256).hexdigest()
    linked, *others = server.mails
    assert linked["List-Unsubscribe"] == f"<https://example.com/optout?u=ann%26c%3Dx&c=news&s={signature}>"
    assert linked["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert [mail["List-Unsubscribe"] for mail in others] == [None, None]


@pytest.mark.parametrize(
    ("command", "answer", "result"),
    [
        ("RCPT", "550 5.1.1 no ann@example.com here", "the mail server rejects the recipient (550 5.1.1)"),
        ("RCPT", "450 4.2.0 ann@example.com: later", "the mail server rejects the recipient (450 4.2.0)"),
        ("RCPT", "552 too large", "the mail server rejects the recipient (552)"),
        ("DATA", "554 5.7.1 spam from ann", "the mail server rejects the mail (554 5.7.1)"),
        ("DATA", "451 4.3.0 later", "the mail server rejects the mail (451 4.3.0)"),
    ],
)
def test_an_answer_is_reported_by_its_codes_alone(server: MailServer, command: str, answer: str, result: str) -> None:
    server.rejects[command] = answer
    smtp = sender(server)

    async def work(_: Sender) -> list[Any]:
        rejected = await smtp.send(delivery(), CONTENT)
        server.rejects.clear()
        return [rejected, await smtp.send(delivery(), CONTENT)]

    assert run(smtp, work) == [Failed(reason=result, permanent=answer.startswith("5")), Sent()]
    assert server.connections == 1  # the other mails of the connection do not suffer


@pytest.mark.parametrize("answer", ["550 5.7.1 who are you", "451 4.3.2 busy", "421 4.3.2 bye"])
def test_an_answer_about_us_is_an_outage(server: MailServer, answer: str) -> None:
    server.rejects["MAIL"] = answer

    (result,) = send(sender(server))

    assert isinstance(result, Failed)
    assert (result.outage, result.permanent) == (True, False)


def test_mails_share_a_connection_for_a_while(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_connections, "MAX_MAILS", 3)

    assert send(sender(server), *[delivery()] * 7) == [Sent()] * 7
    assert server.connections == 3


def test_a_connection_that_the_server_has_closed_costs_no_attempt(server: MailServer) -> None:
    smtp = sender(server)

    async def work(_: Sender) -> list[Any]:
        first = await smtp.send(delivery(), CONTENT)
        await asyncio.to_thread(server.close_connections)
        return [first, await smtp.send(delivery(), CONTENT)]

    assert run(smtp, work) == [Sent(), Sent()]
    assert server.connections == 2


@pytest.mark.parametrize(("command", "outage"), [("MAIL", True), ("RCPT", False), ("DATA", False)])
def test_a_server_that_closes_in_the_middle_fails_the_attempt(server: MailServer, command: str, outage: bool) -> None:
    server.closes_at = command

    (result,) = send(sender(server))

    assert isinstance(result, Failed)
    assert (result.permanent, result.outage) == (False, outage)
    assert server.mails == []


def test_an_attempt_that_hangs_can_be_cut_off_and_spoils_no_other(server: MailServer) -> None:
    server.hangs_at = "DATA"
    smtp = sender(server)

    async def work(_: Sender) -> list[Any]:
        attempt = asyncio.ensure_future(smtp.send(delivery(), CONTENT))
        await asyncio.to_thread(lambda: server.thread.run(server.hung.wait()))
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        server.hangs_at = None
        return [await smtp.send(delivery(), CONTENT)]

    assert run(smtp, work) == [Sent()]
    assert len(server.mails) == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # aiosmtpd does not see TLS that was there from the first byte
@pytest.mark.parametrize("implicit", [False, True])
def test_tls_and_a_login(certificate: Certificate, implicit: bool) -> None:
    options = {"tls": "implicit" if implicit else "starttls", "username": "u", "password_env": "MAIL_PASSWORD"}
    with mail_server(tls=certificate.context(), implicit=implicit, login=True) as server:
        trusted = send(sender(server, ca_file=str(certificate.certificate), **options))
        untrusted = send(sender(server, **options))

    assert trusted == [Sent()]
    assert untrusted == [Failed(reason="the mail server has a certificate that is not trusted", outage=True)]


def test_a_wrong_password_is_an_outage(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENV, "MAIL_PASSWORD", "wrong")
    options = {"username": "u", "password_env": "MAIL_PASSWORD", "ca_file": str(certificate.certificate)}
    with mail_server(tls=certificate.context(), login=True) as server:
        (result,) = send(sender(server, tls="starttls", **options))

    assert result == Failed(reason="the mail server rejects the login (535 5.7.8)", outage=True)


def test_a_server_without_tls_gets_no_mail(server: MailServer) -> None:
    assert send(sender(server, tls="starttls")) == [
        Failed(reason="the mail server does not offer TLS or a login", outage=True)
    ]
    assert server.mails == []


def test_a_server_that_is_away_is_an_outage() -> None:
    assert send(sender(1)) == [Failed(reason="the mail server cannot be reached", outage=True)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no template with a text or HTML for this mail"),
        (Content(subject="S"), "there is no template with a text or HTML for this mail"),
        (Content(text="t"), "the template gives no subject"),
        (Content(subject=" \n", text="t"), "the template gives no subject"),
    ],
)
def test_a_mail_needs_content(server: MailServer, content: Content | None, reason: str) -> None:
    assert send(sender(server), content=content) == [Failed(reason=reason, permanent=True)]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"host": "a b"}, "host: "),
        ({"hots": "x"}, "hots: is not a known field"),
        ({"port": 0}, "port: "),
        ({"port": "25"}, "port: "),
        ({"tls": "maybe"}, "tls: "),
        ({"from": "nobody"}, "from must be such as"),
        ({"from": "a@b.example\nBcc: x@y.example"}, "from must be such as"),
        ({"reply_to": "x"}, "reply_to must be such as"),
        ({"username": "u"}, "username and password_env belong together"),
        ({"username": "u", "password_env": "MISSING", "tls": "starttls"}, "MISSING, which is not set"),
        ({"username": "u", "password_env": "MAIL_PASSWORD", "host": "mail.example.com"}, "a password is not sent with"),
        ({"tls": "starttls", "ca_file": "/nowhere"}, "ca_file cannot be read: No such file"),
        ({"timeout": 0}, "timeout: "),
        ({"unsubscribe": {"url": "http://example.com/"}}, "unsubscribe.url: "),
        ({"unsubscribe": {"url": "https://example.com/{user}"}}, "unsubscribe.url: has a placeholder"),
        ({"unsubscribe": {"url": "https://example.com/{user_id"}}, "unsubscribe.url: has a brace"),
        ({"unsubscribe": {"url": "https://example.com/{signature}"}}, "unsubscribe.key_env is required"),
    ],
)
def test_options_are_checked_at_the_start(options: dict[str, Any], error: str) -> None:
    with pytest.raises(NotConfigured) as raised:
        sender(25, **options)

    assert str(raised.value).startswith('[channels."mail".options]')
    assert error in str(raised.value)
    assert PASSWORD not in str(raised.value)


def test_a_file_without_certificates_is_no_ca_file(tmp_path: Path) -> None:
    (file := tmp_path / "ca.pem").write_text("nothing")

    with pytest.raises(NotConfigured, match="ca_file holds no certificate"):
        sender(25, tls="starttls", ca_file=str(file))
