"""Whatever the role, the database, the environment or the URL says: reads, writes, waits, the relay and the doctor
answer the same.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg import sql
from tests.support.databases import LendDatabase, administer, with_database
from tests.support.sessions.answers import all_answers, prepare

from rollbook_shared.database.session import make_session, open_async_session, open_session

ANSWERS: Final[Mapping[str, str]] = {
    "client_encoding": "LATIN1",
    "search_path": "public",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "datestyle": "German, DMY",
    "intervalstyle": "iso_8601",
    "timezone": "Asia/Kathmandu",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "gin_fuzzy_search_limit": "1",
    "exit_on_error": "on",
}
"""What is always ours."""
LIMITS: Final[Mapping[str, str]] = {
    "statement_timeout": "1",
    "lock_timeout": "1",
    "idle_in_transaction_session_timeout": "1",
    "idle_session_timeout": "1",
    "synchronous_commit": "off",
}
"""What a URL may say otherwise, and nothing else."""
OURS: Final[Mapping[str, str]] = {
    "client_encoding": "UTF8",
    "search_path": "pg_catalog,pg_temp",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "gin_fuzzy_search_limit": "0",
    "exit_on_error": "off",
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "5min",
    "idle_session_timeout": "0",
    "synchronous_commit": "local",
}


def make(url: str, **options: Any) -> Any:
    thirty, five = timedelta(seconds=30), timedelta(seconds=5)
    return make_session(url, application_name="tests", statement_timeout=thirty, lock_timeout=five, **options)


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


@pytest.mark.parametrize(("name", "value"), [("statement_timeout", "1234ms"), ("lock_timeout", "77ms")])
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
    assert "secret" not in repr(make_session("postgresql://u:secret@h/d", application_name="tests"))


def _alter(what: sql.Composed, setting: str, value: str) -> sql.Composed:
    listed = sql.SQL(value) if setting == "datestyle" else sql.Literal(value)
    return sql.SQL("ALTER {} SET {} = {}").format(what, sql.Identifier(setting), listed)


def _options(settings: Mapping[str, str]) -> str:
    return " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items())


def _with(url: str, settings: Mapping[str, str]) -> str:
    return f"{url}?options={quote(_options(settings))}"
