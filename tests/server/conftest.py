from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.server.running_server import RunningServer, run_server
from tests.support.templates import write_templates

from rollbook_delivery.templates import Renderer
from rollbook_ops.feed_templates import FolderFeedTemplates
from rollbook_server.settings import ServerSettings

REGISTRY = """
[channels."182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"]
type = "push"
provider = "fcm"

[workflows.comment]
channels = ["in_app", "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"]
categories = ["social"]

[channels.mail]
type = "email"
delivery = "claim"

[workflows.welcome]
channels = ["mail"]

[workflows.digest]

[workflows.noted]

[workflows.paused]
active = false

[events]
"Comment SentWrite" = "comment"
"""


@pytest.fixture(scope="module")
def server(database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    registry: Path = tmp_path_factory.mktemp("server") / "registry.toml"
    registry.write_text(REGISTRY)
    note = {"noted/in_app.html.liquid": "---\ntitle: For {{ recipient.name }}\n---\n<p>{{ data.text }}</p>"}
    templates = FolderFeedTemplates(Renderer(write_templates(registry.parent, note)))
    settings = ServerSettings(cors_origins=("https://app.example.com",))
    with run_server(database_url, broker_url, settings, registry=str(registry), templates=templates) as server:
        yield server


@pytest.fixture
def api(server: RunningServer) -> Iterator[httpx.Client]:
    """A backend's client."""
    with server.client() as client:
        yield client
    server.publisher.workers_are_away = server.publisher.broker_is_away = False
