"""A client whose database is a replica: what it reads, when it lags, and the two calls that need the primary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Final

import pytest
from tests.support.databases import migrate
from tests.support.producer.applied_jobs import Applied
from tests.support.replicas import Primary, Replica
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import JobTimeout, Rollbook, UserNotFound
from rollbook.errors import NotConfigured
from rollbook_ops.devstack.accounts import server_account
from rollbook_ops.devstack.binaries import find_postgres
from rollbook_ops.devstack.folders import own_temporary_folder

READS: Final[dict[str, Callable[[Rollbook], object]]] = {
    "get": lambda rb: rb.users.get("ann"),
    "list": lambda rb: rb.users.list(where={"plan": "pro"}),
    "preferences": lambda rb: rb.users.list_preferences("ann"),
    "channel data": lambda rb: rb.users.get_channel_data("ann", "push"),
    "export": lambda rb: rb.users.export("ann"),
    "merge, dry run": lambda rb: rb.users.merge("ann", "guest", dry_run=True),
    "feed": lambda rb: rb.feeds.list("ann"),
    "messages": lambda rb: rb.messages.list("ann"),
    "activities": lambda rb: rb.activities.list("ann"),
    "job": lambda rb: rb.jobs.get("told"),
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
    applied.rb.users.identify("ann", {"plan": "pro"}, job_id="told")
    applied.now()

    with pytest.raises(JobTimeout):
        rb.jobs.wait("told", timeout=0)
    with pytest.raises(UserNotFound):
        rb.users.get("ann")
    replica.resume()

    assert rb.jobs.wait("told", timeout=DEADLINE_SECONDS).state == "applied"
    assert rb.users.get("ann").properties == {"plan": "pro"}


def test_a_replica_answers_every_read_as_the_primary_does(applied: Applied, rb: Rollbook) -> None:
    applied.rb.users.identify("ann", {"plan": "pro"}, job_id="told")
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
