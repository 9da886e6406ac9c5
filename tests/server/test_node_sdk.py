"""The official SDKs of Knock and Segment for Node against the server: what their calls mean.

`test_knock_sdk.py` does the same with the SDK for Python, which checks the shapes too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.support.server.cut_answers import cut_answers
from tests.support.server.official_clients import Client, ClientError, Player, player
from tests.support.server.running_server import PRIVATE_PEM, PUBLIC_KEY, SECRET_KEY, SEGMENT_KEY, RunningServer


@pytest.fixture(scope="module")
def node() -> Iterator[Player]:
    with player() as running:
        yield running


@pytest.fixture(scope="module")
def knock(node: Player, server: RunningServer) -> Client:
    return node.make("Knock", "knock", options(server.url))


def options(url: str, **more: Any) -> dict[str, Any]:
    return {"baseURL": url, "apiKey": SECRET_KEY, "maxRetries": 0, **more}


def trigger(knock: Client, user_id: str, count: int = 1) -> None:
    for _ in range(count):
        knock.workflows.trigger("comment", {"recipients": [{"id": user_id}]})


def feed(knock: Client, user_id: str) -> Any:
    return knock.users.feeds.listItems(user_id, "in_app", {})


def counts(knock: Client, user_id: str) -> tuple[int, int, int]:
    meta = feed(knock, user_id)["body"]["meta"]
    return meta["total_count"], meta["unseen_count"], meta["unread_count"]


def test_a_retry_after_a_cut_connection_makes_no_second_message(node: Player, server: RunningServer) -> None:
    port = urlsplit(server.url).port
    assert port is not None
    server.publisher.published.clear()
    with cut_answers(port, 1) as cutter:
        cut = node.make("Knock", "cut", options(f"http://127.0.0.1:{cutter.port}", maxRetries=1))
        run = cut.workflows.trigger("comment", {"recipients": ["node-cut", {"id": "node-cut"}]})

        assert cutter.cut == 1
        first, second = server.publisher.published
        assert first == second  # with another time under its id it would be a dead letter
        assert first.id == run["workflow_run_id"]
        assert counts(cut, "node-cut") == (1, 1, 1)


def test_a_user_is_read_as_it_was_identified(knock: Client) -> None:
    knock.users.update("n ö", {"name": "Kim", "email": "kim@example.com", "plan": "pro", "cart": {"items": [1]}})
    knock.users.update("n ö", {"plan": "team"})

    user = knock.users.get("n ö")

    assert (user["id"], user["name"], user["email"]) == ("n ö", "Kim", "kim@example.com")
    assert (user["plan"], user["cart"]) == ("team", {"items": [1]})
    knock.users.delete("n ö")
    with pytest.raises(ClientError) as raised:
        knock.users.get("n ö")
    assert (raised.value.name, raised.value.status) == ("NotFoundError", 404)


def test_a_bulk_call_names_each_user_that_is_not_valid_and_writes_none(knock: Client) -> None:
    users = [{"id": "node-good"}, {"id": "node-bad", "email": "no address"}, {"id": ""}]

    with pytest.raises(ClientError) as raised:
        knock.users.bulk.identify({"users": users})

    assert (raised.value.name, raised.value.status) == ("UnprocessableEntityError", 422)
    assert {problem["index"] for problem in raised.value.body["errors"]} == {1, 2}
    with pytest.raises(ClientError):
        knock.users.get("node-good")


def test_a_bulk_operation_is_followed_to_its_end(knock: Client) -> None:
    operation = knock.users.bulk.identify({"users": [{"id": "node-m1"}, {"id": "node-m2"}]})

    found = knock.bulkOperations.get(operation["id"])

    assert (found["id"], found["status"], found["success_count"]) == (operation["id"], "completed", 2)


def test_a_merge_brings_the_guests_feed(knock: Client) -> None:
    knock.users.update("node-guest", {"name": "Guest"})
    knock.users.update("node-customer", {"email": "c@example.com"})
    trigger(knock, "node-guest")

    merged = knock.users.merge("node-customer", {"from_user_id": "node-guest"})

    assert (merged["name"], merged["email"]) == ("Guest", "c@example.com")
    assert counts(knock, "node-customer") == (1, 1, 1)
    with pytest.raises(ClientError) as raised:
        knock.users.get("node-guest")
    assert raised.value.body["merged_into"] == "node-customer"


def test_marks_change_the_counts(knock: Client) -> None:
    trigger(knock, "node-marks", 3)
    first, second, third = (item["id"] for item in knock.users.feeds.listItems("node-marks", "in_app", all=True))

    assert knock.messages.markAsRead(first)["read_at"] is not None
    assert counts(knock, "node-marks") == (3, 3, 2)
    marked = knock.messages.batch.markAsSeen({"message_ids": [second, third]})
    assert [message["id"] for message in marked] == [second, third]
    knock.messages.archive(third)
    assert counts(knock, "node-marks") == (2, 1, 1)
    assert knock.messages.get(second)["engagement_statuses"] == ["seen"]
    operation = knock.channels.bulk.updateMessageStatus("in_app", "read", {"recipient_ids": ["node-marks"]})
    assert operation["status"] == "completed"
    trigger(knock, "node-marks")
    assert counts(knock, "node-marks") == (3, 2, 1)


def test_the_sdk_follows_pages_to_their_end(knock: Client) -> None:
    trigger(knock, "node-pages", 5)

    items = knock.users.feeds.listItems("node-pages", "in_app", {"page_size": 2}, all=True)
    users = knock.users.list({"page_size": 2}, all=True)

    assert len({item["id"] for item in items}) == len(items) == 5
    assert len({user["id"] for user in users}) == len(users) > 2


@pytest.mark.parametrize(("seconds", "status"), [(600, 200), (-600, 401)])
def test_a_token_that_the_sdk_signs_is_valid_until_it_expires(
    node: Player, knock: Client, server: RunningServer, seconds: int, status: int
) -> None:
    knock.users.update("node-token", {"name": "Tok"})

    token = node.call("signUserToken", "node-token", {"signingKey": PRIVATE_PEM, "expiresInSeconds": seconds})

    with server.client(PUBLIC_KEY, token) as browser:
        answer = browser.get("/v1/users/node-token")
    assert (answer.status_code, answer.json().get("code")) == (status, None if status == 200 else "invalid_user_token")


def test_segments_library_identifies_merges_and_triggers(node: Player, server: RunningServer, knock: Client) -> None:
    segment = node.make("Segment", "segment", {"writeKey": SEGMENT_KEY, "host": server.url})
    segment.identify({"userId": "seg-guest-n", "traits": {"cart": 1}})
    segment.identify({"userId": "seg-n", "traits": {"email": "n@example.com", "plan": "pro"}})
    segment.alias({"userId": "seg-n", "previousId": "seg-guest-n"})
    segment.track({"userId": "seg-n", "event": "Comment SentWrite", "properties": {"page": 7}})

    segment.closeAndFlush()

    user = knock.users.get("seg-n")
    assert (user["email"], user["plan"], user["cart"]) == ("n@example.com", "pro", 1)
    (item,) = knock.users.feeds.listItems("seg-n", "in_app", all=True)
    assert item["data"] == {"page": 7}


def test_segments_library_sends_again_after_a_cut_connection_and_triggers_once(
    node: Player, server: RunningServer, knock: Client
) -> None:
    port = urlsplit(server.url).port
    assert port is not None
    knock.users.update("seg-cut", {"name": "Cut"})
    with cut_answers(port, 1) as cutter:
        segment = node.make(
            "Segment", "cutSegment", {"writeKey": SEGMENT_KEY, "host": f"http://127.0.0.1:{cutter.port}"}
        )
        segment.track({"userId": "seg-cut", "event": "Comment SentWrite"})
        segment.identify({"userId": "seg-cut", "traits": {"plan": "pro"}})
        segment.track({"userId": "seg-cut", "event": "Comment SentWrite"})
        segment.closeAndFlush()

        assert cutter.cut == 1
    assert counts(knock, "seg-cut") == (2, 2, 2)
