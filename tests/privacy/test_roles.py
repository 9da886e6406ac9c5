"""Each process works under a role that may do nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL, Identifier
from tests.support.builders import DAY, NOW, delete, identify, merge, trigger
from tests.support.privacy.roles import Login
from tests.support.stores import OnPostgres
from tests.support.waits import DEADLINE_SECONDS
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_ops.relay.relay import Relay
from rollbook_shared.database.tables import metadata
from rollbook_shared.errors import NotConfigured
from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.settings import Settings
from rollbook_worker.maintenance.periodic import periodic_tasks
from rollbook_worker.store import PostgresStore, ReceivedJob

TABLES = sorted(table.name for table in metadata.tables.values())


def test_worker_and_maintenance_run_under_the_worker_role(
    login: Login, owner_url: str, broker_url: str, tmp_path: Path
) -> None:
    workers = Workers(login("rollbook_worker"), broker_url, tmp_path)
    with Rollbook(database_url=owner_url, broker_url=broker_url) as rb:
        try:
            worker = workers.start()
            maintenance = workers.start_maintenance()
            soon = datetime.now(UTC) + timedelta(seconds=1)
            jobs = [
                rb.users.identify("ann", {"email": "ann@example.com"}),
                rb.users.bulk_identify([{"id": "guest"}, {"id": "bo"}]),
                rb.users.set_preferences("ann", "default", {"workflows": {"w": False}}),
                rb.users.set_channel_data("ann", "apns", {"tokens": ["t"]}),
                rb.workflows.trigger("hello", ["guest", {"id": "cy"}, "nobody"], actor="bo"),
                rb.users.merge("ann", "guest"),
                rb.users.delete("bo"),
                rb.users.identify("later", {}, run_at=soon),
            ]
            states = [job.wait(DEADLINE_SECONDS).state for job in jobs]
            marked = [rb.messages.mark([message.id], "read") for message in rb.messages.list("ann").items]
            states += [job.wait(DEADLINE_SECONDS).state for job in marked]
            assert states == ["applied"] * 9
            assert worker.poll() is None
            assert maintenance.poll() is None
        finally:
            workers.stop()


def test_every_periodic_task_runs_under_the_worker_role(login: Login, owner_url: str) -> None:
    store = PostgresStore(login("rollbook_worker"))
    jobs: list[Job] = [
        identify("old", at=1, job="one", plan="pro"),
        identify("other", at=1, job="two"),
        merge("other", "old", at=2, job="three"),
        trigger("hello", "other", at=3, job="four"),
        delete("other", at=4, job="five"),
    ]
    store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=NOW)
    store.apply([ReceivedJob.of("junk")], now=NOW)

    for task in periodic_tasks(store):
        task.work(NOW + 400 * DAY)

    store.close()
    assert not {"old", "other"} & set(OnPostgres(owner_url).world()["users"])


@pytest.mark.parametrize("role", ["rollbook_worker", "rollbook_reader", "rollbook_operator", "rollbook_relay"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE rollbook.mine (id text)",
        "DROP TABLE rollbook.users",
        "ALTER TABLE rollbook.users ADD COLUMN mine text",
        "TRUNCATE rollbook.users",
        "DROP SCHEMA rollbook CASCADE",
        "SELECT * FROM accounts",
        "INSERT INTO accounts VALUES ('x')",
        "INSERT INTO rollbook_outbox (id, digest, kind, body) VALUES ('x', '', 'x', 'x')",
        "COPY rollbook.users TO PROGRAM 'cat'",
        "CREATE ROLE mine",
    ],
)
def test_no_role_may_change_or_leave_the_schema(login: Login, role: str, statement: str) -> None:
    with psycopg.connect(login(role)) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement.encode())


def test_a_reader_may_not_write(login: Login, owner_url: str) -> None:
    PostgresStore(owner_url).apply([ReceivedJob.of(encode(identify("dee", at=1))), ReceivedJob.of("read me")], now=NOW)
    url = login("rollbook_reader")
    with Rollbook(database_url=url) as rb:
        assert rb.users.get("dee").id == "dee"
        assert rb.users.list(where={"plan": "none"}).items == ()
        assert rb.users.list(prefix="nobody", sort="-updated_at").items == ()
        assert rb.users.find(email="none@example.com") == ()
        assert rb.users.count(where={"plan": "none"}).value == 0
        assert rb.jobs.list(state="applied", kind="identify", user_id="dee").items[0].state == "applied"
        assert rb.jobs.list(state="dead").items[0].state == "dead"
        assert rb.users.list_preferences("dee") == {}
        assert rb.users.get_channel_data("dee", "apns") is None
        assert rb.users.merge("dee", "stranger", dry_run=True).effect == "redirect"
        assert rb.feeds.list("dee").items == ()
        assert rb.messages.list("dee").items == ()
        assert rb.activities.list("dee").items == ()
        assert rb.jobs.get("identify:dee:1").state == "applied"
        assert rb.jobs.list_deferred().items == ()
        dead_letter = rb.jobs.list_dead_letters().items[0]
        assert rb.jobs.get(dead_letter.id).state == "dead"
        for rejected in (rb.jobs.cancel, rb.jobs.drop, rb.jobs.get_dead_letter, rb.users.export):
            with pytest.raises(NotConfigured, match="may not"):
                rejected(dead_letter.id)

    with psycopg.connect(url, autocommit=True) as connection:
        for table in TABLES:
            name = Identifier("rollbook", table)
            for statement in ("DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES"):
                with pytest.raises(InsufficientPrivilege):
                    connection.execute(SQL(statement).format(name))
        for table in ("dead_letters", "deferred_jobs"):
            with pytest.raises(InsufficientPrivilege):
                connection.execute(SQL("SELECT body FROM {}").format(Identifier("rollbook", table)))


def test_an_operator_may_show_drop_and_cancel(login: Login, owner_url: str) -> None:
    ahead = encode(identify("ed", at=1_000, job="ahead"))
    PostgresStore(owner_url).apply([ReceivedJob.of("show me"), ReceivedJob.of(ahead)], now=NOW)
    with Rollbook(database_url=login("rollbook_operator")) as rb:
        dead_letters = [
            dead_letter
            for dead_letter in rb.jobs.list_dead_letters().items
            if rb.jobs.get_dead_letter(dead_letter.id).body == "show me"
        ]

        assert [rb.jobs.drop(dead_letter.id) for dead_letter in dead_letters] == [True]
        assert rb.jobs.cancel("ahead")
        assert rb.jobs.get("ahead").state == "cancelled"
        assert rb.users.export("ed")


def test_a_backend_may_only_write_its_outbox(login: Login) -> None:
    with psycopg.connect(login("rollbook_outbox")) as connection:
        rb = Rollbook()
        for _ in range(2):
            rb.outbox(connection).users.identify("fay", {}, job_id="from-outbox")
        connection.commit()

        for statement in (
            "SELECT id FROM rollbook_outbox",
            "UPDATE rollbook_outbox SET body = ''",
            "DELETE FROM rollbook_outbox",
            "INSERT INTO rollbook_outbox (id, digest, kind, body, sent_at) VALUES ('x', '', 'x', 'x', now())",
            "SELECT id FROM rollbook.users",
        ):
            with pytest.raises(InsufficientPrivilege), connection.transaction():
                connection.execute(statement.encode())


def test_a_relay_sends_and_reconciles_under_its_role(login: Login, owner_url: str, broker_url: str) -> None:
    with psycopg.connect(owner_url) as connection:
        Rollbook().outbox(connection).users.identify("gus", {}, job_id="to-relay")
    url = login("rollbook_relay")
    relay = Relay.from_settings(
        Settings(broker_url=broker_url, database_url=url, outbox_url=url, outbox_resend=timedelta(seconds=60))
    )
    assert relay.send() >= 1
    with psycopg.connect(owner_url) as connection:
        connection.execute("UPDATE rollbook_outbox SET due_at = now()")
        bodies = [body for (body,) in connection.execute("SELECT body FROM rollbook_outbox")]
    outcomes = PostgresStore(owner_url).apply(list(map(ReceivedJob.of, bodies)), now=NOW * 2)

    assert relay.reconcile() == len(bodies)

    relay.close()
    assert {outcome.state for outcome in outcomes} == {JobState.APPLIED}
    with psycopg.connect(owner_url) as connection:
        assert connection.execute("SELECT count(*) FROM rollbook_outbox").fetchone() == (0,)


def test_the_worker_role_may_use_tables_of_later_migrations(login: Login, owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE rollbook.later (id text)")
    try:
        with psycopg.connect(login("rollbook_worker")) as worker, psycopg.connect(login("rollbook_reader")) as reader:
            worker.execute("INSERT INTO rollbook.later VALUES ('x')")
            worker.commit()
            assert reader.execute("SELECT id FROM rollbook.later").fetchone() == ("x",)
    finally:
        with psycopg.connect(owner_url, autocommit=True) as owner:
            owner.execute("DROP TABLE rollbook.later")
