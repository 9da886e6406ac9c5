"""`celery inspect` shows what a worker does, without personal data."""

from __future__ import annotations

from typing import Any

import psycopg
from celery import Celery
from tests.support.operations.findings import MARKED
from tests.support.waits import DEADLINE_SECONDS, wait_until
from tests.support.worker_processes import Workers

from rollbook import Rollbook


def test_inspect_shows_jobs_without_their_content(workers: Workers, database_url: str, broker_url: str) -> None:
    workers.start(threads=1)
    with (
        Rollbook(database_url=database_url, broker_url=broker_url) as rb,
        psycopg.connect(database_url) as blocking,
        Celery(broker=broker_url, set_as_current=False) as app,
    ):
        blocking.execute("LOCK TABLE rollbook.users IN ACCESS EXCLUSIVE MODE")
        jobs = [rb.users.identify(f"{MARKED}-{n}", {"name": MARKED, "plan": n}) for n in range(5)]

        seen: dict[str, dict[str, Any]] = {}

        def see() -> bool:
            """All jobs, in whatever state the worker has them: it puts them off when the lock takes too long."""
            inspect = app.control.inspect(timeout=5, limit=1)
            for replies in (inspect.active(), inspect.reserved(), inspect.query_task(*[job.id for job in jobs])):
                for found in (replies or {}).values():
                    states = found if isinstance(found, list) else [state for _, state in found.values()]
                    seen.update({request["id"]: request for request in states})
            return len(seen) == len(jobs)

        wait_until(see, what="seeing all jobs")
        blocking.rollback()
        for job in jobs:
            assert job.wait(DEADLINE_SECONDS).state == "applied"

    assert MARKED not in repr(seen)
    assert all("plan" in request["args"] for request in seen.values())
