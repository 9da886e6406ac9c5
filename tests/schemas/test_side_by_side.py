"""Two Rollbooks in one database are two: nothing of one is seen, changed, waited for or sent by the other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from tests.support.builders import day, delete, identify
from tests.support.databases import OTHER_SCHEMA
from tests.support.operations.findings import named
from tests.support.privacy.roles import logins, make_roles
from tests.support.stores import OnPostgres, arrive
from tests.support.table_contents import everything, tables_with
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import AsyncRollbook, NotConfigured, Rollbook, UserNotFound
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_shared.database.erasure_keys import require_erasure_key
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.database.schema_cursor import use_schema
from rollbook_shared.database.store_id import read_store_id
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.observability.findings import Level
from rollbook_shared.observability.inspection import find_lock_waits
from rollbook_shared.reference.generator import generate_jobs
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference
from rollbook_shared.settings import Settings
from rollbook_worker.migrations.optional_indexes import create_index, drop_index
from rollbook_worker.migrations.runner import migrate
from rollbook_worker.store import PostgresStore, ReceivedJob

SCHEMAS = (DEFAULT_SCHEMA, OTHER_SCHEMA)


def test_each_keeps_its_own_history(here: OnPostgres, there: OnPostgres) -> None:
    now = day(200)
    histories = [generate_jobs(seed=seed, users=8, jobs=80, now=now).jobs for seed in (1, 2)]

    for number in range(80):
        for store, history in zip((here, there), histories, strict=True):
            arrive(store, *map(encode, history[number : number + 1]), now=now)

    for store, history in zip((here, there), histories, strict=True):
        assert first_difference(store.world(), oracle(history)) is None


def test_jobs_with_one_id_are_two_jobs(here: OnPostgres, there: OnPostgres) -> None:
    arrive(here, encode(identify("ann", at=1, job="one", plan="free")), now=day(2))
    arrive(there, encode(identify("ann", at=1, job="one", plan="pro")), now=day(2))

    assert (here.dead(), there.dead()) == ([], [])
    assert there.world()["users"]["ann"]["properties"] == {"plan": "pro"}


def test_a_client_of_each_kind_reads_its_own(here: OnPostgres, there: OnPostgres, shared_url: str) -> None:
    arrive(here, encode(identify("only-here", at=1)), now=day(2))
    arrive(there, encode(identify("only-there", at=1)), now=day(2))

    async def ids(schema: str) -> list[str]:
        async with AsyncRollbook(database_url=shared_url, schema=schema) as rb:
            return [user.id for user in (await rb.users.list()).items]

    for schema, own, others in ((DEFAULT_SCHEMA, "only-here", "only-there"), (OTHER_SCHEMA, "only-there", "only-here")):
        with Rollbook(database_url=shared_url, schema=schema) as rb:
            assert rb.users.get(own).id == own
            assert [user.id for user in rb.users.list().items] == [own]
            with pytest.raises(UserNotFound):
                rb.users.get(others)
        assert asyncio.run(ids(schema)) == [own]


def test_an_erasure_in_one_leaves_the_other(here: OnPostgres, there: OnPostgres) -> None:
    life: list[Job] = [identify("ann", at=1, hobby="marked-hobby"), delete("ann", at=2)]
    for store in (here, there):
        arrive(store, *map(encode, life[:1]), now=day(3))
    arrive(here, *map(encode, life[1:]), now=day(3))
    before = everything(there)

    here.store.cleanup.erase_deleted_users(now=day(9))

    assert tables_with(here, "marked-hobby") == []
    assert everything(there) == before


def test_each_has_a_store_id_of_its_own(shared_url: str) -> None:
    assert len({read_store_id(shared_url, schema) for schema in SCHEMAS}) == len(SCHEMAS)


def locks() -> dict[str, Callable[[str, str], object]]:
    """What takes a lock of a Rollbook, by the text from which the key of the lock is made."""
    return {
        "rollbook.migrations": lambda url, schema: migrate(url, schema=schema, timeout=0.0),
        "rollbook.optional_indexes": lambda url, schema: drop_index(url, "updated_at", schema),
        "rollbook.erasure_keys": _record_key,
    }


def _record_key(url: str, schema: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        use_schema(connection, schema)
        connection.execute("SET lock_timeout = '20ms'")
        require_erasure_key(connection, ["rollbook", f"key-{time.time_ns()}"][::-1])


@pytest.mark.parametrize("key", locks())
def test_no_advisory_lock_is_shared(key: str, shared_url: str) -> None:
    take = locks()[key]
    with psycopg.connect(shared_url) as other:
        use_schema(other, OTHER_SCHEMA)
        other.execute(f"SELECT pg_advisory_xact_lock(hashtextextended('{key}', 0))".encode())

        take(shared_url, DEFAULT_SCHEMA)

        with pytest.raises(Exception, match=r"lock|another process"):
            take(shared_url, OTHER_SCHEMA)


def test_one_migrates_and_builds_an_index_while_a_transaction_of_the_other_has_locked_its_tables(
    here: OnPostgres, shared_url: str
) -> None:
    with psycopg.connect(shared_url) as busy:
        busy.execute("LOCK TABLE rollbook.users, rollbook.jobs IN ACCESS EXCLUSIVE MODE")

        migrate(shared_url, schema="third", timeout=0.0)

        busy.rollback()
        busy.execute("UPDATE rollbook.users SET id = id")
    arrive(here, encode(identify("ann", at=1)), now=day(2))
    assert create_index(shared_url, "updated_at", "third")
    store = PostgresStore(shared_url, schema="third")
    try:
        (outcome,) = store.apply([ReceivedJob.of(encode(identify("ann", at=1, job="one")))], now=day(2))
        assert outcome.state == "applied"
    finally:
        store.close()


def test_the_doctor_and_the_metrics_of_one_say_nothing_of_the_other(
    here: OnPostgres, there: OnPostgres, shared_url: str
) -> None:
    arrive(there, b"no job", now=day(2))

    found = {
        schema: list(examine_postgres(Settings(database_url=shared_url, schema=schema), time.time))
        for schema in SCHEMAS
    }

    assert named(found[DEFAULT_SCHEMA], "dead letters").level is Level.OK
    assert named(found[OTHER_SCHEMA], "dead letters").level is Level.WARNING
    for findings in found.values():
        assert named(findings, "migrations").level is Level.OK


def test_a_lock_that_one_waits_for_is_not_the_others(there: OnPostgres, shared_url: str) -> None:
    arrive(there, encode(identify("ann", at=1)), now=day(2))
    later = ReceivedJob.of(encode(identify("ann", at=2, job="later")))
    waiting = threading.Thread(target=there.store.apply, args=([later],), kwargs={"now": day(3)})
    with (
        psycopg.connect(shared_url, autocommit=True) as looking,
        psycopg.connect(shared_url, autocommit=True) as looking_there,
        psycopg.connect(shared_url) as busy,
    ):
        use_schema(looking_there, OTHER_SCHEMA)
        use_schema(busy, OTHER_SCHEMA)
        busy.execute("UPDATE rollbook.users SET id = id")
        waiting.start()
        wait_until(lambda: find_lock_waits(looking_there).transactions == 1, what="the wait")

        assert find_lock_waits(looking).transactions == 0

        busy.rollback()
    waiting.join(DEADLINE_SECONDS)


def test_the_roles_of_one_may_do_nothing_in_the_other(here: OnPostgres, there: OnPostgres, shared_url: str) -> None:
    for schema in SCHEMAS:
        make_roles(shared_url, schema)
    arrive(here, encode(identify("ann", at=1)), now=day(2))

    with logins(shared_url) as login:
        for schema, other in (SCHEMAS, SCHEMAS[::-1]):
            for role in ("worker", "server", "console", "reader", "operator", "sender", "relay"):
                with psycopg.connect(login(f"{schema}_{role}")) as connection:
                    use_schema(connection, other)
                    with pytest.raises(InsufficientPrivilege):
                        connection.execute("SELECT FROM rollbook.users")
        worker = PostgresStore(login(f"{OTHER_SCHEMA}_worker"), schema=OTHER_SCHEMA)
        worker.apply([ReceivedJob.of(encode(identify("bo", at=1, job="one")))], now=day(2))
        worker.close()
        with (
            Rollbook(database_url=login(f"{OTHER_SCHEMA}_reader"), schema=OTHER_SCHEMA) as rb,
            Rollbook(database_url=login(f"{OTHER_SCHEMA}_reader")) as stranger,
        ):
            assert rb.users.get("bo").id == "bo"
            with pytest.raises(NotConfigured, match="the role in the database's URL may not do this"):
                stranger.users.get("ann")


def test_each_sends_the_jobs_of_its_own_outbox(backend_url: str) -> None:
    tables = {schema: OutboxTable(backend_url, schema) for schema in SCHEMAS}
    with psycopg.connect(backend_url) as application:
        rb = Rollbook(schema=OTHER_SCHEMA)
        with pytest.raises(NotConfigured, match="the table EU-west_outbox is missing"):
            rb.outbox(application).users.identify("ann", {})
        application.rollback()
        for table in tables.values():
            table.create()

        rb.outbox(application).users.identify("ann", {}, job_id="there")
        Rollbook().outbox(application).users.identify("bo", {}, job_id="here")

    for schema, job_id in ((DEFAULT_SCHEMA, "here"), (OTHER_SCHEMA, "there")):
        with tables[schema].transaction() as outbox:
            assert [key.id for key in outbox.claim_unsent()] == [job_id]
        tables[schema].close()


def test_coroutines_write_into_the_outbox_of_their_rollbook(backend_url: str) -> None:
    table = OutboxTable(backend_url, OTHER_SCHEMA)
    table.create()

    async def write() -> None:
        async with await psycopg.AsyncConnection.connect(backend_url) as application:
            await AsyncRollbook(schema=OTHER_SCHEMA).outbox(application).users.identify("ann", {}, job_id="there")

    asyncio.run(write())

    with table.transaction() as outbox:
        assert [key.id for key in outbox.claim_unsent()] == ["there"]
    table.close()


def test_a_read_in_a_schema_without_tables_names_the_setting(here: OnPostgres) -> None:
    with (
        Rollbook(database_url=here.url, schema="nowhere") as rb,
        pytest.raises(NotConfigured, match=r"in this schema yet; run `rollbook migrate`, or .* ROLLBOOK_SCHEMA"),
    ):
        rb.users.get("ann")
