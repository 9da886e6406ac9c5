"""What was told in a session is sent with its commit, and with nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy import MetaData, create_engine, inspect, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from rollcall import InvalidJob, NotConfigured, Rollcall
from rollcall.outbox import create_table
from rollcall.sqlalchemy import after_commit, outbox_table
from rollcall.testing import RecordingRollcall, recording
from rollcall_shared.errors import NotSent
from rollcall_shared.jobs import Job


@pytest.fixture
def rc() -> RecordingRollcall:
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


def told(rc: RecordingRollcall) -> list[str]:
    return [job.id for job in rc.sent]


def tell(rc: Rollcall, session: Session, job_id: str) -> None:
    after_commit(rc, session).users.identify("u1", job_id=job_id)


def test_jobs_are_sent_after_the_commit_in_their_order(rc: RecordingRollcall, session: Session) -> None:
    tell(rc, session, "1")
    tell(rc, session, "2")
    assert told(rc) == []

    session.commit()

    assert told(rc) == ["1", "2"]
    session.commit()
    assert told(rc) == ["1", "2"]


def test_they_are_sent_when_the_data_can_be_seen(rc: RecordingRollcall, database_url: str) -> None:
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    seen: list[int] = []

    class Looks(RecordingRollcall):
        def __init__(self) -> None:
            super().__init__()
            self.sender.send = self.look  # type: ignore[method-assign]

        def look(self, job: Job) -> None:
            with psycopg.connect(database_url) as connection:
                seen.extend(connection.execute("SELECT count(*) FROM seen_account").fetchone() or ())

    with Session(engine) as session, session.begin():
        session.execute(text("CREATE TABLE seen_account (id int)"))
        session.execute(text("INSERT INTO seen_account VALUES (1)"))
        tell(Looks(), session, "1")
    engine.dispose()

    assert seen == [1]


@pytest.mark.parametrize("end", [Session.rollback, Session.close], ids=["rollback", "close"])
def test_jobs_are_dropped_with_a_rollback(
    rc: RecordingRollcall, session: Session, end: Callable[[Session], None]
) -> None:
    tell(rc, session, "1")

    end(session)

    session.commit()
    assert told(rc) == []


def test_the_session_may_be_used_again_after_a_rollback(rc: RecordingRollcall, session: Session) -> None:
    tell(rc, session, "1")
    session.rollback()
    tell(rc, session, "2")
    session.commit()

    assert told(rc) == ["2"]


def test_an_exception_in_a_begin_block_drops_them(rc: RecordingRollcall, engine: Engine) -> None:
    def sign_up() -> None:
        with Session(engine) as session, session.begin():
            tell(rc, session, "1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sign_up()

    assert told(rc) == []


def test_a_failed_flush_drops_them(rc: RecordingRollcall, session: Session) -> None:
    session.execute(text("INSERT INTO account VALUES ('a')"))
    tell(rc, session, "1")
    with pytest.raises(IntegrityError):
        session.execute(text("INSERT INTO account VALUES ('a')"))
    session.rollback()

    session.commit()
    assert told(rc) == []


def test_a_rolled_back_savepoint_drops_what_was_told_in_it(rc: RecordingRollcall, session: Session) -> None:
    tell(rc, session, "1")
    savepoint = session.begin_nested()
    tell(rc, session, "2")
    savepoint.rollback()
    tell(rc, session, "3")
    with session.begin_nested():
        tell(rc, session, "4")
    assert told(rc) == []

    session.commit()

    assert told(rc) == ["1", "3", "4"]


def test_a_savepoint_inside_one_that_is_rolled_back_is_dropped_too(rc: RecordingRollcall, session: Session) -> None:
    outer = session.begin_nested()
    with session.begin_nested():
        tell(rc, session, "1")
    outer.rollback()
    with session.begin_nested():
        with session.begin_nested():
            tell(rc, session, "2")
        tell(rc, session, "3")

    session.commit()

    assert told(rc) == ["2", "3"]


def test_rolling_back_everything_drops_savepoints_that_were_released(rc: RecordingRollcall, session: Session) -> None:
    with session.begin_nested():
        tell(rc, session, "1")

    session.rollback()

    session.commit()
    assert told(rc) == []


def test_a_commit_with_an_open_savepoint_sends_what_it_holds(rc: RecordingRollcall, session: Session) -> None:
    session.begin_nested()
    tell(rc, session, "1")

    session.commit()  # releases the savepoint
    session.commit()

    assert told(rc) == ["1"]


def test_sessions_do_not_mix(rc: RecordingRollcall, engine: Engine) -> None:
    with Session(engine) as one, Session(engine) as other:
        tell(rc, one, "1")
        tell(rc, other, "2")
        one.rollback()
        other.commit()

    assert told(rc) == ["2"]


def test_a_scoped_session_is_that_of_the_thread(rc: RecordingRollcall, engine: Engine) -> None:
    scoped = scoped_session(sessionmaker(engine))
    after_commit(rc, scoped).users.identify("u1", job_id="1")

    scoped.commit()
    scoped.remove()

    assert told(rc) == ["1"]


def test_what_is_wrong_is_refused_when_told(rc: RecordingRollcall, session: Session) -> None:
    with pytest.raises(InvalidJob):
        after_commit(rc, session).users.identify("")


def test_no_broker_is_told_before_anything_is_committed(session: Session) -> None:
    with pytest.raises(NotConfigured):
        after_commit(Rollcall(), session)


def test_a_job_that_is_not_sent_is_logged_and_the_commit_stands(
    rc: RecordingRollcall, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    rc.sender.is_down = True
    session.execute(text("INSERT INTO account VALUES ('a')"))
    tell(rc, session, "1")
    tell(rc, session, "2")

    session.commit()

    assert session.execute(text("SELECT count(*) FROM account")).scalar() == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "identify 1" in caplog.text
    assert "u1" not in caplog.text


def test_the_application_may_see_to_failures_itself(rc: RecordingRollcall, session: Session) -> None:
    failed: list[tuple[str, str]] = []

    def remember(job: Job, error: NotSent) -> None:
        failed.append((job.id, error.job_id))

    rc.sender.is_down = True
    after_commit(rc, session, on_failure=remember).users.identify("u1", job_id="1")
    session.commit()

    assert failed == [("1", "1")]


def test_the_table_in_the_applications_metadata_is_the_one_that_the_statements_make(
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
                        for column in found.get_columns("rollcall_outbox")
                    ],
                    found.get_pk_constraint("rollcall_outbox")["constrained_columns"],
                    connection.execute(
                        text("SELECT indexdef FROM pg_indexes WHERE tablename = 'rollcall_outbox' ORDER BY indexname")
                    )
                    .scalars()
                    .all(),
                )
            )
        engine.dispose()

    assert shapes[0] == shapes[1]
