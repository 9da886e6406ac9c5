"""A migrated database with the roles of deploy/roles.sql, and a login of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from tests.support.privacy.roles import Login, logins, make_roles

from rollbook.outbox import create_table


@pytest.fixture(scope="module")
def owner_url(new_database: Callable[[], str]) -> str:
    """The database's owner, who has run the file twice, with an outbox and a table of the application's beside."""
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        create_table(connection.execute)
        connection.execute("CREATE TABLE accounts (id text PRIMARY KEY)")
    for _ in range(2):
        make_roles(url)
    return url


@pytest.fixture(scope="module")
def login(owner_url: str) -> Iterator[Login]:
    """The URL of a login in one of the roles."""
    with logins(owner_url) as login:
        yield login
