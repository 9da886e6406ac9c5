"""The asynchronous client against real servers: many calls at once, cancellation, event loops, forks."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import threading
from datetime import timedelta

import psycopg
import pytest
from tests.support.brokers import connect_to_broker
from tests.support.event_loops import LoopThread, in_loop
from tests.support.producer.applied_jobs import Applied
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import AsyncRollbook, InvalidRequest, NotConfigured, NotSent, PoolLimits, Unavailable, UserNotFound
from rollbook.async_connection_pool import AsyncConnectionPool
from rollbook.async_database import AsyncDatabase
from rollbook.queries.query import Statement, Steps, query
from rollbook.testing import async_recording
from rollbook_shared.database.async_connection import AsyncTimeoutConnection, async_timeout_connection


@query
def pg_sleep(seconds: float) -> Steps[None]:
    yield Statement("SELECT pg_sleep(%(seconds)s)", {"seconds": seconds})


@in_loop
async def test_a_thousand_identifies_at_once_need_no_thread_and_few_connections(broker_url: str) -> None:
    threads = threading.active_count()
    async with AsyncRollbook(broker_url=broker_url) as rb:
        handles = await asyncio.gather(*(rb.users.identify(f"u{number}") for number in range(1_000)))

        assert threading.active_count() == threads
        with connect_to_broker(broker_url) as client:
            assert client.llen("default") == 1_000
            ours = client.connection_pool.connection_kwargs["db"]  # other tests have connections to the same server
            assert sum(each["cmd"] == "lpush" and int(each["db"]) == ours for each in client.client_list()) <= 16
    assert len({handle.id for handle in handles}) == 1_000


@pytest.mark.parametrize("applied", ["Rollbook"], indirect=True)
@in_loop
async def test_a_thousand_reads_at_once_need_no_thread_and_few_connections(applied: Applied) -> None:
    applied.rb.users.bulk_identify([{"id": f"u{number}"} for number in range(100)])
    applied.now()
    threads = threading.active_count()
    async with AsyncRollbook(database_url=applied.database_url) as rb:
        users = await asyncio.gather(*(rb.users.get(f"u{number % 100}") for number in range(1_000)))

        assert threading.active_count() == threads
        assert [user.id for user in users] == [f"u{number % 100}" for number in range(1_000)]
        assert await sessions(applied.database_url) <= 15


async def sessions(database_url: str) -> int:
    """How many sessions of clients the database has."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'rollbook'"
            " AND pid <> pg_backend_pid()"
        )
        (count,) = await cursor.fetchone() or (0,)
        return int(count)


@in_loop
async def test_errors_of_arguments_are_raised_when_a_call_is_awaited() -> None:
    rb = async_recording()
    call = rb.users.identify("")

    with pytest.raises(InvalidRequest):
        await call
    assert rb.sent == []


@in_loop
async def test_a_call_without_its_setting_names_it() -> None:
    rb = AsyncRollbook.from_env({})

    with pytest.raises(NotConfigured, match="ROLLBOOK_BROKER_URL"):
        await rb.users.delete("u1")
    with pytest.raises(NotConfigured, match="ROLLBOOK_DATABASE_URL"):
        await rb.users.get("u1")


@in_loop
async def test_an_unknown_user_is_not_found(database_url: str) -> None:
    async with AsyncRollbook(database_url=database_url) as rb:
        with pytest.raises(UserNotFound):
            await rb.users.get("stranger")


@in_loop
async def test_a_client_is_used_again_after_it_was_closed(broker_url: str, database_url: str) -> None:
    rb = AsyncRollbook(broker_url=broker_url, database_url=database_url)
    await rb.users.delete("u1")
    await rb.users.list()
    await rb.aclose()

    await rb.users.delete("u2")
    assert (await rb.users.list()).items == ()
    await rb.aclose()


@in_loop
async def test_closing_a_client_closes_its_connections(broker_url: str, database_url: str) -> None:
    async with AsyncRollbook(broker_url=broker_url, database_url=database_url) as rb:
        await asyncio.gather(*(rb.users.list() for _ in range(20)))
        assert await sessions(database_url) > 0

    while await sessions(database_url):
        await asyncio.sleep(0.01)


# cancellation


@in_loop
async def test_a_cancelled_read_has_postgres_cancel_its_statement(database_url: str) -> None:
    database = AsyncDatabase(database_url, timedelta(seconds=DEADLINE_SECONDS))
    reading = asyncio.create_task(database.run(pg_sleep(DEADLINE_SECONDS)))
    while not await sleeping(database_url):
        await asyncio.sleep(0.01)

    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    while await sleeping(database_url):
        await asyncio.sleep(0.01)
    await database.run(pg_sleep(0))
    await database.aclose()


async def sleeping(database_url: str) -> int:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%'"
            " AND state = 'active' AND pid <> pg_backend_pid()"
        )
        (count,) = await cursor.fetchone() or (0,)
        return int(count)


@in_loop
async def test_cancelled_reads_leave_no_place_taken(database_url: str) -> None:
    database = AsyncDatabase(database_url)
    for _ in range(3):
        reads = [asyncio.create_task(database.run(pg_sleep(0.01))) for _ in range(30)]
        await asyncio.sleep(0)
        for read in reads:
            read.cancel()
        await asyncio.wait(reads)

    await asyncio.gather(*(database.run(pg_sleep(0)) for _ in range(30)))
    await database.aclose()


