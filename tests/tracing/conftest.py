"""Spans that an SDK records of ours, in this process and in workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests.support.brokers import connect_to_broker
from tests.support.tracing.spans import RecordedSpans, WrittenSpans

from rollbook_shared.observability import tracing


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> RecordedSpans:
    """As if the application had set up an SDK; for this test only, which the API's own setting could not be."""
    recorded = RecordedSpans()
    monkeypatch.setattr(tracing, "_tracer", recorded.tracer)
    return recorded


@pytest.fixture
def written(tmp_path: Path) -> WrittenSpans:
    return WrittenSpans(tmp_path / "spans")


@pytest.fixture
def client(broker_url: str) -> Iterator[redis.Redis]:
    with connect_to_broker(broker_url) as client:
        client.flushdb()
        yield client
