"""`rollbook channels` and `rollbook workflows`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rollbook_ops.cli.app import app

FILE = """
[channels.mail]
type = "email"
delivery = "smtp"
max_age = "10m"
[channels.mail.options]
host = "mail.example.com"
[workflows.welcome]
channels = ["in_app", "mail"]
priority = "high"
"""


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    path = tmp_path / "registry.toml"
    path.write_text(FILE)
    monkeypatch.setenv("ROLLBOOK_REGISTRY", str(path))
    return CliRunner()


def test_channels_are_shown_without_the_options_of_their_senders(runner: CliRunner) -> None:
    text = runner.invoke(app, ["channels"])
    shown = runner.invoke(app, ["channels", "--json"])

    assert text.exit_code == 0
    assert "mail" in text.output
    assert "smtp" in text.output
    assert "10m" in text.output
    assert "example.com" not in text.output + shown.output
    mail, in_app = json.loads(shown.output)["items"]
    assert (mail["key"], mail["needs"], mail["max_age"]) == ("mail", "email", 600)
    assert in_app == {"key": "in_app", "type": "in_app", "provider": None, "delivery": None}


def test_workflows_are_shown(runner: CliRunner) -> None:
    text = runner.invoke(app, ["workflows"])
    shown = runner.invoke(app, ["workflows", "--json"])

    assert "welcome" in text.output
    assert json.loads(shown.output)["items"] == [
        {"key": "welcome", "channels": ["in_app", "mail"], "categories": [], "priority": "high", "active": True}
    ]
