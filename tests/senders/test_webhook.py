"""Signed webhooks to a real HTTP server: what it gets, and what its answers mean."""

from __future__ import annotations

import asyncio
import base64
import socket
from dataclasses import asdict
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from tests.support.privacy.tls_proxy import Certificate, make_certificate
from tests.support.senders.deliveries import CONTENT, ID, channel, delivery, run, send
from tests.support.senders.http_sink import HttpSink, answer, http_sink

from rollbook_delivery.results import Delivered, Failed, Sent, TokenGone
from rollbook_delivery.senders.factory import make_sender
from rollbook_delivery.senders.sender import Sender
from rollbook_delivery.senders.webhook import MAX_ANSWER_BYTES
from rollbook_shared.errors import NotConfigured
from rollbook_shared.registry import DeliveryMethod

OLD, NEW = ("whsec_" + base64.b64encode(bytes([value]) * 32).decode() for value in (1, 2))
ENV = {"OLD_SECRET": OLD, "NEW_SECRET": NEW, "SHORT": "whsec_c2hvcnQ=", "HOOK": "https://example.com/hook"}


def sender(url: str, **options: Any) -> Sender:
    given = {"url": url, "secret_envs": ["OLD_SECRET"], "allow_private": True}
    found = make_sender(channel(DeliveryMethod.WEBHOOK, given | options, key="push", type="push"), ENV)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_the_body_is_the_delivery_signed_with_each_secret(sink: HttpSink) -> None:
    ours = delivery(tokens=("t1",), actor={"id": "bo", "name": "Zoë", "properties": {}})

    assert send(sender(sink.url, secret_envs=["OLD_SECRET", "NEW_SECRET"]), ours) == [Sent()]

    (post,) = sink.posts
    assert post.line == "POST /hook?key=1 HTTP/1.1"
    assert post.headers["content-type"] == "application/json"
    assert post.headers["host"] == f"127.0.0.1:{sink.port}"
    assert post.headers["webhook-id"] == ID
    for secret in (OLD, NEW):
        body = Webhook(secret).verify(post.body, post.headers)
    assert body == ours.as_dict() | {"content": asdict(CONTENT)}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(post.body.replace(b"Hi", b"Ho"), post.headers)


def test_messages_share_a_connection(sink: HttpSink) -> None:
    assert send(sender(sink.url), *[delivery()] * 3) == [Sent()] * 3
    assert sink.connections == 1


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"state": "delivered"}', Delivered()),
        (b'{"state": "sent"}', Sent()),
        (b'{"token_gone": "t2"}', TokenGone("t2")),
        (b'{"token_gone": "of another"}', Sent()),
        (b'{"token_gone": ["t2"]}', Sent()),
        (b"[1]", Sent()),
        (b"<html>", Sent()),
        (b"[" * 60_000, Sent()),
        (b"\xff", Sent()),
        (b'{"state": "delivered"}' + b" " * MAX_ANSWER_BYTES, Sent()),
    ],
)
def test_an_answer_may_say_more_than_that_the_message_was_taken(sink: HttpSink, body: bytes, result: object) -> None:
    sink.answers = lambda _: answer(200, body)

    assert send(sender(sink.url), delivery(tokens=("t1", "t2"))) == [result]


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (400, {"permanent": True}),
        (413, {"permanent": True}),
        (422, {"permanent": True}),
        (401, {"outage": True}),
        (404, {"outage": True}),
        (408, {}),
        (500, {}),
        (502, {"outage": True}),
        (503, {"outage": True}),
    ],
)
def test_a_status_says_whether_to_try_again(sink: HttpSink, status: int, result: dict[str, bool]) -> None:
    sink.answers = lambda _: answer(status, b"ann@example.com")

    assert send(sender(sink.url)) == [Failed(reason=f"the webhook answered {status}", **result)]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("text", "seconds"), [("17", 17.0), ("999999999", 86_400.0), ("soon", None), ("-3", None)])
def test_retry_after_is_honoured(sink: HttpSink, status: int, text: str, seconds: float | None) -> None:
    sink.answers = lambda _: answer(status, Retry_After=text)

    assert send(sender(sink.url)) == [Failed(reason=f"the webhook answered {status}", retry_after=seconds, outage=True)]


def test_410_stops_the_webhook(sink: HttpSink) -> None:
    sink.answers = lambda _: answer(410)

    (result,) = send(sender(sink.url))

    assert isinstance(result, Failed)
    assert (result.permanent, result.stops) == (True, True)


