"""An empty store on Postgres."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.support.stores import OnPostgres


@pytest.fixture(scope="module")
def migrated(new_database: Callable[[], str]) -> Iterator[OnPostgres]:
    subject = OnPostgres(new_database())
    yield subject
    subject.close()


@pytest.fixture
def subject(migrated: OnPostgres) -> OnPostgres:
    migrated.reset()
    return migrated
