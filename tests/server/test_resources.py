"""Preferences, channel data, bulk operations, workflows, messages and feeds over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.support.server.running_server import RunningServer

PUSH = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"


def trigger(api: httpx.Client, user_id: str, workflow: str = "comment", **body: Any) -> str:
    answer = api.post(f"/v1/workflows/{workflow}/trigger", json={"recipients": [{"id": user_id}], **body})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["workflow_run_id"])


def feed(api: httpx.Client, user_id: str, **params: Any) -> Any:
    answer = api.get(f"/v1/users/{user_id}/feeds/in_app", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_preferences_are_replaced_and_answered_in_knocks_words(api: httpx.Client) -> None:
    path = "/v1/users/pia/preferences/default"
    api.put(path, json={"workflows": {"digest": False}, "channel_types": {"in_app_feed": True, "sms": False}})

    answer = api.put(path, json={"categories": {"social": {"channel_types": {"in_app_feed": False}}}})

    assert answer.json() == {
        "id": "default",
        "workflows": {},
        "categories": {"social": {"channel_types": {"in_app_feed": False}}},
        "channel_types": {},
    }
    assert api.get(path).json() == answer.json()
    assert api.get("/v1/users/pia/preferences").json() == [answer.json()]


def test_preferences_are_merged_key_by_key_on_request(api: httpx.Client) -> None:
    path = "/v1/users/peg/preferences/default"
    api.put(path, json={"workflows": {"digest": False}})

    merged = api.put(path, json={"workflows": {"comment": False}, "__persistence_strategy__": "merge"})
    keyed = api.put(f"{path}/channel_types/in_app_feed", json={"subscribed": False})

    assert merged.json()["workflows"] == {"digest": False, "comment": False}
    assert keyed.json()["workflows"] == merged.json()["workflows"]
    assert keyed.json()["channel_types"] == {"in_app_feed": False}


def test_a_setting_that_could_suppress_messages_and_is_not_supported_is_rejected(api: httpx.Client) -> None:
    answer = api.put("/v1/users/pia/preferences/default", json={"channels": {PUSH: False}})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "channels"


def test_a_set_that_is_not_there_is_empty(api: httpx.Client) -> None:
    empty = {"id": "other", "workflows": {}, "categories": {}, "channel_types": {}}

    assert api.get("/v1/users/pia/preferences/other").json() == empty
    assert api.delete("/v1/users/pia/preferences/other").status_code == 204


def test_channel_data_has_tokens_and_devices(api: httpx.Client) -> None:
    path = f"/v1/users/cy/channel_data/{PUSH}"

    answer = api.put(path, json={"data": {"tokens": ["t1", "t2"]}}).json()

    assert answer["data"]["tokens"] == ["t1", "t2"]
    assert answer["data"]["devices"][0] == {"token": "t1", "locale": None, "timezone": None}
    assert (answer["channel_id"], answer["provider"]) == (PUSH, "push_fcm")
    assert api.get(path).json() == answer
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_devices_alone_are_tokens(api: httpx.Client) -> None:
    answer = api.put(f"/v1/users/cy/channel_data/{PUSH}", json={"data": {"devices": [{"token": "t9", "locale": "de"}]}})

    assert answer.json()["data"]["tokens"] == ["t9"]


def test_a_bulk_operation_shows_its_progress(api: httpx.Client, server: RunningServer) -> None:
    server.publisher.workers_are_away = True
    body = {"users": [{"id": "b1", "plan": "pro"}, {"id": "b2"}]}

    queued = api.post("/v1/users/bulk/identify", json=body, headers={"prefer": "respond-async"})
    path = f"/v1/bulk_operations/{queued.json()['id']}"
    before = api.get(path).json()
    server.publisher.apply()
    after = api.get(path).json()

    assert (queued.status_code, queued.json()["status"], queued.json()["name"]) == (
        202,
        "queued",
        "users.bulk.identify",
    )
    assert (before["status"], before["estimated_total_rows"], before["processed_rows"]) == ("queued", 2, 0)
    assert (after["status"], after["processed_rows"], after["success_count"], after["error_count"]) == (
        "completed",
        2,
        2,
        0,
    )
    assert before["inserted_at"] == after["inserted_at"]
    assert api.get("/v1/bulk_operations/unknown").status_code == 404


def test_bulk_preferences_and_deletes(api: httpx.Client) -> None:
    api.post("/v1/users/bulk/identify", json={"users": [{"id": "c1"}, {"id": "c2"}]})
    body = {"user_ids": ["c1", "c2"], "preferences": {"workflows": {"digest": False}}}

    assert api.post("/v1/users/bulk/preferences", json=body).json()["success_count"] == 2
    assert api.get("/v1/users/c2/preferences/default").json()["workflows"] == {"digest": False}
    assert api.post("/v1/users/bulk/delete", json={"user_ids": ["c1", "c2"]}).json()["status"] == "completed"
    assert api.get("/v1/users/c1").status_code == 404


def test_a_trigger_makes_the_messages_of_its_workflow(api: httpx.Client) -> None:
    run = trigger(api, "dan", actor={"id": "eve", "name": "Eve"}, data={"page": 7, "deep": {"a": 1}}, tenant="acme")

    page = api.get("/v1/users/dan/messages", params={"workflow_run_id": run}).json()
    (item,) = feed(api, "dan")["entries"]

    assert {message["channel_id"] for message in page["items"]} == {"in_app", PUSH}
    assert {message["source"]["workflow_run_id"] for message in page["items"]} == {run}
    assert item["source"]["categories"] == ["social"]
    assert (item["data"], item["tenant"], item["actors"][0]["name"]) == ({"page": 7, "deep": {"a": 1}}, "acme", "Eve")
    assert item["activities"][0]["recipient"]["id"] == "dan"
    assert feed(api, "dan", mode="compact")["entries"][0]["data"] == {"page": 7}


def test_recipients_who_are_not_known_are_named(api: httpx.Client) -> None:
    answer = api.post("/v1/workflows/comment/trigger", json={"recipients": ["dan", "stranger"]})

    assert answer.json()["skipped"] == ["stranger"]


@pytest.mark.parametrize(
    ("workflow", "body", "wanted"),
    [
        ("unknown", {"recipients": ["dan"]}, (404, "workflow_missing")),
        ("paused", {"recipients": ["dan"]}, (422, "workflow_inactive")),
        ("comment", {"recipients": []}, (422, "invalid_params")),
        ("comment", {}, (422, "invalid_params")),
        ("comment", {"recipients": [{"id": "p", "collection": "projects"}]}, (422, "invalid_params")),
        ("comment", {"recipients": [{"id": "dan", "email": "none"}]}, (422, "invalid_params")),
    ],
)
def test_a_trigger_that_is_not_valid_is_rejected(api: httpx.Client, workflow: str, body: Any, wanted: Any) -> None:
    answer = api.post(f"/v1/workflows/{workflow}/trigger", json=body)

    assert (answer.status_code, answer.json()["code"]) == wanted


def test_a_deferred_trigger_is_cancelled_by_its_key(api: httpx.Client) -> None:
    body = {"recipients": [{"id": "fay"}], "cancellation_key": "order-7"}
    answer = api.post("/v1/workflows/comment/trigger", json=body, headers={"rollbook-run-at": "2099-01-01T00:00:00Z"})

    cancelled = api.post("/v1/workflows/comment/cancel", json={"cancellation_key": "order-7"})

    assert (answer.status_code, cancelled.status_code) == (202, 204)
    assert api.get(f"/v1/jobs/{answer.json()['workflow_run_id']}").json()["state"] == "cancelled"


def test_engagement_one_by_one_and_taken_back(api: httpx.Client) -> None:
    trigger(api, "gil")
    message_id = feed(api, "gil")["entries"][0]["id"]
    path = f"/v1/messages/{message_id}"

    for engagement in ("seen", "read", "archived", "interacted"):
        answer = api.put(f"{path}/{engagement}").json()
        assert engagement in answer["engagement_statuses"]
        assert answer[f"{engagement}_at"]
    for engagement in ("seen", "read", "archived"):
        assert engagement not in api.delete(f"{path}/{engagement}").json()["engagement_statuses"]
    assert api.get(path).json()["engagement_statuses"] == ["interacted"]
    assert api.put(f"{path}/unknown").status_code == 404
    assert api.put("/v1/messages/no-uuid/seen").status_code == 404


def test_batches_and_whole_channels_are_marked(api: httpx.Client) -> None:
    for _ in range(3):
        trigger(api, "hal")
    ids = [item["id"] for item in feed(api, "hal")["entries"]]

    batch = api.post(
        "/v1/messages/batch/seen", json={"message_ids": [*ids[:2], "00000000-0000-5000-8000-000000000000"]}
    )
    assert [message["id"] for message in batch.json()] == ids[:2]
    assert feed(api, "hal")["meta"] == {"total_count": 3, "unseen_count": 1, "unread_count": 3}
    assert api.post("/v1/messages/batch/seen", json={"message_ids": []}).json() == []

    everything = api.post("/v1/channels/in_app/messages/bulk/read", json={"user_ids": ["hal"]})
    assert everything.json()["status"] == "completed"
    assert feed(api, "hal")["meta"]["unread_count"] == 0


def test_only_what_matches_is_marked(api: httpx.Client) -> None:
    trigger(api, "ida", tenant="acme")
    trigger(api, "ida")

    api.post("/v1/channels/in_app/messages/bulk/archive", json={"user_ids": ["ida"], "tenants": ["acme"]})

    assert [item["tenant"] for item in feed(api, "ida")["entries"]] == [None]
    assert [item["tenant"] for item in feed(api, "ida", archived="only")["entries"]] == ["acme"]
    nothing = api.post("/v1/channels/in_app/messages/bulk/archive", json={"user_ids": ["ida"], "workflows": ["none"]})
    assert nothing.json()["status"] == "completed"


def test_a_feed_is_filtered_and_read_on_from_its_newest_item(api: httpx.Client) -> None:
    trigger(api, "jo", "digest", data={"page": 1})
    cursor = feed(api, "jo")["entries"][0]["__cursor"]
    trigger(api, "jo", data={"page": 2})

    assert [item["data"]["page"] for item in feed(api, "jo", before=cursor)["entries"]] == [2]
    assert [item["data"]["page"] for item in feed(api, "jo", source="digest")["entries"]] == [1]
    assert feed(api, "jo", trigger_data='{"page": 2}')["meta"]["total_count"] == 1
    assert [item["data"]["page"] for item in feed(api, "jo", **{"workflow_categories[]": "social"})["entries"]] == [2]
    assert feed(api, "jo", **{"inserted_at[lt]": "2020-01-01T00:00:00Z"})["entries"] == []
    assert feed(api, "jo", **{"inserted_at.gt": "2020-01-01T00:00:00Z"})["meta"]["total_count"] == 2


def test_the_feed_of_an_unknown_user_is_empty_and_its_settings_are_always_the_same(api: httpx.Client) -> None:
    assert feed(api, "unknown-3")["meta"] == {"total_count": 0, "unseen_count": 0, "unread_count": 0}
    assert api.get("/v1/users/unknown-3/feeds/in_app/settings").json() == {"features": {"branding_required": False}}
