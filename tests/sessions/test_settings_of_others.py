"""Whatever the role, the database, the environment or the URL says: reads, writes, waits, the relay and the doctor
answer the same.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg import sql
from tests.support.databases import LendDatabase, administer, with_database
from tests.support.sessions.answers import all_answers, prepare
from tests.support.sessions.settings import ANSWERS, LIMITS, OURS, make

from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.session import make_session, open_async_session, open_session


def in_force(url: str, **options: Any) -> dict[str, str]:
    with open_session(make(url, **options), psycopg.Connection) as connection:
        return {name: connection.execute(f"SHOW {name}".encode()).fetchone()[0] for name in OURS}  # type: ignore[index]


@pytest.fixture(scope="module")
def ordinary(new_database: LendDatabase) -> dict[str, Any]:
    """What is answered where nothing is set."""
    url = new_database()
    prepare(url)
    return all_answers(url)


@pytest.fixture(params=["role", "database", "environment", "url"])
def place(request: pytest.FixtureRequest) -> str:
    """Where the settings are."""
    place: str = request.param
    return place


@pytest.fixture
def others(place: str, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a database with every setting the other way round."""
    url = fresh_database_url
    name = urlsplit(url).path[1:]
    server = with_database(url, "postgres")
    settings = {**ANSWERS, **(LIMITS if place != "url" else {})}
    match place:
        case "database":
            for setting, value in settings.items():
                administer(server, _alter(sql.SQL("DATABASE {}").format(sql.Identifier(name)), setting, value))
            try:
                yield url
            finally:
                administer(server, sql.SQL("ALTER DATABASE {} RESET ALL").format(sql.Identifier(name)))
        case "role":
            role, password = f"role_{secrets.token_hex(4)}", secrets.token_hex(8)
            create = sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}")
            administer(server, create.format(sql.Identifier(role), sql.Literal(password)))
            for setting, value in settings.items():
                administer(server, _alter(sql.SQL("ROLE {}").format(sql.Identifier(role)), setting, value))
            parts = urlsplit(url)
            try:
                yield parts._replace(netloc=f"{role}:{password}@{parts.hostname}:{parts.port}").geturl()
            finally:
                administer(url, sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(sql.Identifier(role)))
                administer(server, sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
        case "environment":
            monkeypatch.setenv("PGOPTIONS", _options(settings))
            monkeypatch.setenv("PGCLIENTENCODING", "EUC_JP")
            monkeypatch.setenv("PGDATESTYLE", "SQL, DMY")
            monkeypatch.setenv("PGTZ", "Pacific/Apia")
            yield url
            monkeypatch.undo()
        case _:
            yield f"{_with(url, settings)}&client_encoding=EUC_JP"


def test_every_answer_is_the_same(others: str, ordinary: dict[str, Any]) -> None:
    prepare(others)

    answers = all_answers(others)

    assert answers == ordinary


def test_each_setting_is_ours(others: str) -> None:
    assert in_force(others) == OURS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("statement_timeout", "1234ms"),
        ("lock_timeout", "77ms"),
        ("tcp_user_timeout", "7000"),
        ("tcp_keepalives_idle", "7"),
        ("tcp_keepalives_interval", "7"),
        ("tcp_keepalives_count", "7"),
    ],
)
def test_a_timeout_of_the_url_wins(database_url: str, name: str, value: str) -> None:
    assert in_force(_with(database_url, {name: value}))[name] == value


@pytest.mark.parametrize("option", ["-c synchronous_commit", "-csynchronous_commit", "--synchronous-commit"])
def test_commits_that_do_not_last_are_the_choice_of_a_url_alone(database_url: str, option: str) -> None:
    assert in_force(f"{database_url}?options={quote(option)}%3Doff")["synchronous_commit"] == "off"


@pytest.mark.parametrize("value", ["local", "remote_write", "on", "remote_apply"])
def test_commits_that_last_longer_stay_so(database_url: str, value: str) -> None:
    name = urlsplit(database_url).path[1:]
    administer(database_url, _alter(sql.SQL("DATABASE {}").format(sql.Identifier(name)), "synchronous_commit", value))
    try:
        assert in_force(database_url)["synchronous_commit"] == value
    finally:
        administer(database_url, sql.SQL("ALTER DATABASE {} RESET ALL").format(sql.Identifier(name)))


@pytest.mark.parametrize("attributes", ["any", "read-write", "primary", "prefer-standby"])
def test_a_session_that_only_reads_finds_the_server_that_the_url_asks_for(database_url: str, attributes: str) -> None:
    found = in_force(f"{database_url}?target_session_attrs={attributes}", is_read_only=True)

    assert found["default_transaction_read_only"] == "on"


def test_an_asynchronous_session_has_the_same_settings(database_url: str) -> None:
    async def found() -> dict[str, str]:
        async with await open_async_session(make(database_url), psycopg.AsyncConnection) as connection:
            cursors = {name: await connection.execute(f"SHOW {name}".encode()) for name in OURS}
            return {name: (await cursor.fetchone())[0] for name, cursor in cursors.items()}  # type: ignore[index]

    assert asyncio.run(found()) == in_force(database_url)


def test_a_session_does_not_show_the_password() -> None:
    session = make_session("postgresql://u:secret@h/d", application_name="tests", schema=DEFAULT_SCHEMA)

    assert "secret" not in repr(session)


def _alter(what: sql.Composed, setting: str, value: str) -> sql.Composed:
    listed = sql.SQL(value) if setting == "datestyle" else sql.Literal(value)
    return sql.SQL("ALTER {} SET {} = {}").format(what, sql.Identifier(setting), listed)


def _options(settings: Mapping[str, str]) -> str:
    return " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items())


def _with(url: str, settings: Mapping[str, str]) -> str:
    return f"{url}?options={quote(_options(settings))}"
