"""Real workers on a database and a broker of the module, and a listener to their events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.batching.stack import BatchingStack
from tests.support.event_listener import EventListener


@pytest.fixture
def stack(broker_url: str, database_url: str, tmp_path: Path) -> Iterator[BatchingStack]:
    stack = BatchingStack(broker_url, database_url, tmp_path)
    yield stack
    stack.close()


@pytest.fixture
def events(broker_url: str) -> Iterator[EventListener]:
    with EventListener(broker_url) as events:
        yield events