@in_loop
async def test_the_answer_to_a_cancelled_push_is_not_taken_for_that_of_the_next(broker_url: str) -> None:
    async with AsyncRollbook(broker_url=broker_url) as rb:
        await rb.users.delete("u0")
        pushes = [asyncio.create_task(rb.users.delete(f"u{number}")) for number in range(40)]
        await asyncio.sleep(0)
        for push in pushes:
            push.cancel()
        await asyncio.wait(pushes)

        with connect_to_broker(broker_url) as client:
            client.flushdb()
            await asyncio.gather(*(rb.users.delete(f"v{number}") for number in range(40)))
            assert client.llen("default") >= 40


# bounds of time


@in_loop
async def test_a_missing_broker_raises_not_sent_with_the_job_id() -> None:
    async with AsyncRollbook(broker_url="redis://127.0.0.1:1/0") as rb:
        with pytest.raises(NotSent) as failure:
            await rb.users.delete("u1", job_id="j1")

    assert failure.value.job_id == "j1"


@in_loop
async def test_a_slow_statement_is_ended_by_the_server(database_url: str) -> None:
    database = AsyncDatabase(database_url, timedelta(milliseconds=200))

    with pytest.raises(Unavailable, match="did not answer"):
        await database.run(pg_sleep(DEADLINE_SECONDS))
    await database.run(pg_sleep(0))
    await database.aclose()


@in_loop
async def test_a_pool_whose_connections_are_all_in_use_says_so(database_url: str) -> None:
    async def connect() -> AsyncTimeoutConnection:
        return await connection_class.connect(database_url, autocommit=True)

    connection_class = async_timeout_connection(timedelta(seconds=DEADLINE_SECONDS))

    pool = AsyncConnectionPool(connect, PoolLimits(max_connections=1, connection_wait=timedelta(seconds=0.01)))
    connection = await pool.take()
    with pytest.raises(Unavailable, match="all 1 connections of this client to the database were in use"):
        await pool.take()
    await pool.put_back(connection)

    again = await pool.take()
    assert again is connection
    await pool.put_back(again)
    await pool.aclose()


# event loops


def test_loops_one_after_the_other_share_a_client(broker_url: str, database_url: str) -> None:
    rb = AsyncRollbook(broker_url=broker_url, database_url=database_url)

    async def use() -> None:
        await rb.users.delete("u1")
        assert (await rb.users.list()).items == ()

    for _ in range(3):
        asyncio.run(use())
    asyncio.run(rb.aclose())


def test_loops_at_once_share_a_client(broker_url: str, database_url: str) -> None:
    rb = AsyncRollbook(broker_url=broker_url, database_url=database_url)

    async def use() -> None:
        await asyncio.gather(*(rb.users.delete(f"u{number}") for number in range(50)))
        await asyncio.gather(*(rb.users.list() for _ in range(50)))

    with LoopThread() as first, LoopThread() as second, connect_to_broker(broker_url) as client:
        before = client.llen("default")
        uses = [asyncio.run_coroutine_threadsafe(use(), each.loop) for each in (first, second)]
        for each in uses:
            each.result(DEADLINE_SECONDS)
        assert client.llen("default") == before + 100

        first.run(rb.aclose())
        wait_until(lambda: asyncio.run(sessions(database_url)) == 0, what="both loops to close their connections")
        second.run(use())
        second.run(rb.aclose())


# forks


def test_a_forked_child_has_its_own_connections(broker_url: str, database_url: str) -> None:
    rb = AsyncRollbook(broker_url=broker_url, database_url=database_url)

    async def main() -> list[int | None]:
        await use(rb)
        fork = multiprocessing.get_context("fork")
        children = [fork.Process(target=in_child, args=(rb,)) for _ in range(2)]
        for child in children:
            child.start()
        await use(rb)
        for child in children:
            await asyncio.to_thread(child.join)
        await use(rb)
        await rb.aclose()
        return [child.exitcode for child in children]

    with connect_to_broker(broker_url) as client:
        before = client.llen("default")
        assert asyncio.run(main()) == [0, 0]
        assert client.llen("default") == before + 5 * 50


async def use(rb: AsyncRollbook) -> None:
    for number in range(50):
        await rb.users.delete(f"u{number}")
    await rb.users.list()


def in_child(rb: AsyncRollbook) -> None:
    asyncio.run(use(rb))


FORK_IN_A_LOOP = """
import asyncio, gc, os, sys
from rollbook import AsyncRollbook

async def main():
    rb = AsyncRollbook(broker_url=sys.argv[1], database_url=sys.argv[2])
    await rb.users.delete("u1")
    await rb.users.list()
    if (child := os.fork()) == 0:
        del rb
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    for _ in range(3):
        await rb.users.delete("u1")
        await rb.users.list()
    await rb.aclose()
    print("sent")

asyncio.run(main())
"""


def test_a_child_that_forgets_the_client_leaves_its_parents_connections(broker_url: str, database_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK_IN_A_LOOP, broker_url, database_url],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )

    assert (done.stdout, done.returncode) == ("sent\n", 0), done.stderr


# what is imported


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import rollbook", "rollbook.async_client"),
        ("import rollbook; rollbook.AsyncRollbook()", "psycopg"),
        ("import rollbook; rollbook.AsyncRollbook()", "redis"),
    ],
)
def test_what_is_not_used_is_not_imported(statement: str, absent: str) -> None:
    script = f"import sys; {statement}; print({absent!r} in sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_a_read_without_the_extra_names_it() -> None:
    script = (
        "import asyncio, sys; sys.modules['psycopg'] = None; import rollbook\n"
        "try: asyncio.run(rollbook.AsyncRollbook(database_url='postgresql:///x').users.get('u1'))\n"
        "except rollbook.NotConfigured as error: print(error)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[read]" in done.stdout
