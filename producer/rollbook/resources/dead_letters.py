"""Dead letters: jobs that cannot be applied as they stand. List, read, replay and drop them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rollbook import commands, queries
from rollbook.resources.bulk_replays import MAX_REPLAYS, BulkReplay
from rollbook.resources.job_polling import replayed_since, sent_job, wait_for_status, wait_for_statuses
from rollbook_shared.errors import RollbookError

if TYPE_CHECKING:
    from rollbook.models import DeadLetter, DeadLetterGroup, JobStatus, Page, ReplayReport
    from rollbook.publishing import Publisher
    from rollbook.queries import Query, SentJob
    from rollbook_shared.limits import Limits

T = TypeVar("T")


class Read(Protocol):
    """Runs a query."""

    def __call__(self, query: Query[T]) -> T:
        """The result of the query, or what the query raises."""


class DeadLetters:
    """The calls of `Jobs` that are about dead letters."""

    def __init__(self, read: Read, publisher: Callable[[], Publisher], limits: Limits, now: Callable[[], int]) -> None:
        self._read = read
        self._publisher = publisher
        self._limits = limits
        self._now = now

    def count_dead_letters(self) -> tuple[DeadLetterGroup, ...]:
        """Count the dead letters of each code, up to 10,000; the code of the newest first.

        Raises:
            NotConfigured, Unavailable: see `Jobs`.
        """
        return self._read(queries.count_dead_letters())

    def list_dead_letters(
        self, *, code: str | None = None, limit: int = 50, after: str | None = None
    ) -> Page[DeadLetter]:
        """Read a page of the dead letters without their bodies, newest first.

        code: only those with this code, such as `invalid`.
        limit: 1 to 1,000 dead letters.
        after: the `after` of the previous page.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        queries.check_page(limit, after)
        code = None if code is None else queries.checked_code(code)
        return self._read(queries.find_dead_letters(limit, queries.parse_cursor(after, queries.DEAD_LETTERS), code))

    def get_dead_letter(self, dead_letter_id: str, *, key: str | None = None) -> DeadLetter:
        """Read a dead letter with its body, which may hold personal data.

        key: which dead letter, if several have this id.

        Raises:
            DeadLetterNotFound: there is no such dead letter.
            InvalidRequest: as for every call, and if several dead letters have this id and no key was given; the
                problem lists the keys.
            NotConfigured, Unavailable: see `Jobs`.
        """
        return self._read(queries.find_dead_letter(queries.checked_job_id(dead_letter_id, "dead_letter_id"), key))

    def replay(
        self,
        dead_letter_id: str,
        *,
        job_id: str | None = None,
        body: str | Mapping[str, Any] | None = None,
        key: str | None = None,
        timeout: float = 5.0,
    ) -> JobStatus:
        """Send the job of a dead letter again, wait until it is finished, and then drop the dead letter.

        Fix the cause first. If a step fails, the dead letter is still there and replaying it again is safe. A job that
        fails again is a dead letter again, with the new reason, and the returned status says so. The job keeps its
        time: it counts as of when it happened. Of two replays of one dead letter at the same time, one wins.

        job_id: another id for the job; a dead letter with code `id_reused` needs one.
        body: the corrected job, as JSON text or as a mapping, with its time in microseconds since 1970:
            `{"id": "billing-1017", "occurred_at": 1767225600000000, "kind": "delete", "user_id": "ann"}`. By default
            the job as it arrived (see `get_dead_letter`). A new body is checked as a new job is, by the limits too.
        key: which dead letter, if several have this id.
        timeout: in seconds.

        Raises:
            DeadLetterNotFound: there is no such dead letter.
            ReplayConflict: another replay has it, or had it since this one read it. Nothing was sent.
            InvalidRequest: the job would only fail again, or as for every call. Nothing was sent.
            NotConfigured: there is no broker URL, or as for every call.
            NotSent: the broker may not have the job; the dead letter is still there.
            JobTimeout: (a TimeoutError) the job is not finished in time; the dead letter is still there.
            Unavailable: the database does not answer; replaying again is safe.
        """
        timeout = queries.checked_timeout(timeout)
        dead_letter = self.get_dead_letter(dead_letter_id, key=key)
        new_id = None if job_id is None else queries.checked_job_id(job_id)
        job = commands.replay(dead_letter, job_id=new_id, body=body, limits=self._limits, now=self._now())
        self._read(queries.claim_dead_letter(dead_letter, timeout))
        try:
            sent = sent_job(job.id, job)
            before = self._status(sent)
            self._publisher().publish(job)
            status = wait_for_status(lambda: self._status(sent), replayed_since(before), timeout)
        except BaseException:
            self._release([dead_letter])
            raise
        # as it was read: if this very job has failed again, its dead letter stays
        self._read(queries.drop_dead_letters([dead_letter]))
        return status

    def replay_dead_letters(
        self, code: str, *, limit: int = MAX_REPLAYS, after: str | None = None, timeout: float = 30.0
    ) -> ReplayReport:
        """Replay many dead letters of one code, the oldest first, as `replay` does with each.

        Dead letters that another replay has are left out. Each job of the code `id_reused` gets an id of its own, made
        of its id and its dead letter's key. If a step fails, the dead letters of what is not finished are still there,
        and replaying them again is safe.

        code: such as `failed`.
        limit: 1 to 100 dead letters.
        after: the `after` of the previous report.
        timeout: how long to wait for all of them, in seconds.

        Raises:
            NotConfigured: there is no broker URL, or as for every call.
            NotSent: the broker may not have some of the jobs; their dead letters are still there.
            InvalidRequest, Unavailable: see `Jobs`.
        """
        cursor, timeout = queries.checked_replays(code, limit, after, MAX_REPLAYS), queries.checked_timeout(timeout)
        claimed = self._read(queries.claim_dead_letters(code, limit, cursor, timeout))
        try:
            replay = BulkReplay(claimed, limit=limit, limits=self._limits, now=self._now())
            before = self._read(queries.find_job_statuses(replay.sent))
            are_over = replay.are_over(before)
            for planned in replay.planned:
                self._publisher().publish(planned.job)
            statuses = wait_for_statuses(lambda: self._read(queries.find_job_statuses(replay.sent)), are_over, timeout)
            self._read(queries.drop_dead_letters(replay.finished(are_over, statuses)))
        finally:
            self._release(claimed)
        return replay.report(are_over, statuses)

    def drop(self, dead_letter_id: str, *, key: str | None = None) -> bool:
        """Delete a dead letter for good; False if there is none.

        key: which dead letter, if several have this id.

        Raises:
            ReplayConflict: a replay has it.
            InvalidRequest: as for every call, and if several dead letters have this id and no key was given; the
                problem lists the keys.
            NotConfigured, Unavailable: see `Jobs`.
        """
        return self._read(queries.drop_dead_letter_of(queries.checked_job_id(dead_letter_id, "dead_letter_id"), key))

    def drop_dead_letters(self, code: str, *, limit: int = 1_000, until: datetime | None = None) -> int:
        """Delete the oldest dead letters of one code for good, except those that a replay has; return how many.

        code: such as `malformed`.
        limit: 1 to 1,000 dead letters.
        until: only those that failed up to this aware datetime.

        Raises:
            InvalidRequest, NotConfigured, Unavailable: see `Jobs`.
        """
        queries.checked_drops(code, limit, until)
        return self._read(queries.drop_dead_letters_of_code(code, limit, until))

    def _status(self, job: SentJob) -> JobStatus:
        return self._read(queries.find_job_status(job))

    def _release(self, claimed: Sequence[DeadLetter]) -> None:
        """Give dead letters back. If that fails, their claim ends by itself."""
        with suppress(RollbookError):
            self._read(queries.release_dead_letters(claimed))
