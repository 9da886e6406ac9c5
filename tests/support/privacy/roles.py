"""The roles of deploy/roles.sql in a database, and logins in them."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg.sql import SQL, Identifier, Literal
from tests.support.repository import ROOT

from rollbook_ops.devstack.binaries import find_postgres
from rollbook_shared.database.schema import DEFAULT_SCHEMA

ROLES_SQL: Final = ROOT / "deploy" / "roles.sql"

Login = Callable[[str], str]
"""Gives the URL of a login in one of the roles."""


def make_roles(owner_url: str, schema: str = DEFAULT_SCHEMA) -> None:
    """Make the roles of the Rollbook in this schema, as an operator does."""
    _run(owner_url, schema, ROLES_SQL.read_text())


def grant_outbox(owner_url: str) -> None:
    """Run what the file has for the application's database, as its owner, who may make no roles."""
    names, _, rest = ROLES_SQL.read_text().partition("-- One: ")
    _run(owner_url, DEFAULT_SCHEMA, names + "-- Two: " + rest.partition("-- Two: ")[2])


def _run(url: str, schema: str, statements: str) -> None:
    psql = [str(find_postgres() / "psql"), url, "--no-psqlrc", "--quiet", "--single-transaction", "--file", "-"]
    done = subprocess.run([*psql, "--set", f"schema={schema}"], input=statements, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


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
