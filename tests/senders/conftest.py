"""A sink for webhooks, for the module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.senders.http_sink import HttpSink, http_sink


@pytest.fixture(scope="module")
def shared_sink() -> Iterator[HttpSink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture
def sink(shared_sink: HttpSink) -> HttpSink:
    """The sink, which has got nothing yet and takes what comes."""
    shared_sink.reset()
    return shared_sink
