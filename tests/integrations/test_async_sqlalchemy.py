"""Jobs sent in an AsyncSession of SQLAlchemy are sent with its commit only."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from tests.support.event_loops import in_loop

from rollbook import AsyncRollbook, NotConfigured, Rollbook
from rollbook.sqlalchemy import after_commit
from rollbook.testing import AsyncRecordingRollbook, async_recording, recording
from rollbook_shared.errors import NotSent
from rollbook_shared.jobs.models import Job


@pytest.fixture
def rb() -> AsyncRecordingRollbook:
    return async_recording()


@pytest.fixture(params=["psycopg", "asyncpg"])
def url(request: pytest.FixtureRequest, database_url: str) -> str:
    return database_url.replace("postgresql:", f"postgresql+{request.param}:")


async def send(rb: AsyncRollbook, session: AsyncSession, job_id: str) -> None:
    await after_commit(rb, session).users.identify("u1", job_id=job_id)


def sent(rb: AsyncRecordingRollbook) -> list[str]:
    return [job.id for job in rb.sent]


@in_loop
async def test_jobs_are_sent_before_the_commit_returns_in_their_order(rb: AsyncRecordingRollbook, url: str) -> None:
    engine = create_async_engine(url)
    async with AsyncSession(engine) as session:
        await session.execute(text("SELECT 1"))
        await send(rb, session, "1")
        await send(rb, session, "2")
        assert sent(rb) == []

        await session.commit()
        assert sent(rb) == ["1", "2"]

        await session.commit()
        assert sent(rb) == ["1", "2"]
    await engine.dispose()


@in_loop
async def test_jobs_of_what_is_rolled_back_are_dropped(rb: AsyncRecordingRollbook, url: str) -> None:
    engine = create_async_engine(url)
    async with AsyncSession(engine) as session, session.begin():
        await send(rb, session, "kept")
        savepoint = await session.begin_nested()
        await send(rb, session, "dropped")
        await savepoint.rollback()
    async with AsyncSession(engine) as session:
        await send(rb, session, "dropped")
        await session.rollback()
        await session.commit()
    await engine.dispose()

    assert sent(rb) == ["kept"]


@in_loop
async def test_jobs_are_sent_over_the_clients_own_connections(url: str, broker_url: str) -> None:
    engine = create_async_engine(url)
    async with AsyncRollbook(broker_url=broker_url) as rb, AsyncSession(engine) as session, session.begin():
        await send(rb, session, "1")
    await engine.dispose()


@in_loop
async def test_jobs_are_sent_once_the_data_is_visible(database_url: str, url: str) -> None:
    seen: list[int] = []

    class Looks(AsyncRecordingRollbook):
        def __init__(self) -> None:
            super().__init__()
            self.publisher.publish = self.look  # type: ignore[method-assign]

        async def look(self, job: Job) -> None:
            async with await psycopg.AsyncConnection.connect(database_url) as connection:
                row: Any = await (await connection.execute("SELECT count(*) FROM visible_account")).fetchone()
                seen.extend(row)

    engine = create_async_engine(url)
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(text("DROP TABLE IF EXISTS visible_account"))
        await session.execute(text("CREATE TABLE visible_account (id int)"))
        await session.execute(text("INSERT INTO visible_account VALUES (1)"))
        await send(Looks(), session, "1")
    await engine.dispose()

    assert seen == [1]


@in_loop
async def test_a_failure_after_the_commit_is_given_to_the_application(rb: AsyncRecordingRollbook, url: str) -> None:
    failures: list[tuple[str, NotSent]] = []
    rb.publisher.is_down = True
    engine = create_async_engine(url)
    async with AsyncSession(engine) as session, session.begin():
        own = after_commit(rb, session, on_failure=lambda job, error: failures.append((job.id, error)))
        await own.users.identify("u1", job_id="1")
    await engine.dispose()

    assert [job_id for job_id, _ in failures] == ["1"]


@in_loop
async def test_a_scoped_session_is_the_session_of_its_scope(rb: AsyncRecordingRollbook, url: str) -> None:
    engine = create_async_engine(url)
    scoped = async_scoped_session(async_sessionmaker(engine), scopefunc=lambda: 1)
    await after_commit(rb, scoped).users.identify("u1", job_id="1")

    await scoped.commit()
    await scoped.remove()
    await engine.dispose()

    assert sent(rb) == ["1"]


def test_a_session_of_the_other_kind_is_rejected(rb: AsyncRecordingRollbook) -> None:
    with pytest.raises(TypeError, match="needs an AsyncSession, and not Session"):
        after_commit(rb, Session())  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="needs AsyncRollbook"):
        after_commit(recording(), AsyncSession())  # type: ignore[call-overload]


def test_a_client_without_a_broker_says_so() -> None:
    with pytest.raises(NotConfigured, match="ROLLBOOK_BROKER_URL"):
        after_commit(AsyncRollbook(), AsyncSession())
    with pytest.raises(NotConfigured, match="ROLLBOOK_BROKER_URL"):
        after_commit(Rollbook(), Session())
