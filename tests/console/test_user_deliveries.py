"""What a registry and templates add to the pages of users: deliveries with their attempts, the workflows that may be
tried, and what a message shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.console.visitors import CONSOLE, Accounts, Visitor
from tests.support.server.running_server import RunningServer, run_server
from tests.support.templates import write_templates

from rollbook_delivery.templates import Renderer
from rollbook_ops.feed_templates import FolderFeedTemplates
from rollbook_server.settings import ServerSettings

REGISTRY = """
[channels.mail]
type = "email"
delivery = "claim"

[workflows.welcome]
channels = ["mail"]
categories = ["news"]

[workflows.comment]

[workflows.paused]
active = false
"""


@pytest.fixture(scope="module")
def server(database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    registry: Path = tmp_path_factory.mktemp("console") / "registry.toml"
    registry.write_text(REGISTRY)
    files = {"comment/in_app.html.liquid": "---\ntitle: To {{ recipient.name }}\n---\n<p>{{ data.text }}</p>"}
    templates = FolderFeedTemplates(Renderer(write_templates(registry.parent, files)))
    with run_server(
        database_url,
        broker_url,
        ServerSettings(),
        registry=str(registry),
        console=CONSOLE,
        templates=templates,
    ) as server:
        yield server


@pytest.fixture(scope="module")
def delivery_id(server: RunningServer) -> str:
    """A delivery that failed once."""
    with server.client() as api:
        recipient = {"id": "ann", "email": "ann@example.com"}
        assert api.post("/v1/workflows/welcome/trigger", json={"recipients": [recipient]}).status_code == 200
        (claimed,) = api.post("/v1/deliveries/claim", json={"channel": "mail"}).json()["items"]
        report = {"id": claimed["id"], "outcome": "failed", "reason": "mailbox-full"}
        assert api.post("/v1/deliveries/report", json={"reports": [report]}).json() == {"lost": []}
        return str(claimed["id"])


def rows(page: httpx.Response, label: str) -> str:
    """The part of a page that is the table with this label."""
    return page.text.partition(f'aria-label="{label}"')[2].partition("</table>")[0]


def test_a_message_stands_with_the_state_of_its_delivery_and_the_reason(admin: Visitor, delivery_id: str) -> None:
    listed = rows(admin.get("/users/ann"), "Messages")

    assert f"/console/messages/{delivery_id}" in listed
    assert "failed" in listed
    assert "mailbox-full" in listed
    page = admin.get(f"/messages/{delivery_id}").text
    assert "mailbox-full" in page
    assert "<dt>Attempts</dt><dd>1</dd>" in page


def test_the_registry_names_what_may_be_tried_and_what_preferences_concern(admin: Visitor, delivery_id: str) -> None:
    page = admin.get("/users/ann")

    assert "<option>welcome</option>" in page.text
    assert "<option>paused</option>" not in page.text
    matrix = rows(page, "Preferences, default")
    assert "welcome" in matrix
    assert "news" in matrix
    assert admin.post("/users/ann/test", {"workflow": "paused"}, on="/users/ann").status_code == 400


def test_a_message_stands_with_what_its_template_makes_of_it(
    server: RunningServer, operator: Visitor, accounts: Accounts
) -> None:
    with server.client() as api:
        recipient = {"id": "eva", "name": "Eva Example"}
        body = {"recipients": [recipient], "actor": {"id": "bo"}, "data": {"text": "<i>hi</i>"}}
        assert api.post("/v1/workflows/comment/trigger", json=body).status_code == 200
        (message,) = api.get("/v1/users/eva/messages").json()["items"]

    address = f"/messages/{message['id']}"

    page = operator.get(address).text
    assert "What its template makes of it now" in page
    assert "To Eva Example" not in page  # it is personal data, which is masked until it is asked for
    revealed = operator.post(address, {"reveal_reason": "ticket 7"}, on=address).text
    assert "To Eva Example" in revealed
    assert "&lt;p&gt;&amp;lt;i&amp;gt;hi" in revealed
    assert accounts.audit(account="oda", action="reveal")[0].user_ids == ("eva", "bo")
