"""`rollbook deliveries`: what the commands print, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.builders import user
from tests.support.deliveries import MAIL, REGISTRY, DeliveryStore
from typer.testing import CliRunner, Result

from rollbook.errors import DeliveryNotFound
from rollbook_ops.cli.app import app
from rollbook_shared import jobs

pytestmark = pytest.mark.servers


@pytest.fixture
def waiting(worker: DeliveryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a delivery that waits."""
    path = tmp_path / "registry.toml"
    path.write_text(REGISTRY)
    monkeypatch.setenv("ROLLBOOK_DATABASE_URL", worker.url)
    monkeypatch.setenv("ROLLBOOK_REGISTRY", str(path))
    ann = user("ann", email="ann@example.com")
    worker.apply(
        jobs.Trigger(
            id="hello", occurred_at=worker.now(), workflow="hello", recipients=(ann,), actor=None, channels=MAIL
        )
    )
    (row,) = worker.rows()
    return str(row["message_id"])


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["deliveries", *arguments])


def shown(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def test_list_and_get_show_no_address(waiting: str) -> None:
    assert [each["id"] for each in shown("list", "--user-id", "ann")["items"]] == [waiting]
    assert shown("list", "--state", "pending", "--channel", "mail")["items"] == [shown("get", waiting)]
    assert shown("list", "--state", "sent") == {"items": [], "after": None}
    for command in (("list", "--state", "pending"), ("get", waiting)):
        result = run(*command)
        assert (result.exit_code, "hello" in result.stdout, "example.com" in result.stdout) == (0, True, False)


def test_claim_shows_what_a_sender_gets(waiting: str) -> None:
    (claimed,) = shown("claim", "mail")["items"]

    assert (claimed["id"], claimed["address"], claimed["attempt"]) == (waiting, "ann@example.com", 1)
    assert "nothing to claim" in run("claim", "mail").output
    assert run("claim", "slack").exit_code == 1


def test_cancel_and_retry_say_whether_they_did_it(waiting: str) -> None:
    assert "cancelled" in run("cancel", waiting).stdout
    again = run("cancel", waiting)
    assert (again.exit_code, "not cancelled" in again.stderr) == (1, True)
    assert shown("retry", waiting) == {"id": waiting, "retried": True, "state": "pending"}
    assert run("retry", waiting).exit_code == 1


def test_an_unknown_id_is_said_to_be_unknown(waiting: str) -> None:
    result = run("get", "00000000-0000-0000-0000-000000000000")

    assert isinstance(result.exception, DeliveryNotFound)  # printed as one line by the command line itself
