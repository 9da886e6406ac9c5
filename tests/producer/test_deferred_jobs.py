"""Rule 29: the client lists deferred jobs, and each is cancelled or takes effect, never both."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final

import psycopg
import pytest
from tests.support.producer.applied_jobs import NOW, Applied
from tests.support.waits import DEADLINE_SECONDS

from rollbook import DeferredJob, InvalidRequest, UserNotFound

DAY: Final = timedelta(days=1)
RACES: Final = 40


def test_a_deferred_job_says_when_it_is_due(applied: Applied) -> None:
    job = applied.rb.users.identify("u1", delay=3 * DAY)
    applied.now()

    status = job.status()

    assert (status.state, status.due_at, status.is_final) == ("deferred", NOW + 3 * DAY, False)


def test_deferred_jobs_are_listed_in_the_order_in_which_they_are_due_page_by_page(applied: Applied) -> None:
    for days, id_ in [(3, "c"), (1, "b"), (2, "x"), (1, "a")]:
        applied.rb.users.delete("u1", job_id=id_, delay=days * DAY)
    applied.now()

    first = applied.rb.jobs.list_deferred(limit=3)
    second = applied.rb.jobs.list_deferred(limit=3, after=first.after)

    assert [job.id for job in first.items] == ["a", "b", "x"]
    assert second.items == (DeferredJob(id="c", kind="delete", due_at=NOW + 3 * DAY),)
    assert second.after is None


def test_without_deferred_jobs_the_page_is_empty(applied: Applied) -> None:
    page = applied.rb.jobs.list_deferred()

    assert (page.items, page.after) == ((), None)


@pytest.mark.parametrize("after", ["", "x", "\0", "0006300000000000", "00063000000000.a b"])
def test_an_invalid_cursor_is_rejected(applied: Applied, after: str) -> None:
    for page in (applied.rb.jobs.list_deferred, applied.rb.jobs.list_dead_letters):
        with pytest.raises(InvalidRequest, match="after"):
            page(after=after)


def test_a_cancelled_job_never_takes_effect(applied: Applied) -> None:
    job = applied.rb.users.identify("u1", delay=DAY)
    applied.now()

    cancelled = applied.rb.jobs.cancel(job.id)

    assert cancelled
    assert (job.wait(0).state, job.status().due_at) == ("cancelled", NOW + DAY)
    assert applied.release(NOW + 2 * DAY) == 0
    assert applied.rb.jobs.list_deferred().items == ()
    with pytest.raises(UserNotFound):
        applied.rb.users.get("u1")


def test_a_cancelled_job_that_is_delivered_again_is_not_revived(applied: Applied) -> None:
    """Redis delivers unacknowledged messages again, and an outbox sends unfinished jobs again."""
    applied.rb.users.identify("u1", job_id="it", delay=DAY)
    (message,) = applied.sent
    applied.now()
    applied.rb.jobs.cancel("it")

    applied.sent.append(message)
    applied.now()

    assert applied.release(NOW + 2 * DAY) == 0
    assert (applied.rb.jobs.get("it").state, applied.rb.jobs.get("it").duplicates) == ("cancelled", 1)


def test_a_job_that_has_taken_effect_cannot_be_cancelled(applied: Applied) -> None:
    job = applied.rb.users.identify("u1", delay=DAY)
    applied.now()
    applied.release(NOW + DAY)

    assert not applied.rb.jobs.cancel(job.id)
    assert job.status().state == "applied"


def test_unknown_jobs_and_jobs_that_are_not_deferred_cannot_be_cancelled(applied: Applied) -> None:
    applied.rb.users.identify("u1", job_id="at-once")
    applied.now()

    assert not applied.rb.jobs.cancel("never-sent", timeout=0)
    assert not applied.rb.jobs.cancel("at-once")


def test_cancelling_a_cancelled_job_again_is_true(applied: Applied) -> None:
    job = applied.rb.users.identify("u1", delay=DAY)
    applied.now()

    assert [applied.rb.jobs.cancel(job.id) for _ in range(2)] == [True, True]


def test_cancel_waits_for_a_job_that_is_still_on_its_way(applied: Applied) -> None:
    job = applied.rb.users.identify("u1", delay=DAY)
    worker = threading.Timer(0.2, applied.now)
    worker.start()

    cancelled = applied.rb.jobs.cancel(job.id, timeout=DEADLINE_SECONDS)

    worker.join()
    assert cancelled
    assert job.status().state == "cancelled"


def test_cancel_waits_for_a_release_under_way_and_is_too_late(applied: Applied) -> None:
    job = applied.rb.users.identify("u1", delay=DAY)
    applied.now()

    with ThreadPoolExecutor(1) as other, psycopg.connect(applied.database_url) as dispatcher:
        dispatcher.execute("DELETE FROM rollbook.deferred_jobs")
        dispatcher.execute("UPDATE rollbook.jobs SET state = 'applied'")
        cancelling = other.submit(applied.rb.jobs.cancel, job.id)
        with pytest.raises(TimeoutError):
            cancelling.result(0.2)
        dispatcher.commit()

        assert cancelling.result(20) is False


def test_each_job_is_either_cancelled_or_released_when_both_happen_at_once(applied: Applied) -> None:
    ids = [f"j{number:02}" for number in range(RACES)]
    for number, id_ in enumerate(ids):
        applied.rb.users.identify(f"u{number:02}", job_id=id_, delay=DAY)
    applied.now()

    with ThreadPoolExecutor(2) as both:
        release = both.submit(applied.release, NOW + DAY)
        cancelled = list(both.map(lambda id_: applied.rb.jobs.cancel(id_, timeout=0), reversed(ids)))
        released = release.result(20)

    states = {id_: applied.rb.jobs.get(id_).state for id_ in ids}
    assert sum(cancelled) + released == RACES
    assert [states[id_] for id_ in reversed(ids)] == ["cancelled" if it_was else "applied" for it_was in cancelled]
    assert len(applied.rb.users.list(limit=100).items) == released
