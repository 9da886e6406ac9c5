"""A client whose jobs the real store applies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.databases import Databases
from tests.support.event_loops import CLIENTS
from tests.support.producer.applied_jobs import Applied, AppliedClients


@pytest.fixture(scope="module")
def applied_clients(databases: Databases) -> Iterator[AppliedClients]:
    clients = AppliedClients(databases)
    yield clients
    clients.close()


@pytest.fixture(params=CLIENTS)
def applied(request: pytest.FixtureRequest, applied_clients: AppliedClients) -> Iterator[Applied]:
    """Each test that uses it runs with both clients, and finds an empty database."""
    with applied_clients.lend(request.param) as applied:
        yield applied
