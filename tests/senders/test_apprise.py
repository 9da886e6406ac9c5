"""Messages through Apprise to a service that takes JSON: what arrives, and what becomes of a message that does not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.support.senders.deliveries import channel, delivery, run
from tests.support.senders.http_sink import HttpSink, answer
from tests.support.senders.mail_server import mail_server

from rollbook.models import Content
from rollbook_delivery.results import Failed, Sent
from rollbook_delivery.senders import apprise_process
from rollbook_delivery.senders.apprise import MAX_BODY, AppriseSender
from rollbook_delivery.senders.sender import Sender
from rollbook_shared.errors import NotConfigured
from rollbook_shared.registry import DeliveryMethod

TEXT = Content(title="Bo answered you", text="Hello Ann")


def sender(url: str, *, type: str = "chat") -> AppriseSender:
    options = {"url_env": "SERVICE_URL", "concurrency": 1}
    return AppriseSender(channel(DeliveryMethod.APPRISE, options, key="chat", type=type), {"SERVICE_URL": url})


def test_messages_to_a_service(sink: HttpSink) -> None:
    """One process for all of it: loading Apprise takes a second."""
    service = sender(f"json://127.0.0.1:{sink.port}/{{token}}?overflow=upstream", type="sms")

    async def work(_: Sender) -> None:
        assert await service.send(delivery(tokens=("+1/x", "t2")), TEXT) == Sent()
        assert [post.line for post in sink.posts] == ["POST /+1%2Fx HTTP/1.1", "POST /t2 HTTP/1.1"]
        body = json.loads(sink.posts[0].body)
        assert (body["title"], body["message"]) == ("Bo answered you", "Hello Ann")

        # one of the tokens is enough
        sink.answers = lambda post: answer(500 if "t2" in post.line else 200)
        assert await service.send(delivery(tokens=("t1", "t2")), TEXT) == Sent()
        wanted = Failed(reason="the service did not take the message")
        assert await service.send(delivery(tokens=("t2",)), TEXT) == wanted

        # what is too long for the service is shortened
        sink.answers = lambda _: answer(200)
        sink.posts.clear()
        assert await service.send(delivery(tokens=("t1",)), Content(html="<b>x</b>" * 10_000)) == Sent()
        (post,) = sink.posts
        assert 0 < len(json.loads(post.body)["message"]) <= 32_768

        permanent = [
            await service.send(delivery(tokens=("t1",)), None),
            await service.send(delivery(tokens=("t1",)), Content(title="x", text=" ")),
            await service.send(delivery(tokens=("t1",)), Content(text="x" * (MAX_BODY + 1))),
            await service.send(delivery(tokens=()), TEXT),
        ]
        assert all(isinstance(result, Failed) and result.permanent for result in permanent)

        # a call that hangs is ended with its process, and another process takes the next message
        sink.answers = lambda _: None
        sink.hung.clear()
        attempt = asyncio.ensure_future(service.send(delivery(tokens=("t1",)), TEXT))
        await asyncio.to_thread(lambda: sink.thread.run(sink.hung.wait()))
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert isinstance(await service.send(delivery(tokens=("t1",)), TEXT), Failed)
        sink.answers = lambda _: answer(200)
        await service.prepare()
        assert await service.send(delivery(tokens=("t1",)), TEXT) == Sent()

    run(service, work)


def test_no_message_waits_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apprise pauses for 5.5 s before the second e-mail of an object."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    with mail_server() as mail:
        request = {"url": f"mailto://127.0.0.1:{mail.port}/?from=a@example.com&to=ann@example.com&mode=insecure"}
        request |= {"body": "Hello", "title": "T", "format": "text"}

        assert [apprise_process._send(request) for _ in range(3)] == [{"ok": True}] * 3

    assert len(mail.mails) == 3
    assert pauses == []


def test_a_url_that_apprise_does_not_know_is_said_at_the_start() -> None:
    with pytest.raises(NotConfigured, match="none of Apprise's") as raised:
        run(sender("secretservice://token@host/"), lambda _: asyncio.sleep(0))

    assert "token" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("", "SERVICE_URL, which is not set"),
        ("no url", "must be such as"),
        ("json://{address}/", "only behind its host"),
        ("json://user:{token}@host/x", "only behind its host"),
        ("json://host?x={name}", "may hold {address} or {token}"),
        ("json://host/{address}/{token}", "may hold {address} or {token}"),
    ],
)
def test_a_url_lets_no_recipient_choose_the_host(url: str, error: str) -> None:
    with pytest.raises(NotConfigured) as raised:
        sender(url)

    assert error in str(raised.value)


def test_options_are_checked_at_the_start() -> None:
    with pytest.raises(NotConfigured, match="url_env: is required"):
        AppriseSender(channel(DeliveryMethod.APPRISE, {}), {})


def test_the_processes_know_no_secret_but_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLBOOK_DATABASE_URL", "postgresql://x")
    given: dict[str, Any] = {}

    async def create(*command: str, **options: Any) -> Any:
        given.update(options)
        raise OSError

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create)
    with pytest.raises(OSError):
        run(sender("json://host/"), lambda _: asyncio.sleep(0))

    assert "ROLLBOOK_DATABASE_URL" not in given["env"]
