"""What became of jobs: asked by id, or waited for; and those that wait for a person or for their time."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from itertools import count
from typing import Any, Final

from rollbook.commands.replay import replayed
from rollbook.errors import DeadLetterNotFound, JobTimeout
from rollbook.models import DeadLetter, DeferredJob, JobStatus, Page
from rollbook.publishing.publisher import Publisher
from rollbook.queries.job_cursors import place_of
from rollbook.queries.reader import Reader
from rollbook.queries.validation import checked_job_id, checked_page, checked_timeout
from rollbook_shared import jobs
from rollbook_shared.backoff import Backoff
from rollbook_shared.errors import InvalidRequest, Problem
from rollbook_shared.jobs.codec import digest, encode, text_digest

# Polling, and not LISTEN: a NOTIFY takes a lock that all committing transactions of the database share, so the
# workers would queue up behind each other on their hottest path, for the few jobs that anybody waits for.
POLLING: Final = Backoff(first=0.005, longest=0.1, factor=1.5, jitter=0)


class Jobs:
    """Ask what became of jobs; list and cancel deferred ones; look at dead letters, replay and drop them.

    Needs the database. Every call raises

        InvalidRequest: no job can have such an id, or another argument cannot be used.
        NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
            (`rollbook migrate`), or the URL's role may not do this.
        Unavailable: the database does not answer; trying again later may succeed.
    """

    def __init__(self, reader: Callable[[], Reader], publisher: Callable[[], Publisher]) -> None:
        self._reader = reader
        self._publisher = publisher

    def get(self, job_id: str) -> JobStatus:
        """Look up a job by its id; one that the workers have said nothing of is `queued`.

        When two jobs were sent under one id, this is the first one's; `JobHandle.status` tells the two apart.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        job_id = checked_job_id(job_id)
        return self._reader().status(job_id)

    def wait(self, job_id: str, timeout: float = 5.0) -> JobStatus:
        """Wait until the workers have decided the job: `applied`, `rejected`, `cancelled` or `dead`.

        timeout: in seconds; with 0 it asks once.

        Raises:
            JobTimeout: (a TimeoutError) the time is over; the job is not lost.
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        return _wait(lambda: self.get(job_id), lambda status: status.is_final, checked_timeout(timeout))

    def deferred(self, *, limit: int = 50, after: str | None = None) -> Page[DeferredJob]:
        """Read a page of the deferred jobs, in the order in which they are due.

        limit: 1 to 1,000.
        after: the `after` of the page before.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        checked_page(limit, after)
        return self._reader().deferred(limit, place_of(after))

    def cancel(self, job_id: str, *, timeout: float = 1.0) -> bool:
        """Take back a deferred job. True: it is cancelled, and will never take effect, even if it is delivered again.

        Asking again is safe: True for a job that is cancelled already, as where the first answer was lost.

        False: it has taken effect already, or no worker knows of such a job (`get` says which). It needs to have
        reached the workers, and is waited for if it has not. Its id stays taken.

        timeout: how long to wait for a job that is still on its way, in seconds.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        job_id, timeout = checked_job_id(job_id), checked_timeout(timeout)

        def attempt() -> JobStatus:
            self._reader().cancel(job_id)
            return self._reader().status(job_id)

        try:
            return _wait(attempt, lambda status: status.is_final, timeout).state == "cancelled"
        except JobTimeout:
            return False

    def dead(self, *, limit: int = 50, after: str | None = None) -> Page[DeadLetter]:
        """Read a page of the dead letters, without their bodies, the newest first.

        limit: 1 to 1,000.
        after: the `after` of the page before.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        checked_page(limit, after)
        place = place_of(after)
        if place is not None and not place.key:
            raise InvalidRequest([Problem("after", "must be the `after` of a page")])
        return self._reader().dead(limit, place)

    def show(self, letter_id: str, *, key: str | None = None) -> DeadLetter:
        """Read a dead letter with its body, which may hold personal data.

        key: which one, when several letters bear this id.

        Raises:
            DeadLetterNotFound: there is none.
            InvalidRequest: as every call, and where several letters bear this id and no key was given; it names the
            keys.
            NotConfigured, Unavailable: see `Jobs`.
        """
        letter_id = checked_job_id(letter_id)
        letters = [letter for letter in self._reader().letters(letter_id) if key in (None, letter.key)]
        if not letters:
            raise DeadLetterNotFound(letter_id)
        if len(letters) > 1:
            keys = ", ".join(letter.key for letter in letters)
            raise InvalidRequest([Problem("key", f"{len(letters)} dead letters bear this id; give one of {keys}")])
        return letters[0]

    def replay(
        self,
        letter_id: str,
        *,
        job_id: str | None = None,
        body: str | Mapping[str, Any] | None = None,
        key: str | None = None,
        timeout: float = 5.0,
    ) -> JobStatus:
        """Send a dead letter again, once what was wrong is mended; wait until it is decided, and then drop the letter.

        In this order, as whatever fails in between leaves the letter where it is, and replaying it again is safe. A
        job that dies again is a letter again, with what is wrong now; the status returned says so. The job keeps its
        time: it counts as of when it happened.

        job_id: another id for it; a letter with code `id_reused` needs one.
        body: the job as it should have been, as JSON text or as a mapping, its time in microseconds since 1970:
            `{"id": "billing-1017", "occurred_at": 1767225600000000, "kind": "delete", "user_id": "ann"}`. By default
            as it came (see `show`).
        key: which one, when several letters bear this id.
        timeout: in seconds.

        Raises:
            DeadLetterNotFound: there is none.
            InvalidRequest: it would only die again, or as every call; nothing was sent.
            NotConfigured: there is no broker URL, or as every call.
            NotSent: the broker may not have it; the letter is still there.
            JobTimeout: (a TimeoutError) the time is over; the letter is still there.
            Unavailable: the database does not answer; replaying it again is safe.
        """
        timeout = checked_timeout(timeout)
        letter = self.show(letter_id, key=key)
        job = JobHandle(self, sent := replayed(letter, job_id=job_id, body=body))
        before = job.status()
        self._publisher().publish(sent)

        def is_decided(status: JobStatus) -> bool:
            died_before = status.state == "dead" and status.finished_at == before.finished_at
            return status.state != "queued" and not died_before

        status = _wait(job.status, is_decided, timeout)
        self._reader().drop(letter)  # as it was read: if it is this very letter that died again, it stays
        return status

    def drop(self, letter_id: str, *, key: str | None = None) -> bool:
        """Forget a dead letter for good; False if there is none.

        key: which one, when several letters bear this id.

        Raises:
            InvalidRequest: as every call, and where several letters bear this id and no key was given; it names the
            keys.
            NotConfigured, Unavailable: see `Jobs`.
        """
        try:
            return self._reader().drop(self.show(letter_id, key=key))
        except DeadLetterNotFound:
            return False

    def _status(self, job_id: str, kind: str, digests: Collection[bytes]) -> JobStatus:
        return self._reader().status(job_id, kind=kind, digests=digests)


