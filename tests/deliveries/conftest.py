"""A database with deliveries, for the module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.deliveries import REGISTRY, DeliveryStore
from tests.support.delivery_case import Case

from rollbook import Rollbook


@pytest.fixture(scope="module")
def delivery_store(database_url: str) -> Iterator[DeliveryStore]:
    store = DeliveryStore(database_url)
    yield store
    store.close()


@pytest.fixture
def worker(delivery_store: DeliveryStore) -> DeliveryStore:
    """The store of a worker that has written nothing yet."""
    delivery_store.reset()
    return delivery_store


@pytest.fixture(scope="module")
def registry_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("registry") / "registry.toml"
    path.write_text(REGISTRY)
    return path


@pytest.fixture(scope="module")
def sender(delivery_store: DeliveryStore, registry_path: Path) -> Iterator[Rollbook]:
    with Rollbook(database_url=delivery_store.url, registry=str(registry_path)) as rb:
        yield rb


@pytest.fixture
def case(worker: DeliveryStore, sender: Rollbook, registry_path: Path) -> Case:
    case = Case(worker, sender, registry_path)
    case.identify("ann", email="ann@example.com", name="Ann", plan="pro")
    return case
