"""Processes with the least rights in Redis and Postgres, and servers that keep what they confirmed through a kill.

The former are of a Rollbook in another schema than the default one, so that its name in the code would not be found.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.brokers import broker_program
from tests.support.databases import OTHER_SCHEMA, migrate
from tests.support.privacy.acl_broker import AclBroker
from tests.support.privacy.roles import Login, logins, make_roles
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_ops.devstack import Servers


@pytest.fixture(scope="package")
def acl(starts_servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AclBroker]:
    """A broker with the users of deploy/redis.acl."""
    broker = AclBroker(broker_program(), tmp_path_factory.mktemp("acl"))
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def broker_url(acl: AclBroker) -> str:
    """The broker, emptied, as its administrator."""
    with acl.client() as client:
        client.flushdb()
    return acl.url("default")


@pytest.fixture(scope="module")
def database_url(elsewhere: str) -> str:
    """A database without the schema `rollbook`."""
    return elsewhere


@pytest.fixture(scope="module")
def login(database_url: str) -> Iterator[Login]:
    """The URL of a login in one of the roles of deploy/roles.sql."""
    make_roles(database_url, OTHER_SCHEMA)
    with logins(database_url) as login:
        yield login


@pytest.fixture
def rb(acl: AclBroker, login: Login) -> Iterator[Rollbook]:
    """A backend's client: it may publish and read."""
    with Rollbook(
        database_url=login(f"{OTHER_SCHEMA}_reader"), broker_url=acl.url("rollbook_publisher"), schema=OTHER_SCHEMA
    ) as rb:
        yield rb


@pytest.fixture
def workers(acl: AclBroker, login: Login, broker_url: str, tmp_path: Path) -> Iterator[Workers]:
    workers = least_rights_workers(acl, login, tmp_path)
    yield workers
    workers.stop()


@pytest.fixture(scope="module")
def shared_workers(
    acl: AclBroker, login: Login, broker_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workers]:
    workers = least_rights_workers(acl, login, tmp_path_factory.mktemp("workers"))
    workers.start()
    yield workers
    workers.stop()


def least_rights_workers(acl: AclBroker, login: Login, logs: Path) -> Workers:
    return Workers(
        login(f"{OTHER_SCHEMA}_worker"),
        acl.url("rollbook_worker"),
        logs,
        schema=OTHER_SCHEMA,
        operator_url=acl.url("rollbook_operator"),
    )


@pytest.fixture(scope="module")
def durable_servers(starts_servers: None) -> Iterator[Servers]:
    """Servers that keep what they confirmed through a kill; the test may stop them."""
    servers = Servers(durable=True, append_only=True, append_fsync="always", valkey_program=broker_program())
    with servers:
        yield servers


@pytest.fixture(scope="module")
def durable_database_url(durable_servers: Servers) -> str:
    migrate(durable_servers.database_url)
    return durable_servers.database_url


@pytest.fixture
def durable_workers(durable_servers: Servers, durable_database_url: str, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(durable_database_url, durable_servers.broker_url, tmp_path)
    yield workers
    workers.stop()


@pytest.fixture
def durable_rb(durable_servers: Servers, durable_database_url: str) -> Iterator[Rollbook]:
    with Rollbook(database_url=durable_database_url, broker_url=durable_servers.broker_url) as rb:
        yield rb
