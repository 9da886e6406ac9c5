"""A trace continues through the rows of the outbox and the relay, also with tables that have no column for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import psycopg
import pytest
import redis
from celery import signals
from opentelemetry.trace import SpanKind, StatusCode
from psycopg.rows import dict_row
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from tests.support.tracing.spans import RecordedSpans, parent_of_children

from rollbook import NotConfigured, Rollbook
from rollbook.outbox import create_table, drop_table
from rollbook.publishing.direct import DirectPublisher
from rollbook_ops.relay.finished_jobs import FinishedJobs
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_ops.relay.relay import Relay
from rollbook_shared.observability import tracing

OLD_INSERT = "INSERT INTO rollbook_outbox (id, digest, kind, body) VALUES ('old', 'x', 'identify', '{}')"


@pytest.fixture
def relay(backend_url: str, broker_url: str, database_url: str, client: redis.Redis) -> Iterator[Relay]:
    relay = Relay(
        OutboxTable(backend_url), DirectPublisher(broker_url), FinishedJobs(database_url), resend=timedelta(seconds=60)
    )
    yield relay
    relay.close()


@pytest.fixture
def from_before(backend_url: str) -> None:
    """The table as it was before there were traces."""
    with psycopg.connect(backend_url) as connection:
        connection.execute("ALTER TABLE rollbook_outbox DROP COLUMN trace")


@contextmanager
def with_psycopg(url: str) -> Iterator[Any]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        yield connection


@contextmanager
def with_session(url: str) -> Iterator[Any]:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with Session(engine) as session, session.begin():
        yield session
    engine.dispose()


transactions = pytest.mark.parametrize("transaction", [with_psycopg, with_session], ids=["psycopg", "sqlalchemy"])
Transaction = Callable[[str], Any]


def traceparents(url: str) -> dict[str, str | None]:
    with psycopg.connect(url) as connection:
        return dict(connection.execute("SELECT id, trace FROM rollbook_outbox").fetchall())


def parents(client: redis.Redis) -> dict[str, str | None]:
    items = [json.loads(item)["headers"] for item in cast("list[bytes]", client.lrange("default", 0, -1))]
    return {headers["id"]: headers.get("traceparent") for headers in items}


@transactions
def test_the_span_of_the_relay_is_a_child_of_that_of_the_write(
    recorded: RecordedSpans, rb: Rollbook, backend_url: str, relay: Relay, client: redis.Redis, transaction: Transaction
) -> None:
    with recorded.tracer.start_as_current_span("request") as request, transaction(backend_url) as own:
        rb.outbox(own).users.identify("ann", {"plan": "pro"}, job_id="j1")
    (written,) = recorded.named("create rollbook.identify")
    assert written.kind is SpanKind.PRODUCER
    assert written.parent == request.get_span_context()
    assert traceparents(backend_url) == {"j1": parent_of_children(written)}

    relay.send()

    (sent,) = recorded.named("send rollbook.identify")
    assert sent.parent is not None
    assert written.context is not None
    assert (sent.parent.trace_id, sent.parent.span_id) == (written.context.trace_id, written.context.span_id)
    assert parents(client) == {"j1": parent_of_children(sent)}


def test_a_relay_without_tracing_passes_the_trace_on(
    recorded: RecordedSpans,
    monkeypatch: pytest.MonkeyPatch,
    rb: Rollbook,
    backend_url: str,
    relay: Relay,
    client: redis.Redis,
) -> None:
    with psycopg.connect(backend_url) as own:
        rb.outbox(own).users.identify("ann", job_id="j1")
    monkeypatch.setattr(tracing, "_tracer", None)
    with psycopg.connect(backend_url) as own:
        rb.outbox(own).users.identify("bo", job_id="j2")

    assert relay.send() == 2

    (written,) = recorded.all()
    assert parents(client) == {"j1": parent_of_children(written), "j2": None}


def test_a_tracer_of_celery_signals_in_the_relay_continues_the_trace(
    recorded: RecordedSpans, rb: Rollbook, backend_url: str, relay: Relay, client: redis.Redis
) -> None:
    with psycopg.connect(backend_url) as own:
        rb.outbox(own).users.identify("ann", job_id="j1")

    def theirs(headers: dict[str, Any], **_: Any) -> None:
        with recorded.tracer.start_as_current_span("theirs") as span:
            tracing.inject_trace(headers, tracing.serialize_span(span) or "")

    signals.before_task_publish.connect(theirs)
    try:
        relay.send()
    finally:
        signals.before_task_publish.disconnect(theirs)

    (written,), (their,) = recorded.named("create rollbook.identify"), recorded.named("theirs")
    assert their.context is not None
    assert written.context is not None
    assert their.context.trace_id == written.context.trace_id
    assert parents(client) == {"j1": parent_of_children(their)}
    assert recorded.named("send rollbook.identify") == []


def test_a_failed_write_is_a_failed_span(recorded: RecordedSpans, rb: Rollbook, backend_url: str) -> None:
    with psycopg.connect(backend_url) as own:
        drop_table(lambda statement: own.execute(statement.encode()))
        with pytest.raises(NotConfigured):
            rb.outbox(own).users.identify("ann", {"email": "ann@example.com"})
        own.rollback()

    (span,) = recorded.named("create rollbook.identify")
    assert span.status.status_code is StatusCode.ERROR
    assert "ann@example.com" not in span.to_json()


@transactions
@pytest.mark.usefixtures("from_before")
def test_a_table_without_the_trace_column_ends_the_trace(
    recorded: RecordedSpans, rb: Rollbook, backend_url: str, relay: Relay, client: redis.Redis, transaction: Transaction
) -> None:
    with recorded.tracer.start_as_current_span("request"), transaction(backend_url) as own:
        within = rb.outbox(own)
        within.users.identify("ann", job_id="j1")
        within.users.identify("bo", job_id="j2")

    assert relay.send() == 2

    written = recorded.named("create rollbook.identify")
    assert len(written) == 2
    sent = {parent_of_children(span) for span in recorded.named("send rollbook.identify")}
    assert set(parents(client).values()) == sent
    assert not {span.context.trace_id for span in written if span.context} & {
        int(each[3:35], 16) for each in sent if each
    }


@pytest.mark.usefixtures("from_before")
def test_creating_the_table_again_adds_the_trace_column(
    recorded: RecordedSpans, rb: Rollbook, backend_url: str, relay: Relay, client: redis.Redis
) -> None:
    with psycopg.connect(backend_url) as own:
        own.execute(OLD_INSERT)
        for _ in range(2):
            create_table(lambda statement: own.execute(statement.encode()))
        own.execute(OLD_INSERT.replace("'old'", "'older application'"))
        rb.outbox(own).users.identify("ann", job_id="new")

    assert relay.send() == 3

    (written,) = recorded.named("create rollbook.identify")
    assert traceparents(backend_url) == {"old": None, "older application": None, "new": parent_of_children(written)}
    assert parents(client).keys() == {"old", "older application", "new"}


def test_a_role_without_the_trace_column_writes_the_rest(
    recorded: RecordedSpans, rb: Rollbook, backend_url: str
) -> None:
    with psycopg.connect(backend_url) as owner:
        role = f"writer_{owner.info.dbname}"
        owner.execute(f"CREATE ROLE {role}".encode())
        owner.execute(f"GRANT INSERT (id, digest, kind, body) ON rollbook_outbox TO {role}".encode())
    try:
        with psycopg.connect(backend_url) as own:
            own.execute(f"SET ROLE {role}".encode())
            rb.outbox(own).users.identify("ann", job_id="j1")

        assert traceparents(backend_url) == {"j1": None}
    finally:
        with psycopg.connect(backend_url) as owner:
            owner.execute(f"DROP OWNED BY {role}".encode())
            owner.execute(f"DROP ROLE {role}".encode())
