"""Real servers for the whole suite: one Postgres and one Valkey a session, a database and a broker of its own a module.

ROLLBOOK_TEST_DATABASE_URL and ROLLBOOK_TEST_BROKER_URL name servers to use instead. Ours can be stopped and killed by
fault tests: those ask for `own_servers`, which nobody else uses. ROLLBOOK_TEST_BROKER_PROGRAM names the program that is
started as broker for those too, such as `redis-server`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count, cycle
from pathlib import Path

import pytest
from psycopg.sql import SQL, Identifier
from tests.support.brokers import broker_program, connect_to_broker
from tests.support.databases import administer, drop_database, migrate, with_database
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_ops.devstack import Servers

_numbers = count(1)
# 0 is left alone in a server that is not ours.
_broker_databases = cycle(range(1, 16))


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """One Postgres and one Valkey for the session; not to be stopped by tests."""
    with Servers(
        database_url=os.environ.get("ROLLBOOK_TEST_DATABASE_URL"),
        broker_url=os.environ.get("ROLLBOOK_TEST_BROKER_URL"),
        durable=False,
        valkey_program=broker_program(),
    ) as servers:
        yield servers


@pytest.fixture(scope="module")
def own_servers() -> Iterator[Servers]:
    """A Postgres and a Valkey of the module's own, to stop, kill and restart. Valkey keeps its jobs on disk."""
    with Servers(durable=False, append_only=True, valkey_program=broker_program()) as servers:
        yield servers


@pytest.fixture(scope="session")
def migrated_template(servers: Servers) -> Iterator[str]:
    """The name of a migrated database that others are copied from."""
    name = f"rollbook_template_{os.getpid()}"
    administer(servers.database_url, SQL("CREATE DATABASE {}").format(Identifier(name)))
    try:
        migrate(with_database(servers.database_url, name))
        yield name
    finally:
        drop_database(servers.database_url, name)


@pytest.fixture(scope="module")
def new_database(servers: Servers, migrated_template: str) -> Iterator[Callable[[], str]]:
    """Make migrated, empty databases: each call gives the URL of another."""
    names: list[str] = []

    def make() -> str:
        name = f"rollbook_test_{os.getpid()}_{next(_numbers)}"
        administer(
            servers.database_url,
            SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(migrated_template)),
        )
        names.append(name)
        return with_database(servers.database_url, name)

    yield make
    for name in names:
        drop_database(servers.database_url, name)


@pytest.fixture(scope="module")
def database_url(new_database: Callable[[], str]) -> str:
    """The module's own database, migrated and empty."""
    return new_database()


@pytest.fixture(scope="module")
def broker_url(servers: Servers) -> str:
    """The module's own broker: a numbered database of the session's Valkey, emptied."""
    url = with_database(servers.broker_url, str(next(_broker_databases)))
    with connect_to_broker(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def workers(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Workers]:
    """Starts workers on the module's database and broker; they end with the test."""
    workers = Workers(database_url, broker_url, tmp_path)
    yield workers
    workers.stop()


@pytest.fixture
def rb(database_url: str, broker_url: str) -> Iterator[Rollbook]:
    """A client of the module's database and broker."""
    with Rollbook(database_url=database_url, broker_url=broker_url) as rb:
        yield rb
