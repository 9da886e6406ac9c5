"""What feed items show: the content that their template makes, for Knock's SDK and for plain HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import jwt
import pytest
from knockapi import Knock
from tests.support.server.running_server import (
    PRIVATE_KEY,
    PUBLIC_KEY,
    SECRET_KEY,
    RunningServer,
    run_server,
)
from tests.support.templates import write_templates
from tests.support.waits import wait_until

from rollbook import AsyncRollbook, Message
from rollbook_delivery.templates import Renderer
from rollbook_ops.feed_templates import FolderFeedTemplates
from rollbook_server.feed_contents import FeedContents
from rollbook_server.observability.recorder import Recorder
from rollbook_server.settings import ServerSettings
from rollbook_shared.registry import RegistryFile

MESSAGE = Message(
    id="5b0c3f0e-6a1d-5b7e-8f43-2b1d1c0f7a99",
    workflow="plain",
    data={},
    tenant=None,
    occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    recipient="ann",
    actor=None,
    channel="in_app",
    job_id="job",
    cursor="",
    seen=False,
    read=False,
    archived=False,
)
REGISTRY = """
[channels.bell]
type = "in_app"
delivery = "claim"

[channels.mail]
type = "email"
delivery = "claim"

[channels.wall]
type = "wall"

[workflows]
comment = {}
plain = {}
broken = {}
german = {}
rung = {channels = ["bell"]}
posted = {channels = ["wall"]}
mailed = {channels = ["mail"]}
"""
FILES = {
    "comment/in_app.html.liquid": (
        "---\n"
        'title: {{ actor.name | default: "Your friend" }} wrote\n'
        "action_url: /comments/{{ data.id }}\n"
        "---\n"
        "<p>{{ recipient.name }}: {{ data.text }}</p>"
    ),
    "broken/in_app.liquid": "\n{{ data.nothing }}",
    "german/in_app.de.liquid": "Hallo",
    "rung/bell.liquid": "a < b\nc",
    "posted/wall.html.liquid": "<b>x</b>",
    "posted/wall.txt.liquid": "x",
    "mailed/mail.liquid": "a secret link",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("feeds")
    return made


@pytest.fixture(scope="module")
def server(database_url: str, broker_url: str, folder: Path) -> Iterator[RunningServer]:
    (folder / "registry.toml").write_text(REGISTRY)
    templates = FolderFeedTemplates(Renderer(write_templates(folder / "templates", FILES)))
    registry = str(folder / "registry.toml")
    with (
        run_server(database_url, broker_url, ServerSettings(), registry=registry, templates=templates) as server,
        server.client() as api,
    ):
        for id_, name in (("ann", "Ann <b>"), ("bo", "Bo")):
            api.put(f"/v1/users/{id_}", json={"name": name})
        yield server


@pytest.fixture
def api(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def trigger(api: httpx.Client, workflow: str, user_id: str = "ann", **body: Any) -> str:
    """The id of the message."""
    trigger = {"recipients": [{"id": user_id}], **body}
    assert api.post(f"/v1/workflows/{workflow}/trigger", json=trigger).status_code == 200
    return str(api.get(f"/v1/users/{user_id}/messages").json()["items"][0]["id"])


def newest(api: httpx.Client, user_id: str = "ann", channel: str = "in_app", **query: str) -> dict[str, Any]:
    """What the newest item shows, by the names of its blocks."""
    item = api.get(f"/v1/users/{user_id}/feeds/{channel}", params=query).json()["entries"][0]
    return {block["name"]: block["rendered"] for block in item["blocks"]}


def test_an_item_has_blocks_in_the_shape_of_knocks_sdk(server: RunningServer, api: httpx.Client) -> None:
    id_ = trigger(api, "comment", actor="bo", data={"id": 7, "text": "<i>hi</i>"})
    body = "<p>Ann &lt;b&gt;: &lt;i&gt;hi&lt;/i&gt;</p>"
    wanted = [
        {"type": "text", "name": "title", "content": "Bo wrote", "rendered": "Bo wrote"},
        {"type": "markdown", "name": "body", "content": body, "rendered": body},
        {"type": "text", "name": "action_url", "content": "/comments/7", "rendered": "/comments/7"},
    ]

    with Knock(api_key=SECRET_KEY, base_url=server.url, _strict_response_validation=True) as knock:
        item = knock.users.feeds.list_items("ann", "in_app").entries[0]
        content = knock.messages.get_content(id_)

    assert [block.to_dict() for block in item.blocks] == wanted
    assert content.message_id == id_
    assert content.data.to_dict() == {"__typename": "MessageInAppFeedContent", "blocks": wanted}
    assert [block["name"] for block in _first(api, mode="compact")["blocks"]] == ["title", "body", "action_url"]


def test_a_browser_reads_the_contents_of_its_own_user(server: RunningServer, api: httpx.Client) -> None:
    trigger(api, "comment", data={"id": 8, "text": "x"})
    token = jwt.encode({"sub": "ann", "exp": 4_000_000_000}, PRIVATE_KEY, algorithm="RS256")

    with server.client(PUBLIC_KEY, token) as browser:
        assert newest(browser)["action_url"] == "/comments/8"


def test_an_item_shows_its_users_as_they_are_now(api: httpx.Client) -> None:
    for id_, name in (("guest", "A guest"), ("cy", "Cy"), ("dee", "Dee")):
        api.put(f"/v1/users/{id_}", json={"name": name})
    trigger(api, "comment", "guest", actor="cy", data={"id": 1, "text": "x"})

    api.put("/v1/users/cy", json={"name": "Cyril"})
    assert newest(api, "guest") == {"title": "Cyril wrote", "body": "<p>A guest: x</p>", "action_url": "/comments/1"}
    api.post("/v1/users/dee/merge", json={"from_user_id": "guest"})
    assert newest(api, "dee")["body"] == "<p>Dee: x</p>"
    api.delete("/v1/users/cy")
    assert newest(api, "dee")["title"] == "Your friend wrote"


def test_text_is_shown_as_text(api: httpx.Client) -> None:
    trigger(api, "rung")

    (block,) = _first(api)["blocks"]
    assert (block["content"], block["rendered"]) == ("a < b\nc", "<p>a &lt; b<br>c</p>")


def test_a_feed_of_another_type_has_contents(api: httpx.Client) -> None:
    trigger(api, "posted")

    (block,) = _first(api, channel="wall")["blocks"]
    assert (block["content"], block["rendered"]) == ("x", "<b>x</b>")


def test_a_template_that_comes_later_is_found(server: RunningServer, api: httpx.Client, folder: Path) -> None:
    trigger(api, "plain", "gus")
    assert newest(api, "gus") == {}

    write_templates(folder / "templates", {"plain/in_app.liquid": "now"})
    try:
        wait_until(lambda: newest(api, "gus") == {"body": "<p>now</p>"}, what="the content")
    finally:
        (folder / "templates" / "plain" / "in_app.liquid").unlink()


def test_what_left_by_mail_is_not_rendered_again(api: httpx.Client) -> None:
    id_ = trigger(api, "mailed")

    answer = api.get(f"/v1/messages/{id_}/content")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_supported")
    assert newest(api, channel="mail") == {}


def test_a_template_for_another_locale_is_none_and_no_failure(server: RunningServer, api: httpx.Client) -> None:
    failed = unrendered(server)
    api.put("/v1/users/hans", json={"locale": "de-CH"})
    trigger(api, "german", "hans")
    trigger(api, "german", "bo")

    assert newest(api, "hans") == {"body": "<p>Hallo</p>"}
    assert newest(api, "bo") == {}
    assert unrendered(server) == failed


def test_a_template_that_fails_leaves_its_item_without_content(
    server: RunningServer, api: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    trigger(api, "comment", "eva", data={"id": 9, "text": "x"})
    trigger(api, "broken", "eva", data={"some": "private"})
    failed = unrendered(server)

    with caplog.at_level(logging.WARNING, "rollbook.server"):
        api.get("/v1/users/eva/feeds/in_app")
        first, second = api.get("/v1/users/eva/feeds/in_app").json()["entries"]

    assert first["blocks"] == []
    assert first["data"] == {"some": "private"}
    assert len(second["blocks"]) == 3
    assert unrendered(server) == failed + 2
    assert [record.getMessage() for record in caplog.records] == [
        "feed items have no content: template broken/in_app.liquid:2: `data.nothing` is missing"
    ]


@pytest.mark.parametrize("files", [None, {}, {"other/in_app.liquid": "x", "plain/mail.liquid": "x"}])
def test_without_a_template_no_user_is_read(files: dict[str, str] | None, tmp_path: Path) -> None:
    templates = None if files is None else FolderFeedTemplates(Renderer(write_templates(tmp_path, files)))
    no_client = cast("AsyncRollbook", None)
    contents = FeedContents(no_client, RegistryFile(None), Recorder(), templates)

    assert asyncio.run(contents.of([MESSAGE])) == {}


def unrendered(server: RunningServer) -> float:
    (line,) = [
        each for each in server.metrics().splitlines() if each.startswith("rollbook_http_unrendered_items_total")
    ]
    return float(line.split()[1])


def _first(api: httpx.Client, channel: str = "in_app", **query: str) -> Any:
    return api.get(f"/v1/users/ann/feeds/{channel}", params=query).json()["entries"][0]
