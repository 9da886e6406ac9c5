"""A client for the setup of tests, whose jobs the real store applies at the end of its block."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rollbook import Rollbook
from rollbook.testing import RecordingPublisher
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import PostgresStore, ReceivedJob


@contextmanager
def applying(database_url: str) -> Iterator[Rollbook]:
    """Send jobs; they are applied when the block ends."""
    publisher = RecordingPublisher()
    with Rollbook(database_url=database_url, publisher=publisher) as rb:
        yield rb
    store = PostgresStore(database_url)
    store.apply([ReceivedJob.of(encode(job)) for job in publisher.sent], now=time.time_ns() // 1_000)
    store.close()
