"""Calls as Segment's libraries send them, by the official Python library and by hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from segment.analytics.client import Client as Segment  # type: ignore[import-untyped]
from tests.support.server.running_server import SEGMENT_KEY, RunningServer

from rollbook_server.ingest.clock_skew import call_time
from rollbook_shared.jobs import BulkIdentify, Trigger

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def segment(server: RunningServer) -> Iterator[Segment]:
    """The official library."""
    failures: list[Any] = []
    client = Segment(SEGMENT_KEY, host=server.url, on_error=lambda error, _: failures.append(error), gzip=True)
    yield client
    client.join()
    assert not failures


def post(api: httpx.Client, *calls: Any, **body: Any) -> httpx.Response:
    return api.post("/v1/batch", json={"batch": calls, **body}, auth=(SEGMENT_KEY, ""))


def identify(user_id: str, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user_id, "traits": traits, "messageId": f"m-{user_id}"}


def test_the_official_library_identifies_and_triggers(segment: Segment, api: httpx.Client) -> None:
    segment.identify("seg-1", {"email": "s@example.com", "firstName": "S", "lastName": "G", "plan": "pro"})
    segment.track("seg-1", "Comment SentWrite", {"page": 7})
    segment.track("seg-1", "Unknown", {"page": 7})
    segment.page("seg-1", "docs", "home")
    segment.flush()

    user = api.get("/v1/users/seg-1").json()
    (item,) = api.get("/v1/users/seg-1/feeds/in_app").json()["entries"]

    assert (user["email"], user["name"], user["plan"]) == ("s@example.com", "S G", "pro")
    assert (item["source"]["key"], item["data"]) == ("comment", {"page": 7})


def test_integers_of_more_than_64_bits_are_taken(api: httpx.Client) -> None:
    track = {"type": "track", "userId": "seg-big", "event": "Comment SentWrite", "properties": {"page": 2**70}}

    answer = post(api, identify("seg-big", n=2**70), track)

    assert answer.status_code == 200
    assert api.get("/v1/users/seg-big").json()["n"] == 2**70
    (item,) = api.get("/v1/users/seg-big/feeds/in_app").json()["entries"]
    assert item["data"] == {"page": 2**70}


def test_an_alias_is_a_merge(segment: Segment, api: httpx.Client) -> None:
    segment.identify("seg-guest", {"cart": 1})
    segment.alias("seg-guest", "seg-2")
    segment.identify("seg-2", {"plan": "pro"})
    segment.flush()

    user = api.get("/v1/users/seg-2").json()
    assert (user["cart"], user["plan"]) == (1, "pro")
    assert api.get("/v1/users/seg-guest").json()["merged_into"] == "seg-2"


def test_calls_of_one_millisecond_keep_their_order(api: httpx.Client) -> None:
    at = "2026-01-01T00:00:00.000Z"
    calls = [{**identify("order", step=step), "timestamp": at, "messageId": f"step-{step}"} for step in range(6)]

    assert post(api, *calls).json()["rejected"] == []
    assert api.get("/v1/users/order").json()["step"] == 5


def test_runs_of_identifies_become_bulk_jobs(api: httpx.Client, server: RunningServer) -> None:
    server.publisher.published.clear()

    post(api, *(identify(f"run-{number}") for number in range(150)))

    kinds = server.publisher.published
    assert [len(job.users) for job in kinds if isinstance(job, BulkIdentify)] == [100, 50]
    assert len(kinds) == 2


def test_one_bad_call_does_not_cost_its_neighbours(api: httpx.Client) -> None:
    answer = post(
        api,
        identify("good-1", plan="pro"),
        identify("bad/id"),
        {"type": "identify"},
        "no object",
        {"type": "unknown"},
        identify("good-2", plan="pro"),
    )

    assert answer.status_code == 200
    assert [(each["index"], each["field"]) for each in answer.json()["rejected"]] == [
        (1, "id"),
        (2, "userId"),
        (3, ""),
        (4, "type"),
    ]
    assert [api.get(f"/v1/users/good-{number}").json()["plan"] for number in (1, 2)] == ["pro", "pro"]


def test_a_batch_that_is_sent_again_triggers_once(api: httpx.Client, server: RunningServer) -> None:
    track = {"type": "track", "userId": "again", "event": "Comment SentWrite", "messageId": "once", "properties": {}}
    server.publisher.published.clear()
    for _ in range(2):
        post(api, identify("again"), track, sentAt=datetime.now(UTC).isoformat())

    assert api.get("/v1/users/again/feeds/in_app").json()["meta"]["total_count"] == 1
    first, second = (job for job in server.publisher.published if isinstance(job, Trigger))
    assert first == second  # with another time under its id it would be a dead letter


@pytest.mark.parametrize("kind", ["identify", "track", "alias", "group", "page", "screen"])
def test_single_calls_take_the_key_of_the_body(api: httpx.Client, server: RunningServer, kind: str) -> None:
    body = {"userId": "single", "previousId": "single-guest", "event": "x", "writeKey": SEGMENT_KEY}

    assert httpx.post(f"{server.url}/v1/{kind}", json=body).json()["rejected"] == []
    assert httpx.post(f"{server.url}/v1/{kind}", json={**body, "writeKey": "wrong"}).status_code == 401


@pytest.mark.parametrize("auth", [("wrong", ""), ("", ""), None])
def test_a_wrong_key_is_rejected(server: RunningServer, auth: Any) -> None:
    assert httpx.post(f"{server.url}/v1/batch", json={"batch": []}, auth=auth).status_code == 401


def test_a_secret_key_is_no_write_key(api: httpx.Client) -> None:
    assert api.post("/v1/batch", json={"batch": []}).status_code == 401


def test_a_packed_body_is_unpacked_within_the_bound(api: httpx.Client, server: RunningServer) -> None:
    headers = {"content-encoding": "gzip", "content-type": "application/json"}

    def send(body: bytes) -> httpx.Response:
        return api.post("/v1/batch", content=body, headers=headers, auth=(SEGMENT_KEY, ""))

    good = gzip.compress(json.dumps({"batch": [identify("packed", plan="pro")]}).encode())
    assert send(good).status_code == 200
    assert api.get("/v1/users/packed").json()["plan"] == "pro"
    assert send(gzip.compress(bytes(server.services.settings.max_body_bytes + 1))).status_code == 413
    assert send(good[:-4]).status_code == 400
    assert send(b"no gzip").status_code == 400


def test_the_broker_being_away_is_worth_a_retry(api: httpx.Client, server: RunningServer) -> None:
    server.publisher.broker_is_away = True

    assert post(api, identify("away")).status_code == 503


def test_too_many_calls_are_rejected_as_segment_does(api: httpx.Client) -> None:
    answer = post(api, *({"type": "page"} for _ in range(2_501)))

    assert (answer.status_code, answer.json()["code"]) == (400, "batch_too_large")


@pytest.mark.parametrize(
    ("call", "sent_at", "wanted"),
    [
        ({}, None, NOW),
        ({"timestamp": "2026-11-23T11:00:00Z"}, None, NOW - timedelta(hours=1)),
        ({"timestamp": "no time"}, None, NOW),
        ({"timestamp": "2026-11-23T10:00:00Z"}, NOW - timedelta(hours=1), NOW - timedelta(hours=1)),
        ({"timestamp": "2026-11-24T12:00:00Z"}, NOW + timedelta(days=1), NOW),
        ({"timestamp": "2026-11-24T12:00:00Z"}, None, NOW),
        ({"timestamp": "2026-11-23T12:04:00Z"}, None, NOW + timedelta(minutes=4)),
        ({"timestamp": "1969-01-01T00:00:00Z"}, None, NOW),
        ({"originalTimestamp": "2026-11-23T11:00:00Z"}, None, NOW - timedelta(hours=1)),
    ],
)
def test_the_senders_clock_is_corrected(call: Any, sent_at: datetime | None, wanted: datetime) -> None:
    found = call_time(call, 3, sent_at=sent_at, now=NOW, skew=timedelta(minutes=5))

    assert found == wanted + timedelta(microseconds=3)
