"""Stores with short timeouts, locked databases, and a server that a test may freeze."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest
from tests.support.databases import migrate
from tests.support.timeouts.frozen_servers import SHORT

from rollbook_ops.devstack import Servers
from rollbook_worker.store import PostgresStore


@pytest.fixture
def store_with_short_timeouts() -> Callable[[str], PostgresStore]:
    """A store that waits for nothing for long."""
    return lambda url: PostgresStore(url, lock_timeout=SHORT, statement_timeout=2 * SHORT)


@pytest.fixture
def locked(database_url: str) -> Callable[[str], AbstractContextManager[None]]:
    """Another transaction that holds a lock on what the statement names."""

    @contextmanager
    def lock(statement: str) -> Iterator[None]:
        with psycopg.connect(database_url) as other:
            other.execute(statement.encode())
            yield

    return lock


@pytest.fixture(scope="module")
def own_database_url(own_servers: Servers) -> str:
    """A migrated database on the server that the module may freeze."""
    migrate(own_servers.database_url)
    return own_servers.database_url
