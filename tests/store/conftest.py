"""One contract for every store: each test that asks for a `subject` runs on all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from tests.support.citus import CITUS_URL
from tests.support.databases import ELSEWHERE
from tests.support.stores import InMemory, OnPostgres, Subject

from rollbook_ops.devstack import Servers


@pytest.fixture(scope="module")
def on_postgres(database_url: str) -> Iterator[OnPostgres]:
    subject = OnPostgres(database_url)
    yield subject
    subject.close()


@pytest.fixture(scope="module")
def on_postgres_elsewhere(elsewhere: str) -> Iterator[OnPostgres]:
    subject = OnPostgres(elsewhere, ELSEWHERE)
    yield subject
    subject.close()


_SUBJECTS = [
    "memory",
    pytest.param("postgres", marks=pytest.mark.servers),
    *([pytest.param("citus", marks=pytest.mark.servers)] if CITUS_URL else []),
]


@pytest.fixture(params=_SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Subject:
    """A store that keeps nothing yet."""
    if request.param == "memory":
        return InMemory()
    on_server: OnPostgres = request.getfixturevalue(f"on_{request.param}")
    on_server.reset()
    return on_server


@pytest.fixture
def own_empty_database(servers: Servers) -> Iterator[str]:
    """A database in which nothing is yet."""
    name = f"rollbook_empty_{os.getpid()}"
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        yield urlsplit(servers.database_url)._replace(path=f"/{name}").geturl()
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that are executed, each by its first line."""
    executed: list[str] = []
    execute = psycopg.Cursor.execute

    def note(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        executed.append(str(query).splitlines()[0])
        return execute(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", note)
    return executed
