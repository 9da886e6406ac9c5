"""Jobs sent in a session of SQLAlchemy are sent with its commit only."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy import MetaData, create_engine, inspect, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from rollbook import InvalidRequest, NotConfigured, Rollbook
from rollbook.outbox import create_table
from rollbook.sqlalchemy import after_commit, outbox_table
from rollbook.testing import RecordingRollbook, recording
from rollbook_shared.errors import NotSent
from rollbook_shared.jobs.models import Job


@pytest.fixture
def rb() -> RecordingRollbook:
    return recording()


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE account (id TEXT PRIMARY KEY)"))
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


def sent(rb: RecordingRollbook) -> list[str]:
    return [job.id for job in rb.sent]


def send(rb: Rollbook, session: Session, job_id: str) -> None:
    after_commit(rb, session).users.identify("u1", job_id=job_id)


def test_jobs_are_sent_after_the_commit_in_their_order(rb: RecordingRollbook, session: Session) -> None:
    send(rb, session, "1")
    send(rb, session, "2")
    assert sent(rb) == []

    session.commit()

    assert sent(rb) == ["1", "2"]
    session.commit()
    assert sent(rb) == ["1", "2"]


def test_jobs_are_sent_once_the_data_is_visible(rb: RecordingRollbook, database_url: str) -> None:
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    seen: list[int] = []

    class Looks(RecordingRollbook):
        def __init__(self) -> None:
            super().__init__()
            self.publisher.publish = self.look  # type: ignore[method-assign]

        def look(self, job: Job) -> None:
            with psycopg.connect(database_url) as connection:
                seen.extend(connection.execute("SELECT count(*) FROM seen_account").fetchone() or ())

    with Session(engine) as session, session.begin():
        session.execute(text("CREATE TABLE seen_account (id int)"))
        session.execute(text("INSERT INTO seen_account VALUES (1)"))
        send(Looks(), session, "1")
    engine.dispose()

    assert seen == [1]


@pytest.mark.parametrize("end", [Session.rollback, Session.close], ids=["rollback", "close"])
def test_jobs_are_dropped_with_a_rollback(
    rb: RecordingRollbook, session: Session, end: Callable[[Session], None]
) -> None:
    send(rb, session, "1")

    end(session)

    session.commit()
    assert sent(rb) == []


def test_a_session_can_be_used_again_after_a_rollback(rb: RecordingRollbook, session: Session) -> None:
    send(rb, session, "1")
    session.rollback()
    send(rb, session, "2")
    session.commit()

    assert sent(rb) == ["2"]


def test_an_exception_in_a_begin_block_drops_jobs(rb: RecordingRollbook, engine: Engine) -> None:
    def sign_up() -> None:
        with Session(engine) as session, session.begin():
            send(rb, session, "1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sign_up()

    assert sent(rb) == []


def test_a_failed_flush_drops_jobs(rb: RecordingRollbook, session: Session) -> None:
    session.execute(text("INSERT INTO account VALUES ('a')"))
    send(rb, session, "1")
    with pytest.raises(IntegrityError):
        session.execute(text("INSERT INTO account VALUES ('a')"))
    session.rollback()

    session.commit()
    assert sent(rb) == []


def test_a_rolled_back_savepoint_drops_its_jobs(rb: RecordingRollbook, session: Session) -> None:
    send(rb, session, "1")
    savepoint = session.begin_nested()
    send(rb, session, "2")
    savepoint.rollback()
    send(rb, session, "3")
    with session.begin_nested():
        send(rb, session, "4")
    assert sent(rb) == []

    session.commit()

    assert sent(rb) == ["1", "3", "4"]


def test_a_savepoint_within_a_rolled_back_one_drops_its_jobs(rb: RecordingRollbook, session: Session) -> None:
    outer = session.begin_nested()
    with session.begin_nested():
        send(rb, session, "1")
    outer.rollback()
    with session.begin_nested():
        with session.begin_nested():
            send(rb, session, "2")
        send(rb, session, "3")

    session.commit()

    assert sent(rb) == ["2", "3"]


def test_a_rollback_drops_jobs_of_released_savepoints(rb: RecordingRollbook, session: Session) -> None:
    with session.begin_nested():
        send(rb, session, "1")

    session.rollback()

    session.commit()
    assert sent(rb) == []


def test_a_commit_sends_the_jobs_of_an_open_savepoint(rb: RecordingRollbook, session: Session) -> None:
    session.begin_nested()
    send(rb, session, "1")

    session.commit()  # releases the savepoint
    session.commit()

    assert sent(rb) == ["1"]


def test_sessions_do_not_mix(rb: RecordingRollbook, engine: Engine) -> None:
    with Session(engine) as one, Session(engine) as other:
        send(rb, one, "1")
        send(rb, other, "2")
        one.rollback()
        other.commit()

    assert sent(rb) == ["2"]


def test_a_scoped_session_belongs_to_its_thread(rb: RecordingRollbook, engine: Engine) -> None:
    scoped = scoped_session(sessionmaker(engine))
    after_commit(rb, scoped).users.identify("u1", job_id="1")

    scoped.commit()
    scoped.remove()

    assert sent(rb) == ["1"]


def test_an_invalid_call_raises_before_the_commit(rb: RecordingRollbook, session: Session) -> None:
    with pytest.raises(InvalidRequest):
        after_commit(rb, session).users.identify("")


def test_an_async_session_is_rejected_each_time_and_its_sync_session_loses_nothing(
    rb: RecordingRollbook, database_url: str
) -> None:
    async def use() -> None:
        engine = create_async_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
        async with AsyncSession(engine) as session:
            for _ in range(2):
                with pytest.raises(
                    TypeError, match=r"needs AsyncRollbook, or: await session.run_sync\(lambda s: after_"
                ):
                    after_commit(rb, session)  # type: ignore[call-overload]
            with pytest.raises(TypeError, match=r"^an async session needs AsyncRollbook"):
                after_commit(rb, async_scoped_session(async_sessionmaker(engine), scopefunc=lambda: 1))  # type: ignore[call-overload]
            assert session.info == {}

            await session.run_sync(lambda s: send(rb, s, "1"))
            assert sent(rb) == []
            await session.commit()
        await engine.dispose()

    asyncio.run(use())

    assert sent(rb) == ["1"]


@pytest.mark.parametrize("what", [sessionmaker(), None, "session"], ids=["a factory", "None", "text"])
def test_what_is_no_session_is_rejected_by_its_name(rb: RecordingRollbook, what: object) -> None:
    with pytest.raises(TypeError, match=rf"^after_commit needs a SQLAlchemy Session, and not {type(what).__name__}$"):
        after_commit(rb, what)  # type: ignore[call-overload]


def test_nothing_is_sent_before_the_commit(session: Session) -> None:
    with pytest.raises(NotConfigured):
        after_commit(Rollbook(), session)


def test_a_failed_send_is_logged_and_keeps_the_commit(
    rb: RecordingRollbook, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    rb.publisher.is_down = True
    session.execute(text("INSERT INTO account VALUES ('a')"))
    send(rb, session, "1")
    send(rb, session, "2")

    session.commit()

    assert session.execute(text("SELECT count(*) FROM account")).scalar() == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "identify 1" in caplog.text
    assert "u1" not in caplog.text


def test_an_application_can_handle_failed_sends(rb: RecordingRollbook, session: Session) -> None:
    failed: list[tuple[str, str]] = []

    def remember(job: Job, error: NotSent) -> None:
        failed.append((job.id, error.job_id))

    rb.publisher.is_down = True
    after_commit(rb, session, on_failure=remember).users.identify("u1", job_id="1")
    session.commit()

    assert failed == [("1", "1")]


def test_the_metadata_has_the_table_of_the_statements(
    new_database: Callable[[], str],
) -> None:
    shapes = []
    for make_with_metadata in (True, False):
        engine = create_engine(new_database().replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            if make_with_metadata:
                metadata = MetaData()
                outbox_table(metadata)
                metadata.create_all(connection)
            else:
                create_table(connection.exec_driver_sql)
            found = inspect(connection)
            shapes.append(
                (
                    [
                        (column["name"], str(column["type"]), column["nullable"], column["default"])
                        for column in found.get_columns("rollbook_outbox")
                    ],
                    found.get_pk_constraint("rollbook_outbox")["constrained_columns"],
                    connection.execute(
                        text("SELECT indexdef FROM pg_indexes WHERE tablename = 'rollbook_outbox' ORDER BY indexname")
                    )
                    .scalars()
                    .all(),
                )
            )
        engine.dispose()

    assert shapes[0] == shapes[1]
