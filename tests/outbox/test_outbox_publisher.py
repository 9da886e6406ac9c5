"""Jobs written in a transaction exist with its commit and vanish with its rollback, for every kind of connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from rollbook import InvalidRequest, NotConfigured, Rollbook
from rollbook.outbox import create_table, drop_table
from rollbook.publishing.outbox import OutboxPublisher
from rollbook_shared.jobs.codec import decode
from rollbook_shared.jobs.models import Identify, Trigger


def kept(url: str) -> list[tuple[str, str]]:
    """Id and kind of the jobs that other transactions see."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT id, kind FROM rollbook_outbox ORDER BY id").fetchall()


class Application:
    """One way to have a transaction."""

    def __init__(self, transaction: Any, close: Callable[[], None]) -> None:
        self.transaction = transaction
        self.commit: Callable[[], None] = transaction.commit
        self.rollback: Callable[[], None] = transaction.rollback
        self.close = close


def with_psycopg(url: str) -> Application:
    connection = psycopg.connect(url)
    return Application(connection, connection.close)


def with_session(url: str) -> Application:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    session = Session(engine)

    def close() -> None:
        session.close()
        engine.dispose()

    return Application(session, close)


def with_connection(url: str) -> Application:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    connection = engine.connect()

    def close() -> None:
        connection.close()
        engine.dispose()

    return Application(connection, close)


@pytest.fixture(params=[with_psycopg, with_session, with_connection], ids=lambda make: make.__name__)
def application(request: pytest.FixtureRequest, backend_url: str) -> Iterator[Application]:
    application = request.param(backend_url)
    yield application
    application.close()


def test_a_job_is_visible_after_the_commit(rb: Rollbook, application: Application, backend_url: str) -> None:
    job = rb.outbox(application.transaction).users.identify("u1", {"plan": "pro"}, job_id="j1")

    assert kept(backend_url) == []
    application.commit()
    assert kept(backend_url) == [(job.id, "identify")] == [("j1", "identify")]


def test_a_rollback_removes_the_job(rb: Rollbook, application: Application, backend_url: str) -> None:
    rb.outbox(application.transaction).users.identify("u1")

    application.rollback()

    application.commit()
    assert kept(backend_url) == []


def test_every_call_of_the_client_works_through_the_outbox(
    rb: Rollbook, application: Application, backend_url: str
) -> None:
    within = rb.outbox(application.transaction)

    within.users.bulk_identify([{"id": "u1"}, {"id": "u2"}], job_id="1")
    within.users.merge("u1", "u2", job_id="2")
    within.users.set_preferences("u1", "default", {}, job_id="3")
    within.users.delete("u1", job_id="4")
    within.workflows.trigger("hello", ["u1"], job_id="5")
    application.commit()

    assert [kind for _, kind in kept(backend_url)] == ["bulk_identify", "merge", "set_preferences", "delete", "trigger"]


def test_a_repeated_job_is_one_row_and_a_reused_id_another(
    rb: Rollbook, application: Application, backend_url: str
) -> None:
    within = rb.outbox(application.transaction)

    within.users.identify("u1", {"plan": "pro"}, job_id="j1")
    within.users.identify("u1", {"plan": "pro"}, job_id="j1")
    within.users.identify("u1", {"plan": "free"}, job_id="j1")
    application.commit()

    assert kept(backend_url) == [("j1", "identify")] * 2


def test_an_invalid_call_does_not_touch_the_transaction(
    rb: Rollbook, application: Application, backend_url: str
) -> None:
    within = rb.outbox(application.transaction)
    within.users.identify("u1", job_id="j1")

    with pytest.raises(InvalidRequest):
        within.users.identify("", {})

    application.commit()
    assert kept(backend_url) == [("j1", "identify")]


def test_a_row_keeps_percent_signs_and_colons(rb: Rollbook, application: Application, backend_url: str) -> None:
    rb.outbox(application.transaction).users.identify("u1", {"said": "100% :id %(id)s \\ \u0001 \U0001f600"})
    rb.outbox(application.transaction).workflows.trigger("hello", ["u1"])
    application.commit()

    with psycopg.connect(backend_url) as connection:
        jobs = [decode(body) for (body,) in connection.execute("SELECT body FROM rollbook_outbox ORDER BY id")]
    assert [type(job) for job in jobs] == [Identify, Trigger]
    assert isinstance(jobs[0], Identify)
    assert jobs[0].user.traits == {"said": "100% :id %(id)s \\ \u0001 \U0001f600"}


def test_a_missing_table_names_the_command_that_creates_it(
    rb: Rollbook, application: Application, backend: psycopg.Connection
) -> None:
    drop_table(backend.execute)
    backend.commit()

    with pytest.raises(NotConfigured, match="rollbook outbox create"):
        rb.outbox(application.transaction).users.identify("u1")


def test_a_database_error_quotes_no_personal_data(rb: Rollbook, backend_url: str) -> None:
    application = with_session(backend_url)
    application.transaction.execute(text("ALTER TABLE rollbook_outbox RENAME COLUMN body TO elsewhere"))

    with pytest.raises(ProgrammingError) as failure:
        rb.outbox(application.transaction).users.identify("u1", {"email": "ann@example.com"})

    application.close()
    assert "ann@example.com" not in str(failure.value)


def test_creating_the_table_again_keeps_its_jobs(rb: Rollbook, backend: psycopg.Connection, backend_url: str) -> None:
    rb.outbox(backend).users.identify("u1", job_id="j1")

    create_table(backend.execute)

    backend.commit()
    assert kept(backend_url) == [("j1", "identify")]


def test_an_awaitable_is_rejected_with_what_to_do() -> None:
    class AsyncSession:
        async def run_sync(self) -> None: ...

    with pytest.raises(TypeError, match="run_sync"):
        OutboxPublisher(AsyncSession())


def test_an_async_connection_is_rejected(backend_url: str) -> None:
    async def write() -> None:
        async with await psycopg.AsyncConnection.connect(backend_url) as connection:
            with pytest.raises(TypeError, match="DBAPI"):
                OutboxPublisher(connection)

    asyncio.run(write())


def test_an_object_that_is_no_transaction_is_rejected() -> None:
    with pytest.raises(TypeError, match="SQLAlchemy"):
        OutboxPublisher("postgresql://")
