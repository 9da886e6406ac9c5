"""The Python of the README and of docs/ runs, page by page from top to bottom, and prints what its comments say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
import pytest
import sqlalchemy
import sqlalchemy.orm
from tests.support.databases import delete_rows
from tests.support.documentation import PAGES, blocks
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook.outbox import DROP_TABLE
from rollbook.testing import RecordingRollbook

RUN = [page for page in PAGES if any(block.is_run for block in blocks(page, "python"))]
BLOCKS = [(block.page, at) for page in PAGES for at, block in enumerate(blocks(page, "python"))]


@pytest.fixture(scope="module")
def running(database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """A worker and maintenance, for all pages."""
    workers = Workers(database_url, broker_url, tmp_path_factory.mktemp("workers"))
    workers.start()
    workers.start_maintenance()
    yield workers
    workers.stop()


@pytest.fixture
def names(
    running: Workers, database_url: str, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """What a page may use without having made it: a client, and an engine of the application's own database."""
    monkeypatch.setenv("ROLLBOOK_DATABASE_URL", database_url)
    monkeypatch.setenv("ROLLBOOK_BROKER_URL", broker_url)
    with psycopg.connect(database_url) as connection:
        delete_rows(connection)
        connection.execute("DROP TABLE IF EXISTS accounts")
        connection.execute("CREATE TABLE accounts (id text PRIMARY KEY)")
        drop_outbox(connection)
    engine = sqlalchemy.create_engine(database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string(hide_password=False))
    with Rollbook.from_env() as rb:
        yield {"rb": rb, "engine": engine, "sqlalchemy": sqlalchemy}
    engine.dispose()


def drop_outbox(connection: psycopg.Connection[Any]) -> None:
    for statement in DROP_TABLE:
        connection.execute(statement.encode())


def reuse_an_id(names: Mapping[str, Any]) -> None:
    """A dead letter, for the page about them."""
    names["rb"].users.identify("ann", {"plan": "pro"}, job_id="reused").wait()
    names["rb"].users.identify("ann", {"plan": "team"}, job_id="reused")
    while not names["rb"].jobs.list_dead_letters().items:
        names["rb"].users.identify("bo").wait()


PREPARED: Mapping[str, Callable[[Mapping[str, Any]], None]] = {"docs/how-to/dead-letters.md": reuse_an_id}
"""What must be there before a page runs."""


@pytest.mark.parametrize("page", RUN)
def test_page_runs(page: str, names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    if prepare := PREPARED.get(page):
        prepare(names)
    capsys.readouterr()

    for block in blocks(page, "python"):
        if block.is_run:
            exec(compile(block.text, page, "exec"), names)

    assert capsys.readouterr().out.splitlines() == promised_output(page)


def test_the_readme_and_the_tutorials_print_what_they_say_one_after_the_other(
    names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A new reader goes through them with one `./run up`, so none may change the users of another."""
    capsys.readouterr()
    for page in ("README.md", "docs/tutorials/first-user.md", "docs/tutorials/guest-becomes-customer.md"):
        for block in blocks(page, "python"):
            exec(compile(block.text, page, "exec"), names)

        assert capsys.readouterr().out.splitlines() == promised_output(page)


def promised_output(page: str) -> list[str]:
    """What the comments after each `print` say."""
    run = "".join(block.text for block in blocks(page, "python") if block.is_run)
    return re.findall(r"print\(.*\)  # (.*)$", run, re.MULTILINE)


@pytest.mark.parametrize(("page", "at"), BLOCKS)
def test_block_is_python(page: str, at: int) -> None:
    compile(blocks(page, "python")[at].text, page, "exec")


def test_outbox_page_leaves_jobs_in_the_outbox(names: dict[str, Any], database_url: str) -> None:
    for block in blocks("docs/how-to/outbox.md", "python"):
        exec(compile(block.text, "outbox.md", "exec"), names)

    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT kind FROM rollbook_outbox").fetchall() == [("identify",)]
        assert connection.execute("SELECT id FROM accounts ORDER BY id").fetchall() == [("cy",), ("di",)]


def test_test_page_shows_a_test_that_passes(names: dict[str, Any]) -> None:
    for block in blocks("docs/how-to/test-your-application.md", "python"):
        exec(compile(block.text, "test-your-application.md", "exec"), names)

    names["test_sign_up_identifies_the_user"](RecordingRollbook())


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "json")])
def test_json_can_be_read(page: str) -> None:
    for block in blocks(page, "json"):
        decoder, text = json.JSONDecoder(), block.text.strip()
        while text:
            _, end = decoder.raw_decode(text)
            text = text[end:].lstrip()


def test_most_pages_with_python_are_run() -> None:
    assert len(RUN) >= 9
