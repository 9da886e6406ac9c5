"""Each process works under a role that may do nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL, Identifier
from tests.support.builders import DAY, NOW, delete, identify, merge, trigger, user
from tests.support.console.visitors import CONSOLE, Accounts
from tests.support.privacy.roles import Login
from tests.support.server.running_server import run_server
from tests.support.stores import OnPostgres
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook
from rollbook_ops.relay.relay import Relay
from rollbook_server.console.roles import Role
from rollbook_server.settings import ServerSettings
from rollbook_shared.database.tables import metadata
from rollbook_shared.errors import NotConfigured
from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job, Trigger
from rollbook_shared.registry import parse_registry
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
            wait_until(rb.measurements.list, what="a measurement")
            assert worker.poll() is None
            assert maintenance.poll() is None
        finally:
            workers.stop()


def test_every_periodic_task_runs_under_the_worker_role(login: Login, owner_url: str) -> None:
    store = PostgresStore(login("rollbook_worker"), message_retention=timedelta(days=3_650))
    jobs: list[Job] = [
        identify("old", at=1, job="one", plan="pro"),
        identify("other", at=1, job="two"),
        merge("other", "old", at=2, job="three"),
        trigger("hello", "other", at=3, job="four"),
        delete("other", at=4, job="five"),
    ]
    store.apply([ReceivedJob.of(encode(job)) for job in jobs], now=NOW)
    store.apply([ReceivedJob.of("junk")], now=NOW)

    for task in periodic_tasks(store, now=NOW + 400 * DAY):
        task.work()

    store.close()
    assert not {"old", "other"} & set(OnPostgres(owner_url).world()["users"])


@pytest.mark.parametrize(
    "role",
    [
        "rollbook_worker",
        "rollbook_server",
        "rollbook_console",
        "rollbook_reader",
        "rollbook_operator",
        "rollbook_sender",
        "rollbook_relay",
    ],
)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE rollbook.mine (id text)",
        "DROP TABLE rollbook.users",
        "DROP TABLE rollbook.messages",
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


@pytest.mark.parametrize("table", ["alembic_version", "store"])
def test_only_the_owner_says_which_schema_and_which_store_this_is(login: Login, table: str) -> None:
    name = Identifier("rollbook", table)
    with psycopg.connect(login("rollbook_worker"), autocommit=True) as connection:
        assert connection.execute(SQL("SELECT FROM {}").format(name)).rowcount == 1
        for statement in ("DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES"):
            with pytest.raises(InsufficientPrivilege):
                connection.execute(SQL(statement).format(name))


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
        assert rb.jobs.list(user_id="dee").items[-1].state == "applied"
        assert rb.users.explain("dee").id == "dee"
        assert rb.messages.explain_recipient("none", "dee") is None
        assert rb.users.list_preferences("dee") == {}
        assert rb.users.get_channel_data("dee", "apns") is None
        assert rb.users.merge("dee", "stranger", dry_run=True).effect == "redirect"
        assert rb.feeds.list("dee").items == ()
        assert rb.messages.list("dee").items == ()
        assert rb.activities.list("dee").items == ()
        assert rb.jobs.get("identify:dee:1").state == "applied"
        assert rb.jobs.list_deferred().items == ()
        assert rb.jobs.count_dead_letters()[0].code == "malformed"
        assert rb.measurements.list() is not None
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
        with pytest.raises(InsufficientPrivilege):
            connection.execute("SELECT user_ids FROM rollbook.dead_letters")


def test_the_http_server_may_cancel_and_write_nothing_else(login: Login, owner_url: str) -> None:
    ahead = encode(identify("gil", at=1_000, job="gil-ahead"))
    PostgresStore(owner_url).apply([ReceivedJob.of(ahead), ReceivedJob.of("not for the server")], now=NOW)
    url = login("rollbook_server")
    with Rollbook(database_url=url) as rb:
        assert rb.jobs.cancel("gil-ahead")
        assert rb.jobs.get("gil-ahead").state == "cancelled"

    with psycopg.connect(url, autocommit=True) as connection:
        for table in TABLES:
            name = Identifier("rollbook", table)
            insert = ["INSERT INTO {} DEFAULT VALUES"] * (table != "delivery_rates")  # a claim counts what it takes
            delete = ["DELETE FROM {}"] * (table != "deferred_jobs")  # a cancelled job leaves
            for statement in (*insert, *delete):
                with pytest.raises(InsufficientPrivilege):
                    connection.execute(SQL(statement).format(name))
        for statement in (
            "SELECT body FROM rollbook.deferred_jobs",
            "SELECT body FROM rollbook.dead_letters",
            "UPDATE rollbook.jobs SET kind = 'x'",
            "UPDATE rollbook.deferred_jobs SET due_at = now()",
        ):
            with pytest.raises(InsufficientPrivilege):
                connection.execute(statement.encode())


def test_the_console_runs_under_its_role_and_cannot_rewrite_the_audit(
    login: Login, owner_url: str, broker_url: str
) -> None:
    url = login("rollbook_console")
    with run_server(url, broker_url, ServerSettings(), console=CONSOLE, worker_database_url=owner_url) as server:
        accounts = Accounts(url, server.url)
        admin = accounts.visitor("ada", Role.ADMIN, sees_personal_data=True)

        pages = [admin.get(page).status_code for page in ("", "/users", "/audit", "/accounts", "/account")]
        added = admin.post("/accounts", {"name": "bo", "role": "operator"}, on="/accounts")
        removed = admin.post("/accounts/bo/remove", on="/accounts")

        assert pages == [200] * 5
        assert [added.status_code, removed.status_code] == [303, 303]
        assert [entry.outcome for entry in accounts.audit(account="ada")] == ["done"] * 3
    for statement in ("SET account = 'x'", "SET at = now()", "SET action = 'x'"):
        with psycopg.connect(url) as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(f"UPDATE rollbook.console_audit {statement}".encode())
    with psycopg.connect(url) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute("DELETE FROM rollbook.console_audit")


@pytest.mark.parametrize("role", ["worker", "server", "reader", "operator", "sender", "relay"])
def test_no_other_role_reads_who_may_use_the_console_and_what_they_did(login: Login, role: str) -> None:
    statements = ["SELECT name FROM rollbook.console_accounts", "SELECT account FROM rollbook.console_sessions"]
    statements += ["SELECT account FROM rollbook.console_audit", "INSERT INTO rollbook.console_accounts VALUES ('x')"]
    statements += ["SELECT account FROM rollbook.console_login_tokens"]
    for statement in statements:
        with psycopg.connect(login(f"rollbook_{role}")) as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(statement.encode())


@pytest.mark.parametrize("role", ["rollbook_operator", "rollbook_console"])
def test_an_operator_may_show_drop_and_cancel(login: Login, owner_url: str, role: str) -> None:
    ahead = encode(identify("ed", at=1_000, job=f"ahead-{role}"))
    PostgresStore(owner_url).apply([ReceivedJob.of("show me"), ReceivedJob.of(ahead)], now=NOW)
    with Rollbook(database_url=login(role)) as rb:
        dead_letters = [
            dead_letter
            for dead_letter in rb.jobs.list_dead_letters().items
            if rb.jobs.get_dead_letter(dead_letter.id).body == "show me"
        ]

        assert dead_letters[0].id in {each.id for each in rb.jobs.replay_dead_letters("malformed").unsent}
        assert [rb.jobs.drop(dead_letter.id) for dead_letter in dead_letters] == [True]
        assert rb.jobs.drop_dead_letters("id_reused") == 0
        assert rb.jobs.cancel(f"ahead-{role}")
        assert rb.jobs.get(f"ahead-{role}").state == "cancelled"
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
    look_again = "UPDATE rollbook_outbox SET due_at = now()"
    assert relay.send() >= 1
    with psycopg.connect(owner_url) as connection:
        connection.execute(look_again)
        bodies = [body for (body,) in connection.execute("SELECT body FROM rollbook_outbox")]
    outcomes = PostgresStore(owner_url).apply(list(map(ReceivedJob.of, bodies)), now=NOW * 2)

    for _ in range(2):
        assert relay.reconcile() == len(bodies)
        with psycopg.connect(owner_url) as connection:
            connection.execute(look_again)

    relay.close()
    assert {outcome.state for outcome in outcomes} == {JobState.APPLIED}
    with psycopg.connect(owner_url) as connection:
        assert connection.execute("SELECT count(*) FROM rollbook_outbox").fetchone() == (0,)


CUT = "SELECT rollbook.cut_history('messages', 'f0000000000000')"
DROP = "SELECT rollbook.drop_history('messages', 'f0000000000000')"


def test_only_the_worker_role_may_make_and_drop_partitions(login: Login) -> None:
    with psycopg.connect(login("rollbook_worker")) as worker:
        worker.execute(CUT)
        assert worker.execute(DROP).fetchone() != (None,)
        worker.rollback()
    for role in ("rollbook_server", "rollbook_console", "rollbook_operator", "rollbook_sender"):
        for statement in (CUT, DROP):
            with psycopg.connect(login(role)) as connection, pytest.raises(InsufficientPrivilege):
                connection.execute(statement.encode())


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


def test_a_sender_claims_and_reports_under_its_role(
    login: Login, owner_url: str, broker_url: str, tmp_path: Path
) -> None:
    registry = tmp_path / "registry.toml"
    registry.write_text('[channels.mail]\ntype = "email"\ndelivery = "claim"\nskip_seen = true\nper_second = 100')
    store = PostgresStore(owner_url, registry=lambda: parse_registry(registry.read_text()))
    now = store.now()
    people = tuple(user(id_, email=f"{id_}@example.com") for id_ in ("ann", "bo", "cy"))
    trigger_job = Trigger(
        id="to-send", occurred_at=now, workflow="hello", recipients=people, actor="ann", channels=("email",)
    )
    store.apply([ReceivedJob.of(encode(trigger_job))])
    store.close()
    url = login("rollbook_sender")

    with Rollbook(database_url=url, broker_url=broker_url, registry=str(registry)) as rb:
        sent, failed, released = rb.deliveries.claim("mail")
        rb.deliveries.sent(sent)
        rb.deliveries.failed(failed, "no")
        rb.deliveries.release(released)
        rb.deliveries.token_gone(released, "token")
        assert [each.id for each in rb.deliveries.list(state="failed").items] == [failed.id]
        assert rb.deliveries.list(user_id="ann").items
        assert rb.deliveries.cancel(failed.id)
        assert rb.deliveries.retry(failed.id)
        with pytest.raises(NotConfigured):
            rb.jobs.list()
    for statement in (
        "UPDATE rollbook.users SET profile = '{}'",
        "DELETE FROM rollbook.deliveries",
        "UPDATE rollbook.deliveries SET message_id = message_id",
        "INSERT INTO rollbook.messages SELECT * FROM rollbook.messages",
        "SELECT body FROM rollbook.deferred_jobs",
    ):
        with psycopg.connect(url) as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(statement.encode())
