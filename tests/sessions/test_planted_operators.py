"""A weak role that may create in `public` has none of its operators, functions, casts and types run by others: not by a
worker, maintenance, a reader, an operator, the relay, the doctor, or the owner. None of them is a superuser.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from tests.support.builders import DAY, NOW, delete, identify, mark, merge, set_preferences, trigger, user
from tests.support.databases import administer, drop_database, with_database
from tests.support.privacy.roles import Login, grant_outbox, make_roles
from tests.support.sessions.plants import HIJACKED, plant

from rollbook import Rollbook
from rollbook.publishing.outbox_insert import HAS_TRACE_COLUMN
from rollbook_ops.devstack import Servers
from rollbook_ops.doctor import Level
from rollbook_ops.doctor.outbox import examine_outbox
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_ops.relay.finished_jobs import FinishedJobs
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.settings import Settings
from rollbook_worker.maintenance.periodic import periodic_tasks
from rollbook_worker.migrations.optional_indexes import create_index, drop_index
from rollbook_worker.migrations.runner import migrate
from rollbook_worker.store import PostgresStore, ReceivedJob

VIEWS: Final = ("current_users", "merged_users", "owned_messages", "owned_activities", "ownership")

MakeLogin = Callable[..., str]


@pytest.fixture(scope="module")
def make_login(servers: Servers) -> Iterator[MakeLogin]:
    """The URL of a login on a database, in some roles; never a superuser."""
    made: list[str] = []

    def make(database: str, *roles: str) -> str:
        name, password = f"login_{secrets.token_hex(6)}", secrets.token_hex(16)
        create = sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER PASSWORD {}")
        administer(servers.database_url, create.format(sql.Identifier(name), sql.Literal(password)))
        made.append(name)
        for role in roles:
            grant = sql.SQL("GRANT {} TO {}")
            administer(servers.database_url, grant.format(sql.Identifier(role), sql.Identifier(name)))
        parts = urlsplit(with_database(servers.database_url, database))
        return parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port}").geturl()

    yield make
    for name in made:
        administer(servers.database_url, sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def owner_url(servers: Servers, make_login: MakeLogin) -> Iterator[str]:
    """The owner of a database in whose schema `public` another role has planted what it could, before anything else."""
    database = f"planted_{secrets.token_hex(4)}"
    owner, weak = make_login(database), make_login(database)
    owner_name, weak_name = (sql.Identifier(urlsplit(url).username or "") for url in (owner, weak))
    server = servers.database_url
    administer(server, sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), owner_name))
    administer(with_database(server, database), sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(weak_name))
    with psycopg.connect(weak, autocommit=True) as connection:
        plant(connection)
    migrate(owner)
    table = OutboxTable(owner)
    table.create()
    table.close()
    make_roles(with_database(server, database))
    yield owner
    drop_database(server, database)


@pytest.fixture(scope="module")
def login(owner_url: str, make_login: MakeLogin) -> Login:
    return lambda role: make_login(urlsplit(owner_url).path[1:], role)


@pytest.fixture(scope="module")
def worker_url(login: Login) -> str:
    return login("rollbook_worker")


@pytest.fixture(scope="module")
def applied(worker_url: str) -> list[str]:
    """The states of a history that a worker has applied."""
    store = PostgresStore(worker_url)
    jobs: list[Job] = [
        identify("ann", at=1, name="Änn", email="Ann@example.com", created_at="2024-01-05T10:00:00+05:30"),
        identify("ann", at=3, plan="pro"),
        identify("ann", at=2, plan="free", theme="dark"),
        set_preferences("ann", "default", {"workflows": {"news": False}, "categories": {"c": True}}, at=3),
        trigger("hello", ["ann", "guest", "nobody", user("bo")], actor="ann", at=4, categories=("c",)),
        mark([message_id("trigger:hello:4", "ann", "in_app")], "read", at=5),
        merge("ann", "guest", at=5),
        delete("bo", at=6),
        identify("later", at=301, job="later"),
        identify("never", at=900, job="never"),
    ]
    received = [ReceivedJob.of(encode(job)) for job in jobs]
    outcomes = store.apply([*received, ReceivedJob.of("junk")], now=NOW)
    outcomes += store.apply(received, now=NOW)
    store.close()
    return [outcome.state.value for outcome in outcomes]


def test_what_is_planted_is_run_by_who_takes_no_care(owner_url: str) -> None:
    """The control: otherwise nothing is tested here."""
    careless = (
        "SELECT 2::bigint * interval '1 microsecond'",
        "SELECT to_jsonb('x'::text)",
        "SELECT 1 FROM pg_class WHERE oid = to_regclass('pg_class')",
        "SELECT '{}'::jsonb ->> 'a'::varchar",
    )
    with psycopg.connect(owner_url, autocommit=True) as connection:
        for statement in careless:
            with pytest.raises(psycopg.errors.RaiseException, match=HIJACKED):
                connection.execute(statement.encode())


def test_a_worker_runs_nothing_of_it(applied: list[str]) -> None:
    assert applied == [*["applied"] * 8, *["deferred"] * 2, "dead", *["duplicate"] * 10]


def test_a_reader_runs_nothing_of_it(applied: list[str], login: Login) -> None:
    with Rollbook(database_url=login("rollbook_reader")) as rb:
        assert rb.users.get("ann").properties == {"plan": "pro", "theme": "dark"}
        assert [user.id for user in rb.users.list(sort="-created_at", prefix="a").items] == ["ann"]
        assert [user.id for user in rb.users.find(email="ann@EXAMPLE.com")] == ["ann"]
        assert rb.users.list(where={"plan": "pro"}).items
        assert rb.users.count().value == 1
        assert rb.users.list_preferences("ann")
        assert rb.users.get_channel_data("ann", "push") is None
        assert rb.users.merge("ann", "stranger", dry_run=True).effect == "redirect"
        assert rb.feeds.list("ann").total == 1
        assert rb.messages.list("ann").items
        assert rb.activities.list("ann").items
        assert rb.jobs.wait("identify:ann:1", timeout=0).state == "applied"
        assert rb.jobs.list(user_id="ann").items
        assert rb.jobs.list(state="dead").items
        assert rb.jobs.list_deferred().items
        assert rb.jobs.list_dead_letters().items


def test_an_operator_runs_nothing_of_it(applied: list[str], login: Login) -> None:
    with Rollbook(database_url=login("rollbook_operator")) as rb:
        assert rb.jobs.cancel("never")
        assert rb.users.export("ann")
        (dead,) = rb.jobs.list_dead_letters().items
        assert rb.jobs.get_dead_letter(dead.id).body == "junk"
        assert rb.jobs.drop(dead.id)


def test_a_relay_runs_nothing_of_it(applied: list[str], login: Login, owner_url: str) -> None:
    with psycopg.connect(owner_url) as backend:
        assert backend.execute(HAS_TRACE_COLUMN.encode()).fetchall() == [(1,)]
        Rollbook().outbox(backend).users.identify("ann", {"plan": "free"}, job_id="sent")
    url = login("rollbook_relay")
    table, finished = OutboxTable(url), FinishedJobs(url)
    with table.transaction() as outbox:
        jobs = outbox.claim_unsent()
        outbox.mark_sent(jobs, first_check=timedelta())
    with table.transaction() as outbox:
        keys = outbox.claim_sent()
        assert finished.among(keys, outbox.read_bodies).jobs == set()
        outbox.reschedule(keys, first_check=timedelta(), resend=timedelta())
        assert outbox.count().unsent == 1
        outbox.remove(keys)
    table.close()
    finished.close()


@pytest.mark.parametrize("who", ["owner", "rollbook_worker", "rollbook_reader"])
def test_the_doctor_runs_nothing_of_it(applied: list[str], login: Login, owner_url: str, who: str) -> None:
    settings = Settings(database_url=owner_url if who == "owner" else login(who))

    found = [*examine_postgres(settings, time.time), *examine_outbox(settings)]

    assert HIJACKED not in repr(found)
    late = {"deferred jobs", "erasure"}
    assert {finding.name for finding in found if finding.level is Level.PROBLEM} - late == (
        set() if who == "owner" else {"outbox"}
    )


def test_the_owner_who_reads_the_views_and_migrates_runs_nothing_of_it(applied: list[str], owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        for view in VIEWS:
            connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier("rollbook", view))).fetchall()
        connection.execute("UPDATE rollbook.users SET profile = profile, resolved_profile = resolved_profile")
        connection.execute("REINDEX SCHEMA rollbook")
        connection.execute("ANALYZE")
    grant_outbox(owner_url)
    migrate(owner_url)
    assert create_index(owner_url, "updated_at")
    drop_index(owner_url, "updated_at")


def test_maintenance_runs_nothing_of_it(applied: list[str], worker_url: str) -> None:
    store = PostgresStore(worker_url)

    for task in periodic_tasks(store, now=NOW + 2 * DAY):
        while task.work():
            pass

    store.close()
    with Rollbook(database_url=worker_url) as rb:
        assert rb.jobs.get("later").state == "applied"
