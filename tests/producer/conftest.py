"""A client whose jobs the real store applies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.producer.applied_jobs import Applied


@pytest.fixture
def applied(fresh_database_url: str) -> Iterator[Applied]:
    applied = Applied(fresh_database_url)
    with applied.rb:
        yield applied
