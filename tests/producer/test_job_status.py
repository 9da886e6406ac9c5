"""The status of a job, from when it was sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.support.producer.applied_jobs import NOW, Applied
from tests.support.waits import DEADLINE_SECONDS

from rollbook import JobStatus, JobTimeout, RejectedItem, Rollbook
from rollbook.resources.job_polling import POLLING
from rollbook.testing import RecordingPublisher
from rollbook_shared.job_states import JobState


def test_a_job_that_the_workers_have_not_seen_is_queued(applied: Applied) -> None:
    job = applied.rb.users.delete("u1", job_id="j1")

    assert job.status() == JobStatus(id="j1", kind="delete", state=JobState.QUEUED)
    assert applied.rb.jobs.get("j1") == JobStatus(id="j1", kind=None, state=JobState.QUEUED)
    assert applied.rb.jobs.get("never-sent").state == "queued"


def test_an_applied_job_is_applied(applied: Applied) -> None:
    job = applied.rb.users.delete("u1", job_id="j1")
    applied.now()

    status = job.status()

    assert (status.id, status.kind, status.state, status.is_final) == ("j1", "delete", "applied", True)
    assert status.finished_at is not None
    assert applied.rb.jobs.get("j1") == status
    assert job.wait(timeout=0) == status


def test_duplicates_are_counted(applied: Applied) -> None:
    for _ in range(3):
        applied.rb.users.delete("u1", job_id="j1", occurred_at=NOW)
        applied.now()

    assert applied.rb.jobs.get("j1").duplicates == 2


def test_the_status_of_a_trigger_lists_skipped_recipients(applied: Applied) -> None:
    job = applied.rb.workflows.trigger("w", ["stranger", {"id": "u1"}])
    applied.now()

    assert job.status().skipped == ("stranger",)


def test_the_second_job_of_one_id_is_dead_and_the_first_is_not(applied: Applied) -> None:
    first = applied.rb.users.identify("u1", {"plan": "free"}, job_id="j1")
    applied.now()
    second = applied.rb.users.identify("u1", {"plan": "pro"}, job_id="j1")

    assert second.status().state == "queued"
    applied.now()

    assert first.status().state == "applied"
    assert applied.rb.jobs.get("j1").state == "applied"
    status = second.status()
    assert (status.state, status.code, status.kind) == ("dead", "id_reused", "identify")
    assert status.reason


def test_a_dead_job_does_not_change_the_status_of_a_queued_job_with_the_same_id(applied: Applied) -> None:
    for plan in ("free", "pro"):
        applied.rb.users.identify("u1", {"plan": plan}, job_id="j1")
    applied.now()

    third = applied.rb.users.identify("u1", {"plan": "team"}, job_id="j1")

    assert third.status().state == "queued"


def test_the_same_job_sent_again_later_is_the_same_job(applied: Applied) -> None:
    applied.rb.users.identify("u1", {"a": 1, "b": 2}, job_id="j1", occurred_at=NOW - timedelta(days=1))
    applied.now()

    again = applied.rb.users.identify("u1", {"b": 2, "a": 1}, job_id="j1")

    assert again.status().state == "applied"


def insert(database_url: str, sql: str, *values: Any) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.encode(), values)


@pytest.fixture
def rb(database_url: str) -> Iterator[Rollbook]:
    with Rollbook(database_url=database_url, publisher=RecordingPublisher()) as rb:
        yield rb


def test_rejected_users_of_a_bulk_job_are_named(rb: Rollbook, database_url: str) -> None:
    insert(
        database_url,
        "INSERT INTO rollbook.jobs (id, kind, digest, state, occurred_at, finished_at, detail)"
        " VALUES (%s, %s, '', 'applied', 0, now(), %s)",
        "bulk",
        "bulk_identify",
        Jsonb({"rejected": [{"index": 3, "field": "users[3].email", "reason": "must be an e-mail address"}]}),
    )

    assert rb.jobs.get("bulk").rejected == (
        RejectedItem(index=3, field="users[3].email", reason="must be an e-mail address"),
    )


def test_a_dead_job_has_a_code_and_a_reason(rb: Rollbook, database_url: str) -> None:
    insert(
        database_url,
        "INSERT INTO rollbook.dead_letters (id, digest, kind, code, reason, body, user_ids, failed_at)"
        " VALUES (%s, 'x', NULL, 'malformed', 'the job is not JSON', '', '{}', now())",
        "dead",
    )

    status = rb.jobs.get("dead")

    assert (status.state, status.code, status.reason, status.is_final) == (
        "dead",
        "malformed",
        "the job is not JSON",
        True,
    )


def test_a_deferred_job_is_not_final(rb: Rollbook, database_url: str) -> None:
    insert(
        database_url,
        "INSERT INTO rollbook.jobs (id, kind, digest, state, occurred_at, finished_at)"
        " VALUES ('later', 'delete', '', 'deferred', 0, now())",
    )

    assert rb.jobs.get("later").state == "deferred"
    assert not rb.jobs.get("later").is_final


def test_waiting_ends_when_the_job_is_applied(applied: Applied) -> None:
    job = applied.rb.users.delete("u1")
    worker = threading.Timer(0.2, applied.now)
    worker.start()

    status = job.wait(timeout=DEADLINE_SECONDS)

    worker.join()
    assert status.state == "applied"


def test_waiting_too_long_raises_a_timeout_with_the_state(applied: Applied) -> None:
    job = applied.rb.users.delete("u1", job_id="j1")
    begin = time.monotonic()

    with pytest.raises(TimeoutError) as failure:
        job.wait(timeout=0.1)

    assert 0.1 <= time.monotonic() - begin < 5
    assert isinstance(failure.value, JobTimeout)
    assert (failure.value.job_id, failure.value.status.state) == ("j1", "queued")


@pytest.mark.parametrize("applied", ["Rollbook"], indirect=True)
def test_delays_between_reads_grow_to_their_limit(applied: Applied, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pauses = fake_time(monkeypatch)
    job = applied.rb.users.delete("u1")

    with pytest.raises(JobTimeout):
        job.wait(timeout=1)

    assert pauses[0] == POLLING.first
    assert pauses[:-1] == sorted(pauses[:-1])
    assert max(pauses) == POLLING.longest
    assert clock() == pytest.approx(1)


def fake_time(monkeypatch: pytest.MonkeyPatch) -> tuple[Callable[[], float], list[float]]:
    pauses: list[float] = []
    monkeypatch.setattr("rollbook.resources.job_polling.time.sleep", pauses.append)
    monkeypatch.setattr("rollbook.resources.job_polling.time.monotonic", lambda: sum(pauses))
    return lambda: sum(pauses), pauses
