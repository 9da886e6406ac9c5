"""Output of `rollbook feed`, `rollbook users merge --dry-run` and `rollbook users export` for people and as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from tests.support.builders import DAY, DAY_0, identify, mark, merge, set_preferences, trigger
from typer.testing import CliRunner, Result

from rollbook_ops.cli.app import app
from rollbook_ops.cli.output import out
from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import PostgresStore, ReceivedJob

RECENTLY: Final = (time.time_ns() // 1_000 - DAY_0) // DAY - 2
"""A day within the history that a merge transfers."""

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def filled(database_url: str) -> str:
    """A customer, a guest, and a user who wrote to both."""
    jobs: list[Job] = [
        identify("ann", at=1, name="Ann", plan="pro", address={"city": "Ulm"}, email="ann@example.com"),
        identify("guest", at=1, plan="free", address={"zip": 5, "city": "Bonn"}, phone_number="+14155550100", cart=[1]),
        identify("bo", at=1, name="Bo [b]"),
        set_preferences("guest", "acme", {"workflows": {"ads": False}}, at=1),
        trigger("comment", ["ann", "guest"], actor="bo", at=RECENTLY),
        trigger("digest", ["ann", "guest"], at=RECENTLY + 1, job="digest"),
        mark([message_id("digest", "ann", "in_app")], "read", at=RECENTLY + 1, plus=1),
        identify("former", at=1),
        merge("ann", "former", at=RECENTLY),
    ]
    store = PostgresStore(database_url)
    store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=time.time_ns() // 1_000)
    store.close()
    return database_url


@pytest.fixture
def run(filled: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("ROLLBOOK_DATABASE_URL", filled)
    monkeypatch.setenv("ROLLBOOK_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(out, "width", 200)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    return run


def lines(shown: Result) -> list[list[str]]:
    """The cells of each line of the tables."""
    return [[cell.strip() for cell in line.strip("│┃").split("│")] for line in shown.stdout.splitlines()]


def test_a_feed_is_a_table_with_its_counts(run: Run) -> None:
    shown = run("feed", "ann")

    assert shown.exit_code == 0
    assert "2 messages, 2 unseen, 1 unread" in shown.stdout
    assert [line[1:3] for line in lines(shown) if len(line) > 5] == [["digest", "-"], ["comment", "Bo [b]"]]


def test_a_feed_as_json_is_one_object(run: Run) -> None:
    feed = json.loads(run("feed", "ann", "--status", "unread", "--json").stdout)

    assert (feed["total"], feed["unread"]) == (2, 1)
    assert [(item["workflow"], item["actor"]["id"]) for item in feed["items"]] == [("comment", "bo")]


def test_a_feed_continues_after_a_page(run: Run) -> None:
    first = json.loads(run("feed", "ann", "--limit", "1", "--json").stdout)
    second = json.loads(run("feed", "ann", "--limit", "1", "--after", first["after"], "--json").stdout)

    assert [item["workflow"] for feed in (first, second) for item in feed["items"]] == ["digest", "comment"]
    assert second["after"] is None


def test_an_empty_feed_prints_counts_and_the_user_that_it_was_merged_into(run: Run) -> None:
    assert "0 messages" in run("feed", "unknown").stdout
    assert "former was merged into ann" in run("feed", "former").stderr


def test_rule_18_a_dry_run_shows_each_value_and_its_origin(run: Run) -> None:
    shown = run("users", "merge", "ann", "guest", "--dry-run")

    assert shown.exit_code == 0
    assert shown.stdout.startswith("guest becomes part of ann")
    cells = lines(shown)
    for line in (
        ["email", "ann@example.com", "ann"],
        ["name", "Ann", "ann"],
        ["phone_number", "+14155550100", "guest"],
        ["properties.plan", "pro", "ann"],
        ["properties.address.city", "Ulm", "ann"],
        ["properties.address.zip", "5", "guest"],
        ["properties.cart", "[1]", "guest"],
        # the values that are lost
        ["properties.address.city", "Ulm", "Bonn"],
        ["properties.plan", "pro", "free"],
    ):
        assert line in cells
    assert "Preference sets added: acme" in shown.stdout
    assert "History that moves: 2 messages and 2 activities." in shown.stdout
    assert "Nothing was written" in shown.stdout


@pytest.mark.parametrize(
    ("primary", "secondary", "effect"),
    [
        ("ann", "unknown", "unknown is not known. Its id would stand for ann"),
        ("bo", "former", "Nothing would change: former is already merged"),
    ],
)
def test_rule_18_a_dry_run_says_if_nothing_else_would_change(
    run: Run, primary: str, secondary: str, effect: str
) -> None:
    shown = run("users", "merge", primary, secondary, "--dry-run")

    assert shown.exit_code == 0
    assert effect in shown.stdout


def test_an_export_is_a_document_or_counts(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "ann.json"

    counted, written, printed = (
        run("users", "export", "former", *to) for to in ((), ("--output", str(file)), ("--json",))
    )

    assert [shown.exit_code for shown in (counted, written, printed)] == [0, 0, 0]
    assert ["ids", "ann, former"] in lines(counted)
    assert ["messages", "2"] in lines(counted)
    assert json.loads(file.read_text()) == json.loads(printed.stdout)
    assert json.loads(printed.stdout)["profile"]["attributes"]["name"] == "Ann"


def test_an_export_without_data_exits_with_1(run: Run) -> None:
    assert run("users", "export", "unknown").exit_code == 1
