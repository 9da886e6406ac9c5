"""Jobs written in a transaction exist with its commit and vanish with its rollback, for every kind of connection."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import types
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from tests.support.event_loops import LoopThread

from rollbook import AsyncRollbook, InvalidRequest, NotConfigured, Rollbook
from rollbook.outbox import create_table, drop_table
from rollbook.publishing.async_outbox import AsyncOutboxPublisher
from rollbook.publishing.outbox import OutboxPublisher
from rollbook_shared.jobs.codec import decode
from rollbook_shared.jobs.models import Identify, Trigger


def kept(url: str) -> list[tuple[str, str]]:
    """Id and kind of the jobs that other transactions see."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT id, kind FROM rollbook_outbox ORDER BY id").fetchall()


class Application:
    """One way to have a transaction, with the client that writes in it."""

    def __init__(
        self, transaction: Any, close: Callable[[], None], loop: LoopThread | None = None, owner: Any = None
    ) -> None:
        owner = transaction if owner is None else owner  # what commits
        run: Callable[[Any], Any] = (lambda result: result) if loop is None else loop.run
        self.transaction = transaction
        self.rb = Rollbook() if loop is None else loop.blocking(AsyncRollbook())
        self.commit: Callable[[], None] = lambda: run(owner.commit())
        self.rollback: Callable[[], None] = lambda: run(owner.rollback())
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


def with_async_psycopg(url: str) -> Application:
    loop = LoopThread().__enter__()
    connection = loop.run(psycopg.AsyncConnection.connect(url))
    return Application(connection, lambda: end(loop, connection.close()), loop)


def with_asyncpg(url: str) -> Application:
    loop = LoopThread().__enter__()
    connection = loop.run(asyncpg.connect(url))
    transactions = AsyncpgTransactions(connection)
    loop.run(transactions.begin())
    return Application(connection, lambda: end(loop, connection.close()), loop, owner=transactions)


class AsyncpgTransactions:
    """Always in a transaction of the connection, as those of the other drivers are."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def begin(self) -> None:
        self._current = self._connection.transaction()
        await self._current.start()

    async def commit(self) -> None:
        await self._current.commit()
        await self.begin()

    async def rollback(self) -> None:
        await self._current.rollback()
        await self.begin()


def with_async_session(url: str) -> Application:
    loop = LoopThread().__enter__()
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    session = AsyncSession(engine)
    return Application(session, lambda: end(loop, session.close(), engine.dispose()), loop)


def with_async_connection(url: str) -> Application:
    loop = LoopThread().__enter__()
    engine = create_async_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    connection = engine.connect()
    loop.run(connection.start())
    return Application(connection, lambda: end(loop, connection.close(), engine.dispose()), loop)


def end(loop: LoopThread, *closing: Awaitable[None]) -> None:
    for each in closing:
        loop.run(each)
    loop.__exit__()


APPLICATIONS = [
    with_psycopg,
    with_session,
    with_connection,
    with_async_psycopg,
    with_asyncpg,
    with_async_session,
    with_async_connection,
]


@pytest.fixture(params=APPLICATIONS, ids=lambda make: make.__name__)
def application(request: pytest.FixtureRequest, backend_url: str) -> Iterator[Application]:
    application = request.param(backend_url)
    yield application
    application.close()


@pytest.fixture
def rb(request: pytest.FixtureRequest) -> Rollbook:
    """The client of the application, if the test has one."""
    if "application" not in request.fixturenames:
        return Rollbook()
    application: Application = request.getfixturevalue("application")
    return application.rb


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


def test_a_scoped_async_session_is_rejected_with_what_to_do() -> None:
    scoped = async_scoped_session(async_sessionmaker(), scopefunc=lambda: 1)

    with pytest.raises(TypeError, match="run_sync"):
        OutboxPublisher(scoped)


def test_an_async_connection_is_rejected(backend_url: str) -> None:
    async def write() -> None:
        async with await psycopg.AsyncConnection.connect(backend_url) as connection:
            with pytest.raises(TypeError, match="DBAPI"):
                OutboxPublisher(connection)

    asyncio.run(write())


class Pg8000Connection:
    """As pg8000's: its cursors are no context managers, and it writes parameters as %s."""

    def cursor(self) -> object: ...

    def commit(self) -> None: ...


class AsyncpgConnection:
    """As asyncpg's: it has cursors of another kind, and transactions as objects of their own."""

    def cursor(self, query: str, *arguments: object) -> object: ...


@pytest.mark.parametrize(
    ("connection", "reason"),
    [
        (sqlite3.connect(":memory:"), "; sqlite3 writes parameters as qmark, and not as %(name)s"),
        (Pg8000Connection(), "; pg8000 writes parameters as format, and not as %(name)s"),
        (AsyncpgConnection(), ""),
        (contextlib.nullcontext(), ""),
    ],
    ids=["sqlite3", "pg8000", "asyncpg", "another object"],
)
def test_a_driver_that_is_not_supported_is_rejected_in_one_sentence(
    connection: object, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pg8000 = types.ModuleType("pg8000")
    pg8000.paramstyle = "format"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pg8000", pg8000)
    monkeypatch.setattr(Pg8000Connection, "__module__", "pg8000.core")

    with pytest.raises(TypeError) as rejected:
        OutboxPublisher(connection)

    needs = "the outbox needs a SQLAlchemy session or connection, Django's connection, or a DBAPI connection of psycopg"
    assert str(rejected.value) == f"{needs} or psycopg2, to a Postgres{reason}"


def test_a_subclass_of_a_connection_is_what_it_extends(backend_url: str, rb: Rollbook) -> None:
    class OwnConnection(psycopg.Connection[tuple[object, ...]]):
        pass

    with OwnConnection.connect(backend_url) as connection:
        rb.outbox(connection).users.identify("u1", job_id="own")

    assert kept(backend_url) == [("own", "identify")]


def test_an_object_that_is_no_transaction_is_rejected() -> None:
    with pytest.raises(TypeError, match="SQLAlchemy"):
        OutboxPublisher("postgresql://")


def test_what_blocks_is_rejected_by_the_asynchronous_client(backend: psycopg.Connection) -> None:
    with pytest.raises(TypeError, match="belongs to the outbox of Rollbook"):
        AsyncOutboxPublisher(backend)


def test_a_pool_of_asyncpg_is_no_transaction() -> None:
    pool = asyncpg.create_pool("postgresql://127.0.0.1:1/none", loop=asyncio.new_event_loop())

    with pytest.raises(TypeError, match="acquire one of its connections"):
        AsyncOutboxPublisher(pool)
    pool._loop.close()


def test_a_row_of_the_asynchronous_client_quotes_no_personal_data_either(backend_url: str) -> None:
    application = with_async_session(backend_url)
    with psycopg.connect(backend_url) as connection:
        connection.execute("ALTER TABLE rollbook_outbox RENAME COLUMN body TO elsewhere")

    with pytest.raises(ProgrammingError) as failure:
        application.rb.outbox(application.transaction).users.identify("u1", {"email": "ann@example.com"})

    application.close()
    assert "ann@example.com" not in str(failure.value)
