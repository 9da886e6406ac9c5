"""Browsers learn of a feed's change at once, over the feed socket and as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from tests.support.server.feed_sockets import CuttableProxy, counts_in, feed_socket
from tests.support.server.running_server import PRIVATE_KEY, PUBLIC_KEY, RunningServer, run_server
from tests.support.waits import DEADLINE_SECONDS

from rollbook_server.settings import ServerSettings


def token(user_id: str, seconds: float = 600) -> str:
    now = int(time.time())
    return jwt.encode({"sub": user_id, "iat": now, "exp": int(now + seconds)}, PRIVATE_KEY, algorithm="RS256")


@pytest.fixture
def user(api: httpx.Client) -> str:
    """A user without messages, whose id holds a colon."""
    user_id = f"user:{uuid4()}"
    api.put(f"/v1/users/{user_id}", json={})
    return user_id


def topic(user_id: str) -> str:
    return f"feeds:in_app:{user_id}"


def trigger(api: httpx.Client, user_id: str, **options: Any) -> None:
    answer = api.post("/v1/workflows/comment/trigger", json={"recipients": [user_id], **options})
    assert answer.status_code == 200, answer.text


def newest_message(api: httpx.Client, user_id: str) -> str:
    return str(api.get(f"/v1/users/{user_id}/feeds/in_app").json()["entries"][0]["id"])


async def in_thread(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return await asyncio.to_thread(lambda: call(*args, **options))


def test_a_message_a_mark_and_a_mark_without_a_user_are_sent(
    server: RunningServer, api: httpx.Client, user: str
) -> None:
    async def main() -> None:
        async with feed_socket(server, PUBLIC_KEY, token(user)) as socket:
            reply = await socket.join(topic(user), {"client_1": {"page_size": 50, "status": "all"}})
            assert reply == {"status": "ok", "response": {}}
            assert await socket.counts() == (0, 0, 0)

            await in_thread(trigger, api, user)
            event = await socket.receive("new-message")
            assert event["event"] == "new-message"
            assert event["attn"] == ["client_1"]
            assert counts_in(event["data"]["client_1"]["metadata"]) == counts_in(event["metadata"]) == (1, 1, 1)

            message = await in_thread(newest_message, api, user)
            await in_thread(api.put, f"/v1/messages/{message}/seen")
            assert await socket.counts() == (1, 0, 1)
            body = {"user_ids": [user]}
            await in_thread(api.post, "/v1/channels/in_app/messages/bulk/read", json=body)
            assert await socket.counts() == (1, 0, 0)

    asyncio.run(main())


def test_a_merge_gives_the_primary_the_counts_of_both_and_later_messages_of_the_guest(
    server: RunningServer, api: httpx.Client, user: str
) -> None:
    guest = f"guest-{uuid4()}"
    trigger(api, guest + "x", actor=user)
    api.put(f"/v1/users/{guest}", json={})

    async def main() -> None:
        async with feed_socket(server) as socket:
            await socket.join(topic(user))
            assert await socket.counts() == (0, 0, 0)
            await in_thread(trigger, api, guest)
            await in_thread(api.post, f"/v1/users/{user}/merge", json={"from_user_id": guest})
            assert await socket.counts() == (1, 1, 1)
            # addressed to the guest, whose id stands for the primary now
            await in_thread(trigger, api, guest)
            if await socket.counts() != (2, 2, 2):
                pytest.fail("the primary did not get the guest's later message")

    asyncio.run(main())


def test_references_with_filters_get_counts_of_their_own(server: RunningServer, api: httpx.Client, user: str) -> None:
    trigger(api, user, tenant="acme")
    trigger(api, user)

    async def main() -> None:
        async with feed_socket(server) as socket:
            await socket.join(topic(user), {"all": {}, "also_all": {"status": "unread"}, "acme": {"tenant": "acme"}})
            event = [await socket.receive("new-message") for _ in range(2)]
        found = {tuple(each["attn"]): counts_in(each["metadata"]) for each in event}
        assert found == {("all", "also_all"): (2, 2, 2), ("acme",): (1, 1, 1)}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("key", "given"),
    [("pk_wrong", token("ann")), (PUBLIC_KEY, ""), (PUBLIC_KEY, "x.y.z"), (PUBLIC_KEY, token("ann", -3_600))],
    ids=["wrong key", "no token", "no valid token", "expired token"],
)
def test_rejected_credentials_close_for_good(server: RunningServer, key: str, given: str) -> None:
    async def main() -> None:
        async with feed_socket(server, key, given) as socket:
            assert await socket.closed() == 1000

    asyncio.run(main())


def test_a_token_that_expires_closes_for_good(server: RunningServer, user: str) -> None:
    async def main() -> None:
        # the clocks of the signer and of the server may differ by 30 seconds
        async with feed_socket(server, PUBLIC_KEY, token(user, -29)) as socket:
            assert await socket.closed() == 1000

    asyncio.run(main())


@pytest.mark.parametrize("rejected", ["feeds:in_app:other", "feeds:in_app:", "feeds:in_app", "topics:in_app:ann"])
def test_a_user_joins_its_own_feed_only(server: RunningServer, user: str, rejected: str) -> None:
    async def main() -> None:
        async with feed_socket(server, PUBLIC_KEY, token(user)) as socket:
            assert (await socket.join(rejected))["status"] == "error"
            assert (await socket.join(topic(user)))["status"] == "ok"

    asyncio.run(main())


def test_an_invalid_filter_is_rejected_and_the_socket_stays_open(server: RunningServer, user: str) -> None:
    async def main() -> None:
        async with feed_socket(server) as socket:
            reply = await socket.join(topic(user), {"client_1": {"trigger_data": "no json"}})
            assert (reply["status"], reply["response"]["reason"]) == ("error", "invalid_params")
            await socket.send("heartbeat", "phoenix")
            assert (await socket.receive("phx_reply"))["status"] == "ok"

    asyncio.run(main())


def test_who_has_left_is_sent_no_more(server: RunningServer, api: httpx.Client, user: str) -> None:
    async def main() -> None:
        async with feed_socket(server) as left, feed_socket(server) as other:
            for socket in (left, other):
                await socket.join(topic(user))
                await socket.counts()
            await left.send("phx_leave", topic(user))
            await left.receive("phx_reply")
            await in_thread(trigger, api, user)
            assert await other.counts() == (1, 1, 1)
            await left.send("heartbeat", "phoenix")
            assert (await left.receive("phx_reply"))["status"] == "ok"  # and no `new-message` before it
        await _until(lambda: server.services.feeds.connections == server.services.feeds.feeds == 0)

    asyncio.run(main())


@pytest.mark.parametrize("frame", ["no json", "{}", "[1, 2]", '["1", "2", "topic", "phx_join", []]'])
def test_what_is_no_frame_closes_the_socket_for_good(server: RunningServer, frame: str) -> None:
    async def main() -> None:
        async with feed_socket(server) as socket:
            await socket.connection.send(frame)
            assert await socket.closed() == 1000

    asyncio.run(main())


def test_a_lost_connection_to_redis_costs_a_resync_and_no_wrong_count(
    database_url: str, broker_url: str, user: str, api: httpx.Client
) -> None:
    async def main() -> None:
        proxy = CuttableProxy()
        through = await proxy.open(broker_url)
        with run_server(database_url, broker_url, ServerSettings(), listens_to=through) as other:
            async with feed_socket(other) as socket:
                await socket.join(topic(user))
                assert await socket.counts() == (0, 0, 0)
                await proxy.cut()
                with other.client() as client:
                    await in_thread(trigger, client, user)
                    await in_thread(trigger, client, user)
                    await proxy.restore()
                    found = await socket.counts()
                    if found == (1, 1, 1):  # right as well: read between the two, when the listener had just begun
                        found = await socket.counts()
                    assert found == (2, 2, 2)
                    await in_thread(trigger, client, user)
                    assert await socket.counts() == (3, 3, 3)
        await proxy.cut()

    asyncio.run(main())


def test_a_server_that_stops_sends_its_clients_elsewhere_and_completes_requests(
    database_url: str, broker_url: str, user: str
) -> None:
    async def main() -> None:
        with run_server(database_url, broker_url, ServerSettings(wait=timedelta(seconds=8))) as other:
            async with feed_socket(other) as socket, httpx.AsyncClient(timeout=DEADLINE_SECONDS) as client:
                await socket.join(topic(user))
                await socket.counts()
                async with client.stream("GET", _events_url(other, user)) as stream:
                    lines = stream.aiter_lines()
                    assert await _event(lines) == {
                        "total_count": 0,
                        "unseen_count": 0,
                        "unread_count": 0,
                        "newest": None,
                    }
                    # a request that waits for a worker
                    other.publisher.workers_are_away = True
                    path, key = f"{other.url}/v1/users/{user}", {"authorization": "Bearer sk_test_12345"}
                    running = asyncio.create_task(client.put(path, json={"plan": "pro"}, headers=key))
                    await _until(lambda: bool(other.publisher.waiting))
                    other.stop()
                    assert await socket.closed() == 1012
                    assert [line async for line in lines] == []
                    with pytest.raises(httpx.ConnectError):
                        await in_thread(httpx.get, f"{other.url}/healthz")
                    await in_thread(other.publisher.apply)
                    assert (await running).json()["plan"] == "pro"

    asyncio.run(main())


def test_a_full_server_refuses_more_listeners_for_now(database_url: str, broker_url: str, user: str) -> None:
    async def main() -> None:
        with run_server(database_url, broker_url, ServerSettings(max_listeners=1)) as other:
            async with feed_socket(other) as first:
                await first.join(topic(user))
                async with feed_socket(other) as second:
                    assert await second.closed() == 1013
                answer = await in_thread(httpx.get, _events_url(other, user))
                assert (answer.status_code, answer.json()["code"]) == (503, "too_many_listeners")

    asyncio.run(main())


def test_events_have_the_counts_and_the_newest_cursor(server: RunningServer, api: httpx.Client, user: str) -> None:
    async def main() -> None:
        async with (
            httpx.AsyncClient(timeout=DEADLINE_SECONDS) as client,
            client.stream("GET", _events_url(server, user, PUBLIC_KEY, token(user))) as stream,
        ):
            assert stream.status_code == 200
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.aiter_lines()
            assert (await _event(lines))["newest"] is None
            await in_thread(trigger, api, user)
            event = await _event(lines)
            page = (await in_thread(api.get, f"/v1/users/{user}/feeds/in_app")).json()
            assert event == {**page["meta"], "newest": page["entries"][0]["__cursor"]}

    asyncio.run(main())


def test_events_of_another_user_and_without_a_key_are_rejected(server: RunningServer, user: str) -> None:
    assert httpx.get(_events_url(server, user, PUBLIC_KEY, token("other"))).status_code == 403
    assert httpx.get(_events_url(server, user, "", "")).status_code == 401
    # only streams take the key of the query
    assert httpx.get(f"{server.url}/v1/users/{user}", params={"api_key": "sk_test_12345"}).status_code == 401


def test_events_end_when_the_token_expires(server: RunningServer, user: str) -> None:
    for valid_for in (2, 10, 30):  # a busy machine may take longer to ask than a token is valid
        url = _events_url(server, user, PUBLIC_KEY, token(user, valid_for - 30))
        with httpx.stream("GET", url, timeout=DEADLINE_SECONDS) as stream:
            text = stream.read()
        if stream.status_code == 200:
            break
    assert text.startswith(b"retry: ")


def test_no_log_holds_a_query_string(server: RunningServer, user: str, caplog: pytest.LogCaptureFixture) -> None:
    given = token(user)
    caplog.set_level("DEBUG", "uvicorn.error")
    caplog.set_level("DEBUG", "rollbook.server")

    async def main() -> None:
        async with feed_socket(server, PUBLIC_KEY, given) as socket:
            await socket.join(topic(user))
            await socket.counts()
        async with feed_socket(server, PUBLIC_KEY, given[:-9]) as socket:
            await socket.closed()
        async with (
            httpx.AsyncClient(timeout=DEADLINE_SECONDS) as client,
            client.stream("GET", _events_url(server, user, PUBLIC_KEY, given)) as stream,
        ):
            await _event(stream.aiter_lines())

    asyncio.run(main())
    ours = [record for record in caplog.records if record.name.startswith(("uvicorn", "rollbook"))]
    assert ours
    assert not [record for record in ours if given[:40] in record.getMessage()]


def _events_url(server: RunningServer, user_id: str, key: str = "sk_test_12345", given: str = "") -> str:
    return f"{server.url}/v1/users/{user_id}/feeds/in_app/events?api_key={key}&user_token={given}"


async def _event(lines: Any) -> Any:
    """The data of the next event."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        async for line in lines:
            if line.startswith("data: "):
                await anext(lines)  # the blank line at its end
                return json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream has ended")


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not holds():
            await asyncio.sleep(0.01)
