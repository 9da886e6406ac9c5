"""Servers that a failover leaves behind: one that only reads, one that has lost its replica, an old primary that comes
back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import psycopg
import pytest
from tests.support.builders import identify
from tests.support.failover import Pair, running_pair
from tests.support.operations.findings import named
from tests.support.privacy.roles import logins, make_roles
from tests.support.waits import wait_until

from rollbook import AsyncRollbook, NotConfigured, Rollbook, Unavailable, UserNotFound
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_shared.database.failover import NewestTimeline
from rollbook_shared.jobs.codec import encode
from rollbook_shared.settings import Settings
from rollbook_worker.store import PostgresStore, ReceivedJob
from rollbook_worker.store.transactions import APPLICATION_NAME

SHORT: Final = timedelta(seconds=1)
_BECOME_READ_ONLY: Final = """
CREATE FUNCTION public.demoted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'cannot write in a read-only transaction' USING ERRCODE = 'read_only_sql_transaction';
END $$;
CREATE TRIGGER demoted BEFORE INSERT OR UPDATE OR DELETE ON rollbook.jobs
FOR EACH STATEMENT EXECUTE FUNCTION public.demoted();
CREATE TRIGGER demoted BEFORE INSERT OR UPDATE OR DELETE ON rollbook.deferred_jobs
FOR EACH STATEMENT EXECUTE FUNCTION public.demoted();
"""


@pytest.fixture(scope="module")
def pair(starts_servers: None) -> Iterator[Pair]:
    with running_pair(is_synchronous=True) as pair:
        yield pair


def received(name: str) -> ReceivedJob:
    return ReceivedJob.of(encode(identify(name, at=1, n=1)))


def test_a_server_that_only_reads_is_left_and_no_job_becomes_a_dead_letter(fresh_database_url: str) -> None:
    store = PostgresStore(fresh_database_url)
    store.apply([ReceivedJob.of(encode(identify("ann", at=900, job="deferred")))])
    before = sessions(fresh_database_url)
    follows = Rollbook(database_url=f"{fresh_database_url}?target_session_attrs=read-write")
    stays = Rollbook(database_url=fresh_database_url)
    with psycopg.connect(fresh_database_url, autocommit=True) as connection, follows, stays:
        connection.execute(_BECOME_READ_ONLY.encode())

        with pytest.raises(Unavailable, match="read-only, as a replica is"):
            store.apply([received("bo")])
        with pytest.raises(Unavailable, match="has become read-only"):
            follows.jobs.cancel("deferred")
        with pytest.raises(Unavailable, match="has become read-only"):
            asyncio.run(cancel(f"{fresh_database_url}?target_session_attrs=primary", "deferred"))
        with pytest.raises(NotConfigured, match="need the primary's URL"):
            stays.jobs.cancel("deferred")

        wait_until(lambda: not before & sessions(fresh_database_url), what="the worker's connection closed")
        connection.execute("DROP FUNCTION public.demoted() CASCADE")
        assert [outcome.state for outcome in store.apply([received("bo")])] == ["applied"]
        assert follows.jobs.cancel("deferred")
        assert connection.execute("SELECT count(*) FROM rollbook.dead_letters").fetchone() == (0,)
    store.close()


def test_what_the_synchronous_replica_does_not_have_is_not_answered(pair: Pair) -> None:
    store = PostgresStore(pair.url, statement_timeout=SHORT, lock_timeout=SHORT)
    store.apply([received("before")])
    pair.second.stop()

    with Rollbook(database_url=pair.url) as rb:
        with pytest.raises(Unavailable):
            store.apply([received("waits")])
        assert rb.jobs.get("identify:waits:1").state == "queued"
        pair.second.start()
        pair.wait_for_replica()

        # the commit that waited has the locks until then
        assert states(store, "waits") in (["applied"], ["duplicate"])
        assert rb.users.get("waits").properties == {"n": 1}
    store.close()


def test_a_thread_leaves_one_session_behind_that_waits_for_the_replica(pair: Pair) -> None:
    store = PostgresStore(pair.url, statement_timeout=SHORT, lock_timeout=SHORT)
    store.apply([received("first")])
    pair.second.stop()
    with pytest.raises(Unavailable, match="did not answer in time"):
        store.apply([received("left")])

    for name in ("second", "third"):
        with pytest.raises(Unavailable, match="still waits for a synchronous replica"):
            store.apply([received(name)])

    with psycopg.connect(pair.first.url) as connection:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND wait_event = 'SyncRep'"
        assert connection.execute(waiting, (APPLICATION_NAME,)).fetchone() == (1,)
    pair.second.start()
    pair.wait_for_replica()
    assert states(store, "left") in (["applied"], ["duplicate"])
    assert states(store, "second") == ["applied"]
    store.close()


def test_a_worker_with_the_least_rights_learns_the_timeline(fresh_database_url: str) -> None:
    make_roles(fresh_database_url)

    with logins(fresh_database_url) as login, psycopg.connect(login("rollbook_worker")) as connection:
        newest = NewestTimeline()
        newest.require(connection)

    assert list(newest._newest.values()) == [1]


def test_the_doctor_names_the_servers(pair: Pair) -> None:
    found = named(examine_postgres(Settings(database_url=pair.url), time.time), "postgres hosts")
    lacking = named(examine_postgres(Settings(database_url=pair.any_url), time.time), "postgres hosts")

    assert (found.level, found.summary) == (
        "ok",
        f"127.0.0.1:{pair.first.port} accepts writes, 127.0.0.1:{pair.second.port} follows",
    )
    assert (lacking.level, "target_session_attrs" in lacking.advice) == ("warning", True)


def test_a_replica_that_lags_loses_nothing_and_an_old_primary_that_comes_back_gets_nothing(pair: Pair) -> None:
    """The last test here: there are two primaries then."""
    outbox = OutboxTable(pair.url)
    outbox.create()
    store = PostgresStore(pair.url, statement_timeout=SHORT, lock_timeout=SHORT)
    pair.second.pause()
    store.apply([received("behind")])
    with Rollbook(database_url=pair.second.url) as late, pytest.raises(UserNotFound):
        late.users.get("behind")
    pair.first.kill()
    pair.second.promote()
    with Rollbook(database_url=pair.url) as rb:
        assert rb.users.get("behind").properties == {"n": 1}  # what was received is replayed first
    assert states(store, "behind") == ["duplicate"]
    outbox.count()
    store.close()
    outbox.close()
    pair.first.start()  # the first in the URL, and it does not know of the other one

    found = named(examine_postgres(Settings(database_url=pair.url), time.time), "postgres hosts")
    assert (found.level, "more than one accepts writes" in found.summary) == ("problem", True)
    with pytest.raises(Unavailable, match=r"old primary \(timeline 1\)"):
        store.apply([received("lost")])
    with pytest.raises(Unavailable, match=r"old primary \(timeline 1\)"):
        outbox.count()

    # a process that has just started knows no timeline; no replica confirms what it writes there
    started = PostgresStore(pair.url, statement_timeout=SHORT, lock_timeout=SHORT)
    with pytest.raises(Unavailable, match="did not answer"):
        started.apply([received("lost")])
    started.close()
    pair.first.kill()
    assert [outcome.state for outcome in store.apply([received("lost")])] == ["applied"]
    store.close()


def states(store: PostgresStore, name: str) -> list[str]:
    """Of the job for this user, tried until there is a database."""
    found: list[str] = []

    def apply() -> bool:
        try:
            found[:] = [outcome.state.value for outcome in store.apply([received(name)])]
        except Unavailable:
            return False
        return True

    wait_until(apply, what="the store applying it")
    return found


async def cancel(url: str, job_id: str) -> bool:
    async with AsyncRollbook(database_url=url) as rb:
        return await rb.jobs.cancel(job_id)


def sessions(url: str) -> set[int]:
    """The processes of workers."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'rollbook-worker'"
        )
        return {pid for (pid,) in found}
