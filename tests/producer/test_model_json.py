"""Every model is JSON with the marker of a missing actor, by `as_dict` and where a web framework makes the JSON."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter

import rollbook
from rollbook import (
    Activity,
    Actor,
    Engagement,
    Feed,
    FeedStatus,
    JobState,
    JobStatus,
    Message,
    Page,
    RejectedItem,
    User,
)
from rollbook.models.model import Model
from rollbook.testing import recording

AT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
MARKER = {"id": None, "missing": True}


def get(app: FastAPI, path: str) -> Any:
    """What the application answers, without a server."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 200
    return json.loads(b"".join(event.get("body", b"") for event in sent[1:]))


def message(actor: Actor | None) -> Message:
    return Message(
        id="m1",
        workflow="invite",
        data={"at": [1, {"deep": None}]},
        tenant=None,
        occurred_at=AT,
        recipient="ann",
        actor=actor,
        channel="in_app",
        job_id="invite-1",
        cursor="c1",
        seen=True,
        read=False,
        archived=False,
    )


def test_every_model_that_is_exported_is_one_and_is_json() -> None:
    exported = [getattr(rollbook, name) for name in rollbook.__all__]
    results = [
        each
        for each in exported
        if isinstance(each, type) and dataclasses.is_dataclass(each) and each.__module__.startswith("rollbook.models")
    ]

    assert len(results) >= 12
    assert all(issubclass(each, Model) for each in results)


def test_a_page_of_a_feed_is_json_with_the_marker() -> None:
    feed = Feed(items=(message(Actor(id=None)), message(Actor(id="bo", name="Bo")), message(None)), total=3)

    as_json = json.loads(json.dumps(feed.as_dict()))

    assert [item["actor"] for item in as_json["items"]] == [MARKER, {"id": "bo", "name": "Bo", "avatar": None}, None]
    assert as_json["items"][0]["occurred_at"] == "2026-01-31T09:30:00+00:00"
    assert as_json["items"][0]["data"] == {"at": [1, {"deep": None}]}
    assert (as_json["total"], as_json["after"]) == (3, None)


def test_pages_users_and_statuses_are_json() -> None:
    page = Page(items=(User(id="ann", properties={"tags": ["a"]}, updated_at=AT),), after="c")
    status = JobStatus(
        id="j", kind="bulk_identify", state=JobState.APPLIED, rejected=(RejectedItem(index=0, field="f", reason="r"),)
    )

    assert json.loads(json.dumps(page.as_dict()))["items"][0]["properties"] == {"tags": ["a"]}
    as_json = json.loads(json.dumps(status.as_dict()))
    assert as_json["state"] == "applied"
    assert as_json["rejected"] == [{"index": 0, "field": "f", "reason": "r", "code": "invalid"}]


@pytest.mark.parametrize("kind", [Feed, Page[Message]])
def test_a_web_framework_writes_the_marker(kind: Any) -> None:
    app = FastAPI()
    items = (message(Actor(id=None)), message(Actor(id="bo")))

    @app.get("/", response_model=kind)
    def read() -> Any:
        return Feed(items=items) if kind is Feed else Page(items=items, after=None)

    answer = get(app, "/")
    schema = get(app, "/openapi.json")["components"]["schemas"]

    assert [item["actor"] for item in answer["items"]] == [MARKER, {"id": "bo", "name": None, "avatar": None}]
    assert "missing" in json.dumps(schema)


def test_pydantic_writes_the_marker_and_reads_an_actor() -> None:
    adapter = TypeAdapter(Activity)
    activity = Activity(
        id="a", workflow="w", data={}, tenant=None, occurred_at=AT, recipient="ann", actor=Actor(id=None)
    )

    assert json.loads(adapter.dump_json(activity))["actor"] == MARKER
    assert TypeAdapter(Actor).validate_python({"id": "bo", "name": "Bo"}) == Actor(id="bo", name="Bo")


def test_the_words_that_calls_take_are_exported_as_types() -> None:
    assert "unread" in get_args(FeedStatus)
    assert "archived" in get_args(Engagement)


def test_awaiting_a_job_says_that_it_was_sent_and_what_to_do() -> None:
    rb = recording()

    async def sign_up() -> None:
        await rb.users.identify("ann", {"plan": "pro"}, job_id="j1")  # type: ignore[misc]

    with pytest.raises(TypeError, match="the job j1 was sent when the call returned, so do not await it"):
        sign_up().send(None)
    assert [job.id for job in rb.sent] == ["j1"]
