"""Real workers on a database and a broker of the module's own, and somebody who listens to their events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.batching.site import EventListener, Site


@pytest.fixture
def site(broker_url: str, database_url: str, tmp_path: Path) -> Iterator[Site]:
    site = Site(broker_url, database_url, tmp_path)
    yield site
    site.close()


@pytest.fixture
def watching(broker_url: str) -> Iterator[EventListener]:
    with EventListener(broker_url) as watching:
        yield watching
