"""Everything works behind a PgBouncer in transaction mode, whose few sessions all clients share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from tests.support.builders import identify
from tests.support.databases import LendDatabase, administer, with_database
from tests.support.sessions.answers import all_answers, prepare
from tests.support.sessions.pgbouncer import KEEPS_STATEMENTS, PgBouncer, needs_pgbouncer, running_pgbouncer, version
from tests.support.sessions.settings import ANSWERS, OURS, make

from rollbook import AsyncRollbook, NotConfigured, Rollbook, Unavailable
from rollbook.database import Database
from rollbook_ops.devstack import Servers
from rollbook_ops.doctor import Level
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_shared.database.async_connection import async_timeout_connection
from rollbook_shared.database.session import open_async_session, open_session
from rollbook_shared.database.shared_sessions import async_transaction, transaction
from rollbook_shared.database.store_id import read_store_id
from rollbook_shared.database.timeouts import timeout_connection
from rollbook_shared.jobs.codec import encode
from rollbook_shared.settings import Settings
from rollbook_worker.maintenance.gauges import ServerGauges
from rollbook_worker.migrations.optional_indexes import create_index
from rollbook_worker.migrations.runner import migrate
from rollbook_worker.store import PostgresStore, ReceivedJob

pytestmark = needs_pgbouncer

SESSIONS: Final = 2
THREADS: Final = 8
READS: Final = 25
"""Of each thread: more than it takes until psycopg prepares a statement."""
LONG: Final = timedelta(minutes=1)
OF_SESSIONS: Final = {
    "default_transaction_isolation",
    "default_transaction_read_only",
    "default_transaction_deferrable",
    "idle_session_timeout",
    "tcp_user_timeout",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_keepalives_count",
}
"""What only the beginning of a transaction says, or the pooler."""
SHOWN: Final = sorted(OURS.keys() - OF_SESSIONS)
PLACED: Final = {
    **ANSWERS,
    "statement_timeout": "9min",
    "lock_timeout": "9min",
    "idle_in_transaction_session_timeout": "9min",
    "synchronous_commit": "off",
}
"""The settings of others. Behind a pooler their timeouts count for the message that begins a transaction."""


@pytest.fixture(scope="module", params=["ignores", "rejects"])
def pooler(request: pytest.FixtureRequest, servers: Servers) -> Iterator[PgBouncer]:
    """It ignores the settings with which a connection starts, or rejects the connection."""
    more = {"ignore_startup_parameters": "options"} if request.param == "ignores" else {}
    with running_pgbouncer(servers.database_url, pool_size=SESSIONS, **more) as pooler:
        yield pooler


@pytest.fixture
def hostile(fresh_database_url: str) -> Iterator[str]:
    """The URL of Postgres itself, for a database that sets everything the other way round."""
    name = sql.Identifier(fresh_database_url.rpartition("/")[2])
    server = with_database(fresh_database_url, "postgres")
    for setting, value in PLACED.items():
        listed = sql.SQL(value) if setting == "datestyle" else sql.Literal(value)
        administer(server, sql.SQL("ALTER DATABASE {} SET {} = {}").format(name, sql.Identifier(setting), listed))
    try:
        yield fresh_database_url
    finally:
        administer(server, sql.SQL("ALTER DATABASE {} RESET ALL").format(name))


@pytest.fixture(scope="module")
def ordinary(new_database: LendDatabase) -> dict[str, Any]:
    """What is answered without a pooler, where nothing is set."""
    url = new_database()
    prepare(url)
    return all_answers(url)


def test_every_answer_is_the_same(pooler: PgBouncer, hostile: str, ordinary: dict[str, Any]) -> None:
    prepare(hostile)

    answers = all_answers(pooler.before(hostile), direct_url=hostile)

    doctor = [finding for finding in answers["doctor"] if finding != ("pooler", "ok")]
    assert answers | {"doctor": doctor} == ordinary
    assert len(doctor) == len(answers["doctor"]) - 1


def test_each_transaction_has_our_settings_and_leaves_none(pooler: PgBouncer, hostile: str) -> None:
    url = pooler.before(hostile)
    before = settings_of_sessions(url)

    with open_session(make(url), timeout_connection(LONG)) as connection:
        with transaction(connection):
            found = show(connection)
        with pytest.raises(psycopg.errors.DivisionByZero), transaction(connection):
            connection.execute("SELECT 1/0")

    assert found == {name: value for name, value in OURS.items() if name in found}
    assert settings_of_sessions(url) == before
    assert before["search_path"] == ANSWERS["search_path"]


def test_an_asynchronous_transaction_has_the_same_settings(pooler: PgBouncer, hostile: str) -> None:
    async def found() -> dict[str, str]:
        connection = await open_async_session(make(pooler.before(hostile)), async_timeout_connection(LONG))
        async with connection, async_transaction(connection, "ISOLATION LEVEL READ COMMITTED READ ONLY"):
            cursors = {name: await connection.execute(f"SHOW {name}".encode()) for name in SHOWN}
            return {name: (await cursor.fetchone())[0] for name, cursor in cursors.items()}  # type: ignore[index]

    assert asyncio.run(found()) == {name: OURS[name] for name in SHOWN}


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ("-c statement_timeout=1234ms", "statement_timeout", "1234ms"),
        ("--lock-timeout=77ms", "lock_timeout", "77ms"),
        ("-csynchronous_commit=off", "synchronous_commit", "off"),
        ("-c search_path=public", "search_path", OURS["search_path"]),
        ("-c application_name=it\\'s\\ \\\\odd", "application_name", "it's \\odd"),
    ],
)
def test_what_the_url_says_goes_with_each_transaction(
    pooler: PgBouncer, database_url: str, options: str, name: str, value: str
) -> None:
    url = f"{pooler.before(database_url)}?options={quote(options)}"

    with open_session(make(url), timeout_connection(LONG)) as connection, transaction(connection):
        assert connection.execute(f"SHOW {name}".encode()).fetchone() == (value,)


@pytest.mark.parametrize("prepares", [False, True])
def test_reads_by_many_threads_and_tasks_share_the_few_sessions(
    pooler: PgBouncer, hostile: str, prepares: bool
) -> None:
    if prepares and version() < KEEPS_STATEMENTS:
        pytest.skip(f"needs PgBouncer {'.'.join(map(str, KEEPS_STATEMENTS))} or newer, for prepared statements")
    url = pooler.before(hostile) + ("?prepare_threshold=3" if prepares else "")
    store = PostgresStore(url)
    store.apply([ReceivedJob.of(encode(identify(f"u{number}", at=1, n=number))) for number in range(READS)])
    store.close()
    expected = [list(range(READS))] * THREADS

    with Rollbook(database_url=url) as rb, ThreadPoolExecutor(THREADS) as threads:

        def read(_: int) -> list[object]:
            return [rb.users.get(f"u{number}").properties["n"] for number in range(READS)]

        assert list(threads.map(read, range(THREADS))) == expected

    async def read_all() -> list[list[object]]:
        async with AsyncRollbook(database_url=url) as rb:

            async def read() -> list[object]:
                return [(await rb.users.get(f"u{number}")).properties["n"] for number in range(READS)]

            return await asyncio.gather(*(read() for _ in range(THREADS)))

    assert asyncio.run(read_all()) == expected
    assert len(sessions_of(hostile)) <= SESSIONS
    assert bool(prepared_statements(pooler.before(hostile))) == prepares


def test_each_transaction_of_a_relay_has_our_search_path(pooler: PgBouncer, hostile: str) -> None:
    table = OutboxTable(pooler.before(hostile))
    table.create()
    found = []

    for _ in range(2):
        with table.transaction() as outbox:
            found.append(outbox.cursor.execute("SHOW search_path").fetchone())
            outbox.claim_unsent()

    table.close()
    assert found == [(OURS["search_path"],)] * 2


def test_a_client_cannot_write_where_it_reads(pooler: PgBouncer, database_url: str) -> None:
    database = Database(pooler.before(database_url))

    with pytest.raises(NotConfigured, match="read-only"), database.connect() as connection:
        connection.execute("DELETE FROM rollbook.jobs")
    database.close()


def test_what_reads_by_itself_does_it_here_too(pooler: PgBouncer, database_url: str) -> None:
    url = pooler.before(database_url)

    assert read_store_id(url) == read_store_id(database_url)
    up = next(iter(ServerGauges(Settings(database_url=url)).collect()))
    assert {sample.labels["server"]: sample.value for sample in up.samples}["postgres"] == 1
    found = {finding.name: finding.level for finding in examine_postgres(Settings(database_url=url), time.time)}
    assert found["pooler"] == found["migrations"] == found["deliveries"] == Level.OK


def test_what_needs_a_session_of_its_own_says_so(pooler: PgBouncer, database_url: str) -> None:
    url = pooler.before(database_url)

    tries: list[Callable[[], object]] = [lambda: migrate(url), lambda: create_index(url, "prefix")]
    for attempt in tries:
        with pytest.raises((NotConfigured, Unavailable), match=r"PgBouncer .* the address of Postgres itself"):
            attempt()


def show(connection: psycopg.Connection) -> dict[str, str]:
    return {name: connection.execute(f"SHOW {name}".encode()).fetchone()[0] for name in SHOWN}  # type: ignore[index]


def settings_of_sessions(url: str) -> dict[str, str]:
    """As another program finds them in the sessions of the pooler."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        return show(connection)


def prepared_statements(url: str) -> list[str]:
    """Those of one of the sessions of the pooler."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM pg_prepared_statements")]


def sessions_of(url: str) -> list[int]:
    """The processes of a database, without the one that asks."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in found]