def test_a_redirect_is_not_followed(sink: HttpSink) -> None:
    sink.answers = lambda _: answer(302, Location=sink.url)

    assert send(sender(sink.url)) == [
        Failed(reason="the webhook answered 302 (a redirect, which is not followed)", outage=True)
    ]
    assert len(sink.posts) == 1


def test_an_answer_without_end_is_read_to_a_bound(sink: HttpSink) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    sink.closes = True  # or else who reads on would wait for ever
    sink.answers = lambda _: head + b"10000\r\n" + b"x" * 0x10000 + b"\r\n" + b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

    assert send(sender(sink.url)) == [Sent()]


@pytest.mark.parametrize("answered", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", b"SMTP\r\n\r\n"])
def test_a_server_that_answers_with_no_http_fails_the_attempt(sink: HttpSink, answered: bytes) -> None:
    sink.answers = lambda _: answered
    sink.closes = True

    assert send(sender(sink.url)) == [Failed(reason="the webhook closed the connection or answered with no HTTP")]


def test_an_attempt_that_hangs_can_be_cut_off(sink: HttpSink) -> None:
    sink.answers = lambda _: None
    hook = sender(sink.url, concurrency=1)

    async def work(_: Sender) -> Any:
        attempt = asyncio.ensure_future(hook.send(delivery(), None))
        await asyncio.to_thread(lambda: sink.thread.run(sink.hung.wait()))
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        sink.answers = lambda _: answer(200)
        return await hook.send(delivery(), None)

    assert run(hook, work) == Sent()
    assert sink.connections == 2


def test_a_server_that_is_away_is_an_outage() -> None:
    assert send(sender("http://127.0.0.1:1/")) == [Failed(reason="the webhook cannot be reached", outage=True)]


def test_a_certificate_is_checked(certificate: Certificate) -> None:
    with http_sink(certificate.context()) as sink:
        url = f"https://127.0.0.1:{sink.port}/"
        trusted = send(sender(url, ca_file=str(certificate.certificate)))
        untrusted = send(sender(url))

    assert trusted == [Sent()]
    assert untrusted == [Failed(reason="the webhook has a certificate that is not trusted", outage=True)]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "127.1"])
def test_this_machine_is_rejected_unless_private_addresses_are_allowed(certificate: Certificate, host: str) -> None:
    reason = "the webhook's address is not public, and allow_private is not set"
    with http_sink(certificate.context()) as sink:
        found = send(sender(f"https://{host}:{sink.port}/", allow_private=False))

        assert found == [Failed(reason=reason, outage=True)]
        assert sink.connections == 0


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is public when it is looked at, and this machine a second later."""
    asked: list[object] = []

    async def getaddrinfo(self: object, host: object, port: int, **options: object) -> list[Any]:
        asked.append(host)
        address = "192.0.2.1" if len(asked) > 1 else "1.1.1.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    connected: list[object] = []

    async def sock_connect(self: object, sock: object, address: object) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", sock_connect)

    found = send(sender("https://rebinding.example/", allow_private=False))

    assert found == [Failed(reason="the webhook cannot be reached", outage=True)]
    assert asked.count("rebinding.example") == 1
    assert connected == [("1.1.1.1", 443)]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"url_env": "HOOK"}, "exactly one of url and url_env"),
        ({"url": None}, "exactly one of url and url_env"),
        ({"url": "ftp://example.com"}, "url: "),
        ({"url": "https://u:p@example.com/"}, "without a login"),
        ({"url": "https:///x"}, "must be such as"),
        ({"url": "https://example.com:99999/"}, "must be such as"),
        ({"url": "http://example.com/", "allow_private": False}, "must be of https"),
        ({"secret_envs": []}, "secret_envs: "),
        ({"secret_envs": ["MISSING"]}, "MISSING, which is not set"),
        ({"secret_envs": ["SHORT"]}, "SHORT must be whsec_ and 24 to 64 bytes"),
        ({"secret_envs": ["HOOK"]}, "HOOK must be whsec_ and 24 to 64 bytes"),
        ({"headers": {}}, "headers: is not a known field"),
    ],
)
def test_options_are_checked_at_the_start(options: dict[str, Any], error: str) -> None:
    with pytest.raises(NotConfigured) as raised:
        sender(**({"url": "https://example.com/"} | options))

    assert str(raised.value).startswith('[channels."push".options]')
    assert error in str(raised.value)
    assert "c2hvcnQ" not in str(raised.value)


def test_the_url_may_be_a_secret() -> None:
    options = {"url_env": "HOOK", "secret_envs": ["NEW_SECRET"]}

    assert make_sender(channel(DeliveryMethod.WEBHOOK, options), ENV) is not None
