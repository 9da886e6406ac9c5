"""A face whose database is a replica: what it reads, when it lags, and the two calls that need the primary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Final

import pytest
from tests.acceptance.conftest import until
from tests.conftest import migrate
from tests.producer.applied import Applied
from tests.support.replicas import Primary, Replica

from rollcall import NotDecided, Rollcall, UserNotFound
from rollcall.errors import NotConfigured
from rollcall.local.accounts import server_account
from rollcall.local.binaries import find_postgres
from rollcall.local.folders import own_temporary_folder

READS: Final[dict[str, Callable[[Rollcall], object]]] = {
    "get": lambda rc: rc.users.get("ann"),
    "list": lambda rc: rc.users.list(where={"plan": "pro"}),
    "preferences": lambda rc: rc.users.list_preferences("ann"),
    "channel data": lambda rc: rc.users.get_channel_data("ann", "push"),
    "export": lambda rc: rc.users.export("ann"),
    "merge, dry run": lambda rc: rc.users.merge("ann", "guest", dry_run=True),
    "feed": lambda rc: rc.feeds.list("ann"),
    "messages": lambda rc: rc.messages.list("ann"),
    "activities": lambda rc: rc.activities.list("ann"),
    "job": lambda rc: rc.jobs.get("told"),
    "deferred": lambda rc: rc.jobs.deferred(),
    "dead": lambda rc: rc.jobs.dead(),
}


@pytest.fixture(scope="module")
def servers_of_two() -> Iterator[tuple[Primary, Replica]]:
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
    with applied.rc:
        yield applied


@pytest.fixture(scope="module")
def rc(replica: Replica) -> Iterator[Rollcall]:
    """Reads from the replica."""
    with Rollcall(database_url=replica.url) as rc:
        yield rc


def test_who_waits_for_a_job_on_a_replica_reads_there_what_it_did(
    applied: Applied, replica: Replica, rc: Rollcall
) -> None:
    replica.pause()
    applied.rc.users.identify("ann", {"plan": "pro"}, job_id="told")
    applied.now()

    with pytest.raises(NotDecided):
        rc.jobs.wait("told", timeout=0)
    with pytest.raises(UserNotFound):
        rc.users.get("ann")
    replica.resume()

    assert rc.jobs.wait("told", timeout=20).state == "applied"
    assert rc.users.get("ann").properties == {"plan": "pro"}


def test_it_answers_every_question_as_the_primary_does(applied: Applied, rc: Rollcall) -> None:
    applied.rc.users.identify("ann", {"plan": "pro"}, job_id="told")
    applied.rc.users.identify("guest", {"cart": 1})
    applied.rc.users.set_channel_data("ann", "push", {"tokens": ["t"]})
    applied.rc.workflows.trigger("hello", ["ann"], actor="guest")
    applied.rc.users.delete("guest", delay=timedelta(days=1), job_id="last")
    applied.now()
    until(lambda: rc.jobs.get("last").state == "deferred", what="the replica taking it in")

    answers = {name: read(rc) for name, read in READS.items()}

    assert {name: str(answer) for name, answer in answers.items()} == {
        name: str(read(applied.rc)) for name, read in READS.items()
    }


def test_what_writes_says_that_it_needs_the_primary(applied: Applied, rc: Rollcall) -> None:
    job = applied.rc.users.delete("bo", delay=timedelta(days=1), job_id="later")
    applied.now()
    until(lambda: rc.jobs.get(job.id).state == "deferred", what="the replica taking it in")

    with pytest.raises(NotConfigured, match="primary"):
        rc.jobs.cancel(job.id)
    assert applied.rc.jobs.cancel(job.id)
