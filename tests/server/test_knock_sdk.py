"""Knock's official SDK against the server: what its calls mean, not only that their answers have the right shape.

The client validates each answer strictly: a field that is missing or has another type is an error.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import knockapi
import pytest
from knockapi import Knock
from tests.support.server.cut_answers import cut_answers
from tests.support.server.running_server import PRIVATE_KEY, PUBLIC_KEY, SECRET_KEY, RunningServer

PUSH = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"


def sdk(url: str, **options: Any) -> Knock:
    return Knock(api_key=SECRET_KEY, base_url=url, _strict_response_validation=True, **options)


@pytest.fixture
def knock(server: RunningServer) -> Iterator[Knock]:
    with sdk(server.url, max_retries=0) as client:
        yield client


def trigger(knock: Knock, user_id: str, count: int = 1, **body: Any) -> None:
    for _ in range(count):
        knock.workflows.trigger("comment", recipients=[{"id": user_id}], **body)


def counts(knock: Knock, user_id: str) -> tuple[int, int, int]:
    page: Any = knock.users.feeds.list_items(user_id, "in_app")
    meta = page.model_extra["meta"]  # the SDK's page has no name for it
    return meta["total_count"], meta["unseen_count"], meta["unread_count"]


def test_a_retry_after_a_cut_connection_makes_no_second_message(server: RunningServer) -> None:
    port = urlsplit(server.url).port
    assert port is not None
    server.publisher.published.clear()
    with cut_answers(port, 1) as cutter, sdk(f"http://127.0.0.1:{cutter.port}", max_retries=1) as knock:
        run = knock.workflows.trigger("comment", recipients=[{"id": "cut"}])

        assert cutter.cut == 1
        first, second = server.publisher.published
        assert first == second  # with another time under its id it would be a dead letter
        assert first.id == run.workflow_run_id
        assert counts(knock, "cut") == (1, 1, 1)


def test_a_user_is_read_as_it_was_identified(knock: Knock) -> None:
    knock.users.update("k ä", name="Kim", email="kim@example.com", extra_body={"plan": "pro", "cart": {"items": [1]}})
    knock.users.update("k ä", locale="de-DE", extra_body={"plan": "team"})

    user = knock.users.get("k ä")

    assert (user.id, user.name, user.email) == ("k ä", "Kim", "kim@example.com")
    assert user.model_extra is not None
    assert (user.model_extra["plan"], user.model_extra["cart"]) == ("team", {"items": [1]})
    assert user.model_extra["locale"] == "de-DE"
    knock.users.delete("k ä")
    with pytest.raises(knockapi.NotFoundError):
        knock.users.get("k ä")


def test_a_bulk_call_names_each_user_that_is_not_valid_and_writes_none(knock: Knock) -> None:
    users: Any = [{"id": "good"}, {"id": "bad", "email": "no address"}, {"id": ""}]

    with pytest.raises(knockapi.UnprocessableEntityError) as raised:
        knock.users.bulk.identify(users=users)

    assert isinstance(raised.value.body, dict)
    assert {problem["index"] for problem in raised.value.body["errors"]} == {1, 2}
    with pytest.raises(knockapi.NotFoundError):
        knock.users.get("good")


def test_a_bulk_operation_is_followed_to_its_end(knock: Knock) -> None:
    operation = knock.users.bulk.identify(users=[{"id": "m1"}, {"id": "m2"}])

    found = knock.bulk_operations.get(operation.id)

    assert (found.id, found.status, found.success_count, found.error_count) == (operation.id, "completed", 2, 0)
    assert knock.users.bulk.delete(user_ids=["m1", "m2"]).status == "completed"


def test_a_merge_brings_the_guests_feed_and_leaves_the_guest_unknown(knock: Knock) -> None:
    knock.users.update("guest", name="Guest", extra_body={"cart": 2})
    knock.users.update("customer", email="c@example.com")
    trigger(knock, "guest", data={"page": 7})

    merged = knock.users.merge("customer", from_user_id="guest")

    assert (merged.name, merged.email) == ("Guest", "c@example.com")
    (item,) = knock.users.feeds.list_items("customer", "in_app").entries
    assert item.data == {"page": 7}
    with pytest.raises(knockapi.NotFoundError) as raised:
        knock.users.get("guest")
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["merged_into"] == "customer"


def test_marks_change_the_counts(knock: Knock) -> None:
    trigger(knock, "marker", 3)
    first, second, third = (item.id for item in knock.users.feeds.list_items("marker", "in_app").entries)
    assert counts(knock, "marker") == (3, 3, 3)

    assert knock.messages.mark_as_read(first).read_at is not None
    assert counts(knock, "marker") == (3, 3, 2)
    assert [message.id for message in knock.messages.batch.mark_as_seen(message_ids=[second, third])] == [second, third]
    assert counts(knock, "marker") == (3, 1, 2)
    knock.messages.archive(third)
    assert counts(knock, "marker") == (2, 1, 1)
    knock.messages.unarchive(third)
    knock.messages.mark_as_unread(first)
    assert counts(knock, "marker") == (3, 1, 3)
    assert knock.messages.get(second).engagement_statuses == ["seen"]


def test_all_messages_of_a_channel_are_marked_in_one_call(knock: Knock) -> None:
    trigger(knock, "everything", 3)

    operation = knock.channels.bulk.update_message_status("in_app", "read", recipient_ids=["everything"])

    assert operation.status == "completed"
    assert counts(knock, "everything") == (3, 3, 0)
    trigger(knock, "everything")
    assert counts(knock, "everything") == (4, 4, 1)


def test_preferences_are_replaced_or_merged_as_the_call_says(knock: Knock) -> None:
    knock.users.set_preferences("pref", "default", workflows={"digest": False})
    merged = knock.users.set_preferences(
        "pref", "default", channel_types={"in_app_feed": False}, _persistence_strategy="merge"
    )
    assert (merged.workflows, merged.channel_types is not None) == ({"digest": False}, True)
    trigger(knock, "pref")
    assert counts(knock, "pref") == (0, 0, 0)

    replaced = knock.users.set_preferences("pref", "default", workflows={})

    assert (replaced.workflows, knock.users.list_preferences("pref")[0].workflows) == ({}, {})
    trigger(knock, "pref")
    assert counts(knock, "pref") == (1, 1, 1)
    knock.users.unset_preferences("pref", "default")
    assert knock.users.list_preferences("pref") == []


@pytest.mark.parametrize("data", [{"tokens": ["t1", "t2"]}, {"devices": [{"token": "t1"}, {"token": "t2"}]}])
def test_push_data_has_tokens_and_devices_however_it_was_written(knock: Knock, data: Any) -> None:
    written = knock.users.set_channel_data("push", PUSH, data=data)
    read = knock.users.get_channel_data("push", PUSH)

    for found in (written, read):
        kept: Any = found.data
        assert kept.tokens == ["t1", "t2"]
        assert [device.token for device in kept.devices] == ["t1", "t2"]
        assert (found.channel_id, found.provider) == (PUSH, "push_fcm")
    knock.users.unset_channel_data("push", PUSH)
    with pytest.raises(knockapi.NotFoundError):
        knock.users.get_channel_data("push", PUSH)


def test_the_sdk_follows_pages_to_their_end(knock: Knock) -> None:
    trigger(knock, "pages", 5)
    knock.users.bulk.identify(users=[{"id": f"page-{number}"} for number in range(5)])

    items = [item.id for item in knock.users.feeds.list_items("pages", "in_app", page_size=2)]
    messages = [message.id for message in knock.users.list_messages("pages", page_size=3)]
    users = [user.id for user in knock.users.list(page_size=2) if user.id.startswith("page-")]
    backwards = [user.id for user in knock.users.list(page_size=2, order="desc") if user.id.startswith("page-")]

    assert (len(items), len(set(items))) == (5, 5)
    assert (len(messages), len(set(messages))) == (10, 10)  # on two channels
    assert set(items) <= set(messages)
    assert users == [f"page-{number}" for number in range(5)] == backwards[::-1]


def test_errors_have_the_classes_of_the_sdk(knock: Knock, server: RunningServer) -> None:
    with pytest.raises(knockapi.NotFoundError) as missing:
        knock.messages.get("2F7mL4HdKBTwSUYGSfrMmwHz1nK")
    with pytest.raises(knockapi.UnprocessableEntityError) as rejected:
        knock.users.update("bad", email="no address")
    with (
        pytest.raises(knockapi.AuthenticationError),
        Knock(api_key="sk_wrong", base_url=server.url, max_retries=0) as wrong,
    ):
        wrong.users.get("bad")

    assert isinstance(missing.value.body, dict)
    assert isinstance(rejected.value.body, dict)
    assert missing.value.body["code"] == "resource_missing"
    assert rejected.value.body["errors"][0]["field"] == "email"


def test_an_expired_user_token_is_rejected(server: RunningServer, knock: Knock) -> None:
    knock.users.update("tok")

    def browser(lifetime: int) -> Knock:
        claims = {"sub": "tok", "exp": int(time.time()) + lifetime}
        headers = {"x-knock-user-token": jwt.encode(claims, PRIVATE_KEY, "RS256")}
        return Knock(api_key=PUBLIC_KEY, base_url=server.url, max_retries=0, default_headers=headers)

    with browser(600) as valid:
        assert valid.users.get("tok").id == "tok"
    with browser(-600) as expired, pytest.raises(knockapi.AuthenticationError) as raised:
        expired.users.get("tok")
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["code"] == "invalid_user_token"


def test_a_write_while_the_broker_is_away_is_retried_and_is_one_job(server: RunningServer) -> None:
    server.publisher.broker_is_away = True
    server.publisher.published.clear()

    def come_back(response: httpx.Response) -> None:
        server.publisher.broker_is_away = False  # the server has rejected the first attempt

    with (
        httpx.Client(base_url=server.url, event_hooks={"response": [come_back]}) as http,
        sdk(server.url, max_retries=1, http_client=http) as knock,
    ):
        knock.users.update("away", extra_body={"plan": "pro"})

    assert len(server.publisher.published) == 1


INLINE: Any = {"preferences": {"default": {"channel_types": {"in_app_feed": False}}}}


def test_preferences_of_an_identify_are_in_knocks_words(knock: Knock) -> None:
    knock.users.update("inl1", **INLINE)
    second: Any = {"id": "inl2", **INLINE}
    third: Any = {"id": "inl3", **INLINE}
    knock.users.bulk.identify(users=[second])
    knock.workflows.trigger("comment", recipients=["inl1", "inl2", third])

    for user_id in ("inl1", "inl2", "inl3"):
        types: Any = knock.users.get_preferences(user_id, "default").channel_types
        assert types.in_app_feed is False
        assert counts(knock, user_id) == (0, 0, 0)


def test_devices_of_an_identify_are_tokens(knock: Knock) -> None:
    data: Any = {PUSH: {"devices": [{"token": "t7"}]}}
    knock.users.update("dev1", channel_data=data)
    knock.users.bulk.identify(users=[{"id": "dev2", "channel_data": data}])

    for user_id in ("dev1", "dev2"):
        kept: Any = knock.users.get_channel_data(user_id, PUSH).data
        assert kept.tokens == ["t7"]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"channels": {PUSH: False}}, "preferences.default.channels"),
        ({"__persistence_strategy__": "merge"}, "preferences.default.__persistence_strategy__"),
    ],
)
def test_a_setting_of_an_identify_that_is_not_supported_is_named(knock: Knock, settings: Any, field: str) -> None:
    traits: Any = {"preferences": {"default": settings}}
    user: Any = {"id": "ns", **traits}
    for call, name in (
        (lambda: knock.users.update("ns", **traits), field),
        (lambda: knock.users.bulk.identify(users=[{"id": "a"}, user]), f"users[1].{field}"),
        (lambda: knock.workflows.trigger("comment", recipients=[user]), f"recipients[0].{field}"),
    ):
        with pytest.raises(knockapi.UnprocessableEntityError) as raised:
            call()
        assert isinstance(raised.value.body, dict)
        assert raised.value.body["errors"][0]["field"] == name


def test_ids_of_another_system_in_a_batch_are_left_out(knock: Knock) -> None:
    trigger(knock, "batch")
    (item,) = knock.users.feeds.list_items("batch", "in_app").entries

    marked = knock.messages.batch.mark_as_read(message_ids=["1jNaXzB2RZX3LY8wVQnfCKyPnv7", item.id])

    assert [message.id for message in marked] == [item.id]
