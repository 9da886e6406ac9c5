"""A distributed schema answers as a plain one, waits no longer for locks, and moves while it is written to."""

from __future__ import annotations

import threading
from datetime import timedelta
from itertools import count

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from tests.support.builders import day, identify
from tests.support.citus import distributed_rollbook
from tests.support.databases import LendDatabase
from tests.support.sessions.answers import all_answers, prepare
from tests.support.stores import OnPostgres, arrive
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook_shared.database.schema import outbox_name
from rollbook_shared.database.schema_cursor import use_schema
from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import PostgresStore, ReceivedJob
from rollbook_worker.store.retry import Contention


@pytest.fixture
def subject(on_citus: OnPostgres) -> OnPostgres:
    """A store that keeps nothing yet."""
    on_citus.reset()
    return on_citus


def test_everything_answers_as_on_plain_postgres(on_citus: OnPostgres, new_database: LendDatabase) -> None:
    plain, url = new_database(), on_citus.url
    with distributed_rollbook(url) as content:
        prepare(plain)
        prepare(url, content.schema)

        found = all_answers(url, schema=content.schema)

    expected = all_answers(plain)
    # the coordinator is a server of its own, with other settings
    of_the_server = {"postgres", "durability", "schema public", "timeline"}
    for answers in (found, expected):
        answers["doctor"] = [each for each in answers["doctor"] if each[0] not in of_the_server]
    # the rest of this names the timeline of the server
    assert found.pop("relay")[:2] == expected.pop("relay")[:2]
    assert found == expected
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("DROP TABLE {}").format(Identifier(outbox_name(content.schema))))


def test_a_wait_for_a_lock_ends_when_the_database_says(subject: OnPostgres) -> None:
    contention: list[Contention] = []
    timeout = timedelta(seconds=DEADLINE_SECONDS)
    impatient = PostgresStore(
        subject.url, schema=subject.schema, statement_timeout=timeout, on_contention=contention.append
    )
    arrive(subject, encode(identify("ann", at=1)), now=day(2))
    with psycopg.connect(subject.url) as busy:
        use_schema(busy, subject.schema)
        busy.execute("UPDATE rollbook.users SET identify_stamps = identify_stamps")

        with pytest.raises(Unavailable, match="lock"):
            impatient.apply([ReceivedJob.of(encode(identify("ann", at=2, job="later")))], now=day(3))

    assert contention == [Contention.TIMEOUT]
    impatient.close()


def test_it_moves_to_another_node_and_back_while_jobs_are_applied(subject: OnPostgres) -> None:
    with psycopg.connect(subject.url, autocommit=True) as connection:
        nodes = connection.execute(
            "SELECT nodename, nodeport FROM pg_dist_node WHERE isactive AND noderole = 'primary' AND shouldhaveshards"
        ).fetchall()
        (home,) = connection.execute(
            "SELECT DISTINCT nodename, nodeport FROM citus_shards WHERE table_name::text LIKE %s",
            (f"{subject.schema}.%",),
        ).fetchall()
        if not (others := [node for node in nodes if node != home]):
            pytest.skip("the cluster has one node for data")
        applied: list[str] = []
        applied_before: list[int] = []
        failures: list[Exception] = []
        ends = threading.Event()

        def write() -> None:
            try:
                for number in count():
                    if ends.is_set():
                        return
                    job = identify(f"user-{number % 50}", at=1, plus=number, job=f"job-{number}")
                    arrive(subject, encode(job), now=day(9))
                    applied.append(job.id)
            except Exception as error:
                failures.append(error)

        writer = threading.Thread(target=write)
        writer.start()
        for node in (others[0], home):
            connection.execute("SELECT citus_schema_move(%s, %s, %s)", (subject.schema, *node))
            applied_before.append(len(applied))
            wait_until(lambda: len(applied) > applied_before[-1] + 10 or bool(failures), what="jobs after the move")
        ends.set()
        writer.join(DEADLINE_SECONDS)

    assert failures == []
    assert sorted(subject.ledger()) == sorted(applied)
