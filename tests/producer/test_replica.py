"""A client whose database is a replica: what it reads, when it lags, and the two calls that need the primary. Workers
and relays wait until the replica is promoted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Final

import psycopg
import pytest
from tests.support.builders import identify
from tests.support.databases import migrate
from tests.support.operations.findings import named
from tests.support.producer.applied_jobs import Applied
from tests.support.replicas import Primary, Replica
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import JobTimeout, Rollbook, UserNotFound
from rollbook.errors import NotConfigured, Unavailable
from rollbook_ops.devstack.accounts import server_account
from rollbook_ops.devstack.binaries import find_postgres
from rollbook_ops.devstack.folders import own_temporary_folder
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_shared.jobs.codec import encode
from rollbook_shared.settings import Settings
from rollbook_worker.store import PostgresStore, ReceivedJob

READS: Final[dict[str, Callable[[Rollbook], object]]] = {
    "get": lambda rb: rb.users.get("ann"),
    "list": lambda rb: rb.users.list(where={"plan": "pro"}),
    "preferences": lambda rb: rb.users.list_preferences("ann"),
    "channel data": lambda rb: rb.users.get_channel_data("ann", "push"),
    "export": lambda rb: rb.users.export("ann"),
    "explanation": lambda rb: rb.users.explain("ann"),
    "merge, dry run": lambda rb: rb.users.merge("ann", "guest", dry_run=True),
    "feed": lambda rb: rb.feeds.list("ann"),
    "messages": lambda rb: rb.messages.list("ann"),
    "activities": lambda rb: rb.activities.list("ann"),
    "job": lambda rb: rb.jobs.get("sent"),
    "deferred": lambda rb: rb.jobs.list_deferred(),
    "dead": lambda rb: rb.jobs.list_dead_letters(),
}


@pytest.fixture(scope="module")
def servers_of_two(starts_servers: None) -> Iterator[tuple[Primary, Replica]]:
    with ExitStack() as undo:
        folder = own_temporary_folder()
        undo.callback(folder.release)
        account = server_account(folder.path / Primary.name)
        primary = Primary(folder, account, find_postgres(), durable=False)
        undo.callback(primary.stop)
        primary.start()
        migrate(primary.url)
        replica = Replica(folder, account, find_postgres(), primary)
        undo.callback(replica.stop)
        replica.start()
        yield primary, replica


@pytest.fixture(scope="module")
def replica(servers_of_two: tuple[Primary, Replica]) -> Replica:
    return servers_of_two[1]


@pytest.fixture(scope="module")
def applied(servers_of_two: tuple[Primary, Replica]) -> Iterator[Applied]:
    """Jobs are applied to the primary."""
    applied = Applied(servers_of_two[0].url)
    with applied.rb:
        yield applied


@pytest.fixture(scope="module")
def rb(replica: Replica) -> Iterator[Rollbook]:
    """Reads from the replica."""
    with Rollbook(database_url=replica.url) as rb:
        yield rb


def test_a_client_that_waits_for_a_job_on_a_replica_reads_its_result_there(
    applied: Applied, replica: Replica, rb: Rollbook
) -> None:
    replica.pause()
    applied.rb.users.identify("ann", {"plan": "pro"}, job_id="sent")
    applied.now()

    with pytest.raises(JobTimeout):
        rb.jobs.wait("sent", timeout=0)
    with pytest.raises(UserNotFound):
        rb.users.get("ann")
    replica.resume()

    assert rb.jobs.wait("sent", timeout=DEADLINE_SECONDS).state == "applied"
    assert rb.users.get("ann").properties == {"plan": "pro"}


def test_a_replica_answers_every_read_as_the_primary_does(applied: Applied, rb: Rollbook) -> None:
    applied.rb.users.identify("ann", {"plan": "pro"}, job_id="sent")
    applied.rb.users.identify("guest", {"cart": 1})
    applied.rb.users.set_channel_data("ann", "push", {"tokens": ["t"]})
    applied.rb.workflows.trigger("hello", ["ann"], actor="guest")
    applied.rb.users.delete("guest", delay=timedelta(days=1), job_id="last")
    applied.now()
    wait_until(lambda: rb.jobs.get("last").state == "deferred", what="the replica taking it in")

    answers = {name: read(rb) for name, read in READS.items()}

    assert {name: str(answer) for name, answer in answers.items()} == {
        name: str(read(applied.rb)) for name, read in READS.items()
    }


def test_calls_that_write_say_that_they_need_the_primary(applied: Applied, rb: Rollbook) -> None:
    job = applied.rb.users.delete("bo", delay=timedelta(days=1), job_id="later")
    applied.now()
    wait_until(lambda: rb.jobs.get(job.id).state == "deferred", what="the replica taking it in")

    with pytest.raises(NotConfigured, match="primary"):
        rb.jobs.cancel(job.id)
    assert applied.rb.jobs.cancel(job.id)


def test_the_doctor_says_that_a_failover_may_lose_what_the_replica_lacks(applied: Applied, replica: Replica) -> None:
    found = named(examine_postgres(Settings(database_url=applied.database_url), time.time), "durability")

    assert (found.level, "1 replica may be behind" in found.summary) == ("warning", True)


def test_a_worker_and_a_relay_wait_until_the_replica_is_promoted(applied: Applied, replica: Replica) -> None:
    """The last test here: the replica follows no more."""
    on_primary, on_replica = OutboxTable(applied.database_url), OutboxTable(replica.url)
    on_primary.create()
    on_primary.close()
    with psycopg.connect(applied.database_url) as backend:
        Rollbook().outbox(backend).users.identify("ann", {"plan": "free"})
    store = PostgresStore(replica.url)
    job = ReceivedJob.of(encode(identify("bo", at=1)))
    wait_until(lambda: jobs_in_outbox(replica) == 1, what="the replica taking it in")

    with pytest.raises(Unavailable, match="read-only, as a replica is"):
        store.apply([job])
    with (
        pytest.raises(Unavailable, match="outbox's database is read-only, as a replica is"),
        on_replica.transaction() as outbox,
    ):
        outbox.claim_unsent()
    replica.promote()

    assert [outcome.state for outcome in store.apply([job])] == ["applied"]
    with on_replica.transaction() as outbox:
        assert len(outbox.claim_unsent()) == 1
    on_replica.close()
    store.close()


def jobs_in_outbox(replica: Replica) -> int:
    with psycopg.connect(replica.url) as connection:
        if connection.execute("SELECT to_regclass('rollbook_outbox')").fetchone() == (None,):
            return 0
        found = connection.execute("SELECT count(*) FROM rollbook_outbox").fetchone()
        return int(found[0]) if found else 0
