"""The roles of deploy/roles.sql in a database, and logins in them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg.sql import SQL, Identifier, Literal
from tests.support.repository import ROOT

ROLES_SQL: Final = ROOT / "deploy" / "roles.sql"

Login = Callable[[str], str]
"""Gives the URL of a login in one of the roles."""


@contextmanager
def logins(owner_url: str) -> Iterator[Login]:
    """Makes logins in the roles of a database; they end with the context."""
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
