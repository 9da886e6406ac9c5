"""The example that sends: real workers, `rollbook deliver`, and a real mail server."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from tests.support.examples.backends import EXAMPLES
from tests.support.senders.mail_server import MailServer, mail_server
from tests.support.waits import wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_delivery.templates import Renderer

FOLDER = EXAMPLES / "notify"


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def client(
    database_url: str, broker_url: str, tmp_path: Path, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rollbook]:
    """The example's client, beside a worker and what delivers."""
    registry = tmp_path / "registry.toml"
    registry.write_text((FOLDER / "registry.toml").read_text().replace("8025", str(mail.port)))
    monkeypatch.setenv("ROLLBOOK_REGISTRY", str(registry))
    monkeypatch.setenv("ROLLBOOK_TEMPLATES", str(FOLDER / "templates"))
    monkeypatch.setenv("ROLLBOOK_DATABASE_URL", database_url)
    monkeypatch.setenv("ROLLBOOK_BROKER_URL", broker_url)
    workers = Workers(database_url, broker_url, tmp_path)
    workers.spawn_python("deliver", "-m", "rollbook_ops.cli", "deliver")
    workers.start()
    with Rollbook.from_env() as rb:
        yield rb
    workers.stop()


@pytest.fixture(scope="module")
def notify() -> ModuleType:
    """The example's program, as a module."""
    spec = importlib.util.spec_from_file_location("notify", FOLDER / "notify.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_product_sends(
    client: Rollbook, notify: ModuleType, mail: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    renderer = Renderer(FOLDER / "templates")

    def pushed() -> str:
        notify.push(client, renderer)
        return capsys.readouterr().out

    command = [sys.executable, "notify.py", "sign-up", "ann", "ann@example.com", "Ann <A>"]
    subprocess.run(command, cwd=FOLDER, env=os.environ, check=True)
    wait_until(lambda: mail.mails, what="the welcome")
    (welcome,) = mail.mails
    assert (welcome["To"], welcome["Subject"]) == ('"Ann <A>" <ann@example.com>', "Welcome, Ann <A>")
    text, html = (welcome.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert text.get_content().startswith("Welcome, Ann <A>! You joined on ")
    assert "<h1>Welcome, Ann &lt;A&gt;</h1>" in html.get_content()

    notify.comment(client, "bo", "ann", "Nice!")
    assert pushed() == "phone-of-ann: A guest answered you: Nice!\n"
    assert pushed() == "", "what was sent is not sent again"

    client.users.identify("guest_9", {"name": "Guest"}).wait()
    notify.comment(client, "bo", "guest_9", "Before the merge")
    client.users.merge("ann", "guest_9").wait()
    assert pushed() == "phone-of-ann: A guest answered you: Before the merge\n"

    notify.mute(client, "ann")
    notify.comment(client, "bo", "ann", "Quiet")
    assert pushed() == "", "the opt-out holds"
    assert [message.data["text"] for message in client.feeds.list("ann").items][:2] == ["Quiet", "Before the merge"]
