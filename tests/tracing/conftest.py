"""What an SDK makes of our spans, in this process; and what workers with one have written down of theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
import redis
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer
from tests.acceptance.conftest import Workers

from rollbook import Rollbook
from rollbook_shared.observability import tracing


class Recorded:
    """The spans of this process that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer: Tracer = provider.get_tracer("test")

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """As if the application had set up an SDK; for this test only, which the API's own setting could not be."""
    recorded = Recorded()
    monkeypatch.setattr(tracing, "_tracer", recorded.tracer)
    return recorded


def parent_of_children(span: ReadableSpan) -> str:
    """The header that makes another process' span a child of this one."""
    assert span.context is not None
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"


class Written:
    """The spans that a worker has written down."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        # the last line may be half written
        return [json.loads(line) for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.all() if span["name"] == name]

    def of_job(self, job_id: str) -> list[dict[str, Any]]:
        return [span for span in self.all() if span["attributes"].get("messaging.message.id") == job_id]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path / "spans")


@pytest.fixture
def workers(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(database_url, broker_url, tmp_path)
    yield workers
    workers.stop()


@pytest.fixture
def client(broker_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker_url) as client:
        client.flushdb()
        yield client


@pytest.fixture
def rb(broker_url: str, database_url: str) -> Iterator[Rollbook]:
    with Rollbook(broker_url=broker_url, database_url=database_url) as rb:
        yield rb


@pytest.fixture
def backend_url(new_database: Any) -> str:
    """The application's database, with an empty outbox."""
    from rollbook.publishing.outbox import create_table

    url = cast("str", new_database())
    with psycopg.connect(url) as connection:
        create_table(lambda statement: connection.execute(statement.encode()))
    return url
