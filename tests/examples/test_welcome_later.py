"""The example of the delayed welcome, with real workers and maintenance, and seconds in place of days."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import psycopg
from tests.support.brokers import connect_to_broker
from tests.support.examples.backends import EXAMPLES
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook

A_FEW_SECONDS = timedelta(seconds=5)


def run(database_url: str, broker_url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "welcome_later.py", *arguments],
        cwd=EXAMPLES,
        env=os.environ | {"ROLLBOOK_DATABASE_URL": database_url, "ROLLBOOK_BROKER_URL": broker_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_user_who_stays_is_welcomed_even_if_redis_loses_its_data(
    workers: Workers, rb: Rollbook, database_url: str, broker_url: str
) -> None:
    ann, bo = (
        run(database_url, broker_url, "sign-up", name, f"{name}@example.com", "--seconds", "8")
        for name in ("ann", "bo")
    )
    for job in (ann, bo):
        wait_until(lambda job=job: rb.jobs.get(job).state == "deferred", what="deferring")  # type: ignore[misc]
    assert [line.split()[-1] for line in run(database_url, broker_url, "waiting").splitlines()] == [ann, bo]
    assert run(database_url, broker_url, "leave", "bo", bo) == "cancelled"
    workers.stop()
    with connect_to_broker(broker_url) as client:
        client.flushdb()

    for _ in range(2):
        workers.start_maintenance()
    wait_until(lambda: "maintenance: started" in workers.log("maintenance"), what="maintenance")
    looking_since = datetime.now(UTC)

    status = rb.jobs.wait(ann, timeout=DEADLINE_SECONDS)
    assert status.state == "applied"
    with psycopg.connect(database_url) as connection:
        welcomes = connection.execute("SELECT owner, occurred_at FROM rollbook.owned_messages").fetchall()
    ((owner, due),) = welcomes
    assert owner == "ann"
    assert status.finished_at is not None
    assert timedelta() <= status.finished_at - due
    assert status.finished_at - max(due, looking_since) <= A_FEW_SECONDS
    assert rb.jobs.get(bo).state == "cancelled"
