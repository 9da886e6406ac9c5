"""Jobs sent in a transaction of Django are sent with its commit only, or are in the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django
import psycopg
import pytest
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from rollbook import Rollbook
from rollbook.outbox import CREATE_TABLE, create_table
from rollbook.testing import RecordingRollbook, recording


@pytest.fixture(scope="module")
def django_url(new_database: Any) -> str:
    """The database of the one Django that a process can have."""
    url: str = new_database()
    info = conninfo_to_dict(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": info["dbname"],
        "USER": info["user"],
        "PASSWORD": info.get("password"),
        "HOST": info["host"],
        "PORT": info["port"],
    }
    settings.configure(DATABASES={"default": database}, USE_TZ=True)
    django.setup()
    return url


@pytest.fixture
def transaction(django_url: str) -> Iterator[Any]:
    from django.db import connections, transaction

    yield transaction
    connections.close_all()


@pytest.fixture
def rb() -> RecordingRollbook:
    return recording()


def send(rb: Rollbook, job_id: str) -> None:
    from rollbook.django import on_commit

    on_commit(rb).users.identify("u1", job_id=job_id)


def sent(rb: RecordingRollbook) -> list[str]:
    return [job.id for job in rb.sent]


def test_jobs_are_sent_after_the_commit_in_their_order(rb: RecordingRollbook, transaction: Any) -> None:
    with transaction.atomic():
        send(rb, "1")
        send(rb, "2")
        assert sent(rb) == []

    assert sent(rb) == ["1", "2"]


def test_a_rollback_of_transaction_or_savepoint_drops_jobs(rb: RecordingRollbook, transaction: Any) -> None:
    with transaction.atomic():
        send(rb, "1")
        with transaction.atomic():
            send(rb, "2")
            transaction.set_rollback(True)
    with transaction.atomic():
        send(rb, "3")
        transaction.set_rollback(True)

    assert sent(rb) == ["1"]


def test_jobs_outside_of_a_transaction_are_sent_at_once(rb: RecordingRollbook, transaction: Any) -> None:
    send(rb, "1")

    assert sent(rb) == ["1"]


def test_a_failed_send_is_logged_and_later_callbacks_run(
    rb: RecordingRollbook, transaction: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []
    rb.publisher.is_down = True

    with transaction.atomic():
        send(rb, "1")
        transaction.on_commit(lambda: ran.append("theirs"))

    assert ran == ["theirs"]
    assert "identify 1" in caplog.text
    assert "u1" not in caplog.text


def test_the_outbox_is_written_in_the_transaction_of_django(transaction: Any, django_url: str) -> None:
    from django.db import connection

    with psycopg.connect(django_url) as direct:
        create_table(direct.execute)
    with transaction.atomic():
        Rollbook().outbox(connection).users.identify("u1", {"said": "100%"}, job_id="1")
    with transaction.atomic():
        Rollbook().outbox(connection).users.identify("u2", job_id="2")
        transaction.set_rollback(True)

    with psycopg.connect(django_url) as direct:
        assert direct.execute("SELECT id FROM rollbook_outbox").fetchall() == [("1",)]


def test_a_migration_of_django_creates_the_table(transaction: Any) -> None:
    from django.db import connection
    from django.db.migrations import RunSQL
    from django.db.migrations.state import ProjectState

    from rollbook.outbox import DROP_TABLE

    operation = RunSQL(list(CREATE_TABLE), list(DROP_TABLE))
    with connection.schema_editor() as editor:
        operation.database_backwards("app", editor, ProjectState(), ProjectState())
    with connection.schema_editor() as editor:
        operation.database_forwards("app", editor, ProjectState(), ProjectState())

    assert "rollbook_outbox" in connection.introspection.table_names()
