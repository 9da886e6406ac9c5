"""What a registry adds to the pages of users: deliveries with their attempts, and the workflows that may be tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.console.visitors import CONSOLE, Visitor
from tests.support.server.running_server import RunningServer, run_server

from rollbook_server.settings import ServerSettings

REGISTRY = """
[channels.mail]
type = "email"
delivery = "claim"

[workflows.welcome]
channels = ["mail"]
categories = ["news"]

[workflows.paused]
active = false
"""


@pytest.fixture(scope="module")
def server(database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    registry: Path = tmp_path_factory.mktemp("console") / "registry.toml"
    registry.write_text(REGISTRY)
    with run_server(database_url, broker_url, ServerSettings(), registry=str(registry), console=CONSOLE) as server:
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
