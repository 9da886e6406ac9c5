"""Killed workers and restarted servers: no job is applied twice, and no job that is sent again is lost."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import pytest
from tests.support.databases import OTHER_SCHEMA
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import JobHandle, Rollbook
from rollbook_ops.devstack import Servers, processes
from rollbook_shared.database.schema import DEFAULT_SCHEMA, in_schema
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Identify, UserUpdate

JOBS = 400


def finished(database_url: str, schema: str = OTHER_SCHEMA) -> int:
    with psycopg.connect(database_url) as connection:
        counting = in_schema("SELECT count(*) FROM rollbook.jobs", schema)
        (count,) = connection.execute(counting.encode()).fetchone() or (0,)
        return int(count)


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_killed_worker_loses_no_job_that_is_sent_again(
    rb: Rollbook, workers: Workers, database_url: str, pool: str
) -> None:
    before = finished(database_url)
    at = datetime.now(UTC) - timedelta(minutes=1)

    def send(number: int) -> JobHandle:
        # one user identified 400 times: what is applied twice or out of order would show
        return rb.users.identify("hot", {"n": number}, job_id=f"{pool}-{number:03}", occurred_at=at)

    first = workers.start(f"{pool}-1", pool=pool, threads=2)
    jobs = [send(number) for number in range(JOBS)]
    wait_until(lambda: finished(database_url) > before + JOBS // 10, what="a tenth of the jobs")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    workers.start(f"{pool}-2", pool=pool, threads=2)

    for number, job in enumerate(jobs):
        if job.status().state == "queued":
            send(number)

    wait_until(lambda: finished(database_url) == before + JOBS, what="all jobs")
    assert rb.users.get("hot").properties == {"n": JOBS - 1}


def test_a_stopped_worker_finishes_in_time_and_leaves_the_rest_to_another(
    rb: Rollbook, workers: Workers, database_url: str
) -> None:
    before = finished(database_url)
    first = workers.start("first", threads=2)
    for number in range(JOBS):
        rb.users.identify("warm-stop", {"n": number})
    wait_until(lambda: finished(database_url) > before, what="the first job")

    status = processes.stop(first, grace=DEADLINE_SECONDS, by=signal.SIGTERM)

    assert status == 0
    workers.start("second", threads=2)
    wait_until(lambda: finished(database_url) == before + JOBS, what="all jobs, sent once")


def test_jobs_are_applied_after_postgres_was_killed_and_restarted(
    durable_rb: Rollbook, durable_workers: Workers, durable_servers: Servers, durable_database_url: str
) -> None:
    worker = durable_workers.start(threads=2)
    jobs = [durable_rb.users.identify("steady", {"n": number}) for number in range(200)]
    wait_until(lambda: finished(durable_database_url, DEFAULT_SCHEMA) > 10, what="the first jobs")

    assert durable_servers.postgres is not None
    durable_servers.postgres.kill()
    jobs += [durable_rb.users.identify("steady", {"n": number}) for number in range(200, 220)]
    wait_until(lambda: "retrying" in durable_workers.log(), what="a job being tried again")
    durable_servers.postgres.start()

    for job in jobs:
        job.wait(DEADLINE_SECONDS)
    assert durable_rb.users.get("steady").properties == {"n": 219}
    assert worker.poll() is None


def is_taken(rb: Rollbook, job_id: str) -> bool:
    return rb.jobs.get(job_id).state in ("deferred", "applied")


def test_rule_26_a_job_stamped_in_the_future_is_deferred(
    rb: Rollbook, workers: Workers, database_url: str, broker_url: str
) -> None:
    from celery import Celery

    workers.start("strict", ROLLBOOK_MAX_CLOCK_SKEW_SECONDS="0")
    for seconds in (3, 12, 48):  # a busy worker may take the first when it is due
        due = datetime.now(UTC) + timedelta(seconds=seconds)
        job = Identify(
            id=f"early-{seconds}", occurred_at=microseconds(due), user=UserUpdate(id="early-bird", traits={})
        )
        Celery(broker=broker_url).send_task(
            "rollbook.identify", args=[encode(job)], task_id=job.id, queue="default", ignore_result=True
        )
        wait_until(partial(is_taken, rb, job.id), what="taking it")
        if rb.jobs.get(job.id).state == "deferred":
            break
    else:
        pytest.fail("it was never deferred")
    workers.start_maintenance()
    wait_until(lambda: rb.jobs.get(job.id).state == "applied", what="applying")
    assert datetime.now(UTC) >= due
    assert rb.users.get("early-bird").updated_at == due
