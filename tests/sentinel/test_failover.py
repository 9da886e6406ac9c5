"""The primary of a Sentinel set is killed under load.

Redis replicates asynchronously, so jobs that only the dead primary had are lost. A direct client sends unfinished
jobs again; the relay does so by itself.
"""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from tests.support.event_loops import open_client
from tests.support.metrics import answers, value
from tests.support.python_processes import spawn_python
from tests.support.sentinel.continuous_client import USERS, ContinuousClient
from tests.support.sentinel.sentinels import SentinelSet
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import JobHandle, Rollbook
from rollbook_ops.devstack import processes
from rollbook_ops.devstack.endpoint import free_port
from rollbook_ops.doctor import Level, examine
from rollbook_shared.settings import Settings

BEFORE = 200
"""Jobs until the primary is killed, and again until the last is sent."""


def count(database_url: str, table: str) -> int:
    with psycopg.connect(database_url) as connection:
        (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
        return int(number)


def is_quiet(sentinels: SentinelSet) -> bool:
    with sentinels.client() as client:
        waiting, held = client.llen("default"), client.hlen("unacked")
    return (waiting, held) == (0, 0)


@pytest.mark.slow
def test_a_failover_loses_no_job_that_is_sent_again(
    rb: Rollbook,
    workers: Workers,
    sentinels: SentinelSet,
    database_url: str,
    backend_url: str,
    tmp_path: Path,
) -> None:
    given = {
        "ROLLBOOK_OUTBOX_URL": backend_url,
        "ROLLBOOK_DATABASE_URL": database_url,
        "ROLLBOOK_BROKER_URL": sentinels.url,
        "ROLLBOOK_OUTBOX_KEEP_SECONDS": "1",
        "ROLLBOOK_OUTBOX_RESEND_SECONDS": "2",
    }
    at = datetime.now(UTC) - timedelta(minutes=1)

    def send(number: int) -> JobHandle:
        return rb.users.identify(
            f"direct-{number % USERS}", {"n": number}, job_id=f"direct-{number:06}", occurred_at=at
        )

    def write(number: int) -> None:
        with psycopg.connect(backend_url) as connection:
            rb.outbox(connection).users.identify(f"outbox-{number % USERS}", {"n": number})

    started = [workers.start("first", threads=2), workers.start("second", threads=2)]
    relay = spawn_python(["-m", "rollbook_ops.relay"], log=tmp_path / "relay.log", env=os.environ | given)
    try:
        with ContinuousClient(send) as direct, ContinuousClient(write) as outbox:
            wait_until(lambda: count(database_url, "rollbook.jobs") > BEFORE, what="jobs before")
            dead = sentinels.kill_primary()
            sentinels.wait_for_another_than(dead)
            sentinels.start_again(dead)
            after = len(direct.confirmed)
            wait_until(lambda: len(direct.confirmed) >= after + BEFORE, what="jobs confirmed by the new primary")
        wait_until(lambda: is_quiet(sentinels), what="workers taking what the new primary has")
        for number in range(direct.sent):
            if rb.jobs.get(f"direct-{number:06}").state == "queued":
                send(number)
        wait_until(lambda: count(backend_url, "rollbook_outbox") == 0, what="the relay's jobs decided")
        everything = direct.sent + outbox.sent
        wait_until(lambda: count(database_url, "rollbook.jobs") == everything, what="every job decided")
    finally:
        processes.stop(relay, by=signal.SIGTERM)

    assert [worker.poll() for worker in started] == [None, None]
    for name, user_update in (("direct", direct), ("outbox", outbox)):
        newest = {f"{name}-{number % USERS}": number for number in range(user_update.sent)}
        assert {user_id: rb.users.get(user_id).properties["n"] for user_id in newest} == newest
    assert not outbox.rejected
    assert count(database_url, "rollbook.dead_letters") == 0
    wait_until(lambda: is_quiet(sentinels), what="nothing held")

    found = examine(Settings(broker_url=sentinels.url, database_url=database_url))
    levels = {finding.name: finding.level for finding in found}
    assert {levels[name] for name in ("redis", "role", "queue default", "in flight", "workers")} == {Level.OK}

    sentinels.wait_until_replica(dead)
    assert rb.users.identify("later", {"n": 1}).wait(DEADLINE_SECONDS).state == "applied"


def test_metrics_measure_the_queues_of_the_primary(rb: Rollbook, workers: Workers) -> None:
    rb.users.identify("waiting", {})
    port = free_port()

    workers.start_maintenance(ROLLBOOK_METRICS_PORT=str(port))

    wait_until(
        lambda: answers(port) and value(port, 'rollbook_server_up{server="redis"}') == 1, what="an answer of Redis"
    )
    assert value(port, 'rollbook_queue_jobs{queue="default"}') == 1


def test_the_asynchronous_client_asks_the_sentinels(sentinels: SentinelSet) -> None:
    with open_client("AsyncRollbook", broker_url=sentinels.url) as rb, sentinels.client() as client:
        job = rb.users.delete("u1")

        assert any(job.id.encode() in message for message in client.lrange("default", 0, -1))
