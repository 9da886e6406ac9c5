"""A migrated database with the roles of deploy/roles.sql, and a login of each."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal
from tests.support.privacy.roles import Login
from tests.support.repository import ROOT

from rollbook.outbox import create_table

ROLES_SQL = ROOT / "deploy" / "roles.sql"


@pytest.fixture(scope="module")
def owner_url(new_database: Callable[[], str]) -> str:
    """The database's owner, who has run the file twice, with an outbox and a table of the application's beside."""
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        create_table(connection.execute)
        connection.execute("CREATE TABLE accounts (id text PRIMARY KEY)")
        for _ in range(2):
            connection.execute(ROLES_SQL.read_bytes())
    return url


@pytest.fixture(scope="module")
def login(owner_url: str) -> Iterator[Login]:
    """The URL of a login in one of the roles."""
    made: list[str] = []
    with psycopg.connect(owner_url, autocommit=True) as connection:

        def make(role: str) -> str:
            name, password = f"login_{secrets.token_hex(6)}", secrets.token_hex(16)
            statement = SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}")
            connection.execute(statement.format(Identifier(name), Literal(password), Identifier(role)))
            made.append(name)
            parts = urlsplit(owner_url)
            return parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port}").geturl()

        yield make
        for name in made:
            connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))
