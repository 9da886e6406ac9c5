"""Knock's official client for browsers follows a feed of this server, under Node."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from tests.support.server.feed_sockets import counts_in
from tests.support.server.official_clients import Client, Player, player
from tests.support.server.running_server import PRIVATE_PEM, PUBLIC_KEY, RunningServer
from tests.support.waits import wait_until

COUNTS = tuple[int, int, int]


@pytest.fixture(scope="module")
def node() -> Iterator[Player]:
    with player() as running:
        yield running


@pytest.fixture
def user(api: httpx.Client) -> str:
    user_id = f"user-{uuid4()}"
    api.put(f"/v1/users/{user_id}", json={})
    return user_id


def sign_in(node: Player, server: RunningServer, user_id: str, *, seconds: int = 600) -> Client:
    token = node.call("signUserToken", user_id, {"signingKey": PRIVATE_PEM, "expiresInSeconds": seconds})
    options = {"host": server.url, "logLevel": "silent", "disconnectOnPageHidden": False}
    browser = node.make("BrowserKnock", "browser", PUBLIC_KEY, options)
    browser.authenticate({"id": user_id}, token, {"identificationStrategy": "skip"})
    return browser


def open_feed(browser: Client, name: str = "feed", **options: object) -> Client:
    feed = browser.feeds.initialize.keep(name, "in_app", {"auto_manage_socket_connection": False, **options})
    feed.listenForUpdates()
    feed.fetch()
    return feed


def trigger(api: httpx.Client, user_id: str, workflow: str = "comment", **body: object) -> None:
    assert api.post(f"/v1/workflows/{workflow}/trigger", json={"recipients": [user_id], **body}).status_code == 200


def counts(feed: Client) -> COUNTS:
    """What the client would show."""
    return counts_in(feed.getState()["metadata"])


def test_it_sees_messages_as_they_come_and_marks_them(
    node: Player, server: RunningServer, api: httpx.Client, user: str
) -> None:
    feed = open_feed(sign_in(node, server, user))
    assert counts(feed) == (0, 0, 0)

    trigger(api, user, data={"text": "hello"})
    wait_until(lambda: feed.getState()["items"], what="the message in the feed")
    assert counts(feed) == (1, 1, 1)
    (item,) = feed.getState()["items"]
    assert (item["source"]["key"], item["data"]) == ("comment", {"text": "hello"})

    feed.markAsRead(item)
    assert stored(api, user) == (1, 1, 0)
    trigger(api, user)
    wait_until(lambda: counts(feed) == (2, 2, 1), what="the second message in the feed")
    feed.markAllAsRead()
    assert stored(api, user) == (2, 2, 0)
    wait_until(lambda: counts(feed) == (2, 2, 0), what="the marks in the feed")
    feed.markAllAsArchived()
    assert stored(api, user)[0] == 0


def test_a_message_has_its_content_when_it_comes(
    node: Player, server: RunningServer, api: httpx.Client, user: str
) -> None:
    api.put(f"/v1/users/{user}", json={"name": "Kim"})
    feed = open_feed(sign_in(node, server, user))

    trigger(api, user, "noted", data={"text": "<b>hello</b>"})
    wait_until(lambda: feed.getState()["items"], what="the message in the feed")

    # the client keeps an item as it first sees it
    (item,) = feed.getState()["items"]
    shown = {block["name"]: block["rendered"] for block in item["blocks"]}
    assert shown == {"title": "For Kim", "body": "<p>&lt;b&gt;hello&lt;/b&gt;</p>"}


def test_it_sees_what_a_merge_brings(node: Player, server: RunningServer, api: httpx.Client, user: str) -> None:
    guest = f"guest-{uuid4()}"
    api.put(f"/v1/users/{guest}", json={})
    trigger(api, guest, data={"text": "hello, guest"})
    feed = open_feed(sign_in(node, server, user))
    assert counts(feed) == (0, 0, 0)

    api.post(f"/v1/users/{user}/merge", json={"from_user_id": guest})

    wait_until(lambda: counts(feed) == (1, 1, 1), what="the guest's message in the feed")
    wait_until(lambda: feed.getState()["items"], what="the guest's message in the list")
    assert feed.getState()["items"][0]["data"] == {"text": "hello, guest"}


def test_an_expired_token_reads_nothing_and_does_not_come_back(
    node: Player, server: RunningServer, api: httpx.Client, user: str
) -> None:
    trigger(api, user)
    browser = sign_in(node, server, user, seconds=-600)

    feed = open_feed(browser)

    assert feed.getState()["items"] == []
    socket = browser.apiClient.socket
    wait_until(lambda: socket.connectionState() == "closed", what="the socket's end")
    assert socket.reconnectTimer.timer.value() is None


def stored(api: httpx.Client, user_id: str) -> COUNTS:
    return counts_in(api.get(f"/v1/users/{user_id}/feeds/in_app").json()["meta"])
