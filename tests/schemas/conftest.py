"""Two Rollbooks in one database, each in a schema of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.databases import ELSEWHERE, OTHER_SCHEMA, ROLLBOOK, migrate
from tests.support.stores import OnPostgres


@pytest.fixture(scope="module")
def shared_url(database_url: str) -> str:
    """The database with both."""
    migrate(database_url, OTHER_SCHEMA)
    return database_url


@pytest.fixture(scope="module")
def both(shared_url: str) -> Iterator[tuple[OnPostgres, OnPostgres]]:
    pair = OnPostgres(shared_url, ROLLBOOK), OnPostgres(shared_url, ELSEWHERE)
    yield pair
    for each in pair:
        each.close()


@pytest.fixture
def here(both: tuple[OnPostgres, OnPostgres]) -> OnPostgres:
    """The one in the default schema, with nothing in it."""
    both[0].reset()
    return both[0]


@pytest.fixture
def there(both: tuple[OnPostgres, OnPostgres]) -> OnPostgres:
    """The other one, with nothing in it."""
    both[1].reset()
    return both[1]
