"""A request that is sent again under its idempotency key changes nothing more, whatever happened to the first."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.support.server.running_server import RunningServer

PUT: Any = ("PUT", "/v1/users/ann", {"plan": "pro"})
WRITES: dict[str, Any] = {
    "identify": PUT,
    "delete": ("DELETE", "/v1/users/del", None),
    "merge": ("POST", "/v1/users/ann/merge", {"from_user_id": "guest"}),
    "bulk identify": ("POST", "/v1/users/bulk/identify", {"users": [{"id": "b1"}, {"id": "b2"}]}),
    "preferences": ("PUT", "/v1/users/ann/preferences/default", {"workflows": {"digest": False}}),
    "merged preferences": (
        "PUT",
        "/v1/users/ann/preferences/default",
        {"workflows": {"digest": True}, "__persistence_strategy__": "merge"},
    ),
    "channel data": ("PUT", "/v1/users/ann/channel_data/push", {"data": {"tokens": ["t1"]}}),
    "trigger": ("POST", "/v1/workflows/comment/trigger", {"recipients": [{"id": "ann"}]}),
    "bulk mark": ("POST", "/v1/channels/in_app/messages/bulk/seen", {"user_ids": ["ann", "bo"]}),
}


def send(api: httpx.Client, request: Any, key: str) -> httpx.Response:
    method, path, body = request
    return api.request(method, path, json=body, headers={"idempotency-key": key})


@pytest.mark.parametrize("request_", WRITES.values(), ids=WRITES.keys())
def test_a_request_that_is_sent_again_is_the_same_job(
    api: httpx.Client, server: RunningServer, request_: Any, request: pytest.FixtureRequest
) -> None:
    key = f"key {request.node.name}"
    server.publisher.published.clear()

    first, second = send(api, request_, key), send(api, request_, key)

    assert first.status_code == second.status_code < 300
    assert first.headers["rollbook-job-id"] == second.headers["rollbook-job-id"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    sent = server.publisher.published
    half = len(sent) // 2
    assert half
    assert sent[:half] == sent[half:]
    assert api.get(f"/v1/jobs/{first.headers['rollbook-job-id']}").json()["state"] == "applied"


def test_a_request_that_the_broker_did_not_take_is_sent_again_with_its_time(
    api: httpx.Client, server: RunningServer
) -> None:
    server.publisher.broker_is_away = True
    rejected = send(api, PUT, "away")
    server.publisher.broker_is_away = False

    answer = send(api, PUT, "away")

    assert (rejected.status_code, rejected.headers["retry-after-ms"]) == (503, "1000")
    assert answer.status_code == 200


def test_a_key_that_was_used_for_another_request_is_rejected_for_good(api: httpx.Client) -> None:
    send(api, PUT, "reused")

    answer = send(api, ("PUT", "/v1/users/ann", {"plan": "free"}), "reused")

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert answer.headers["x-should-retry"] == "false"
    assert api.get("/v1/users/ann").json()["plan"] == "pro"


def test_one_key_on_two_calls_is_two_keys(api: httpx.Client) -> None:
    assert send(api, PUT, "shared").status_code == 200
    assert send(api, WRITES["channel data"], "shared").status_code == 200


def test_an_invalid_request_may_be_corrected_under_its_key(api: httpx.Client) -> None:
    assert send(api, ("PUT", "/v1/users/ann", {"email": "none"}), "corrected").status_code == 422
    assert send(api, ("PUT", "/v1/users/ann", {"email": "a@example.com"}), "corrected").status_code == 200


@pytest.mark.parametrize("key", ["a b/ü?", "x" * 255, "stainless-python-retry-6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11"])
def test_a_key_may_be_any_text(api: httpx.Client, key: str) -> None:
    headers = {b"idempotency-key": key.encode()}
    first, second = (api.put("/v1/users/any", json={}, headers=headers) for _ in range(2))

    assert first.status_code == second.status_code == 200
    assert second.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_empty_or_too_long_is_rejected(api: httpx.Client, key: str) -> None:
    assert send(api, PUT, key).status_code == 400


def test_writes_without_a_key_are_different_jobs(api: httpx.Client) -> None:
    first, second = (api.put("/v1/users/ann", json={"plan": "pro"}) for _ in range(2))

    assert first.headers["rollbook-job-id"] != second.headers["rollbook-job-id"]