class JobHandle:
    """A job that was sent. Keep `id` to ask after it from elsewhere, with `rb.jobs.get(id)`."""

    __slots__ = ("_id", "_jobs", "_kind", "_sent")

    def __init__(self, jobs: Jobs, sent: jobs.Job) -> None:
        self._jobs = jobs
        self._id = sent.id
        self._kind: str = sent.kind
        self._sent = sent

    @property
    def id(self) -> str:
        """The job's id: the caller's `job_id`, or the one it was given."""
        return self._id

    @property
    def kind(self) -> str:
        """What was asked for: `identify`, `bulk_identify`, `delete`, `merge`, `trigger` ..."""
        return self._kind

    def status(self) -> JobStatus:
        """Look up what has become of this very job; `dead` with code `id_reused` if its id was another job's before.

        Raises:
            NotConfigured, Unavailable: see `Jobs`.
        """
        # Only here, for most callers never ask, and this takes a fifth of the time that sending does.
        text = encode(self._sent)
        return self._jobs._status(self._id, self._kind, (digest(text), text_digest(text)))

    def wait(self, timeout: float = 5.0) -> JobStatus:
        """Wait until the workers have decided the job: `applied`, `rejected`, `cancelled` or `dead`. Asks again after
        growing pauses.

        timeout: in seconds; with 0 it asks once.

        Raises:
            InvalidRequest: the timeout is no number of seconds.
            JobTimeout: (a TimeoutError) the time is over; the job is not lost.
            NotConfigured, Unavailable: see `Jobs`.
        """
        return _wait(self.status, lambda status: status.is_final, checked_timeout(timeout))

    def __repr__(self) -> str:
        return f"<JobHandle {self._kind} {self._id}>"


def _wait(ask: Callable[[], JobStatus], is_over: Callable[[JobStatus], bool], timeout: float) -> JobStatus:
    """Ask again and again, after growing pauses, until it is over."""
    end = time.monotonic() + timeout
    attempts = count()
    while not is_over(status := ask()):
        if (left := end - time.monotonic()) <= 0:
            raise JobTimeout(status.id, status)
        time.sleep(min(POLLING.delay(next(attempts)), left))
    return status
