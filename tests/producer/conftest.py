"""A client whose jobs the real store applies."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.support.producer.applied_jobs import Applied


@pytest.fixture
def applied(new_database: Callable[[], str]) -> Iterator[Applied]:
    applied = Applied(new_database())
    with applied.rb:
        yield applied
