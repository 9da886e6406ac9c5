"""Dead letters for coroutines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rollbook import commands, queries
from rollbook.resources.awaited import read
from rollbook.resources.bulk_replays import MAX_REPLAYS, BulkReplay
from rollbook.resources.dead_letters import DeadLetters
from rollbook.resources.job_polling import IsOver, polling_delays, replayed_since, sent_job
from rollbook_shared.errors import RollbookError

if TYPE_CHECKING:
    from rollbook.models import DeadLetter, JobStatus, ReplayReport
    from rollbook.publishing import AsyncPublisher
    from rollbook.resources.job_waits import AsyncRead, JobWaits
    from rollbook_shared.limits import Limits


class AsyncDeadLetters:
    """The calls of `AsyncJobs` that are about dead letters."""

    def __init__(
        self,
        read: AsyncRead,
        publisher: Callable[[], AsyncPublisher],
        limits: Limits,
        now: Callable[[], int],
        waits: JobWaits,
    ) -> None:
        self._read = read
        self._publisher = publisher
        self._limits = limits
        self._now = now
        self.waits = waits
        """What all coroutines share that wait for jobs of this client."""

    count_dead_letters = read(DeadLetters.count_dead_letters)
    list_dead_letters = read(DeadLetters.list_dead_letters)
    get_dead_letter = read(DeadLetters.get_dead_letter)
    drop = read(DeadLetters.drop)
    drop_dead_letters = read(DeadLetters.drop_dead_letters)
    _status = read(DeadLetters._status)

    async def replay(
        self,
        dead_letter_id: str,
        *,
        job_id: str | None = None,
        body: str | Mapping[str, Any] | None = None,
        key: str | None = None,
        timeout: float = 5.0,
    ) -> JobStatus:
        """Send the job of a dead letter again, as `Jobs.replay` does; the arguments, the result and the errors are the
        same.
        """
        timeout = queries.checked_timeout(timeout)
        dead_letter = await self.get_dead_letter(dead_letter_id, key=key)
        new_id = None if job_id is None else queries.checked_job_id(job_id)
        job = commands.replay(dead_letter, job_id=new_id, body=body, limits=self._limits, now=self._now())
        await self._read(queries.claim_dead_letter(dead_letter, timeout))
        try:
            sent = sent_job(job.id, job)
            before = await self._status(sent)
            await self._publisher().publish(job)
            status = await self.waits.wait(sent, replayed_since(before), timeout)
        except BaseException:
            await self._release([dead_letter])
            raise
        # as it was read: if this very job has failed again, its dead letter stays
        await self._read(queries.drop_dead_letters([dead_letter]))
        return status

    async def replay_dead_letters(
        self, code: str, *, limit: int = MAX_REPLAYS, after: str | None = None, timeout: float = 30.0
    ) -> ReplayReport:
        """Replay many dead letters of one code, as `Jobs.replay_dead_letters` does; the arguments, the result and the
        errors are the same.
        """
        cursor, timeout = queries.checked_replays(code, limit, after, MAX_REPLAYS), queries.checked_timeout(timeout)
        claimed = await self._read(queries.claim_dead_letters(code, limit, cursor, timeout))
        try:
            replay = BulkReplay(claimed, limit=limit, limits=self._limits, now=self._now())
            before = await self._read(queries.find_job_statuses(replay.sent))
            are_over = replay.are_over(before)
            for planned in replay.planned:
                await self._publisher().publish(planned.job)
            statuses = await self._wait_for(replay, are_over, timeout)
            await self._read(queries.drop_dead_letters(replay.finished(are_over, statuses)))
        finally:
            await self._release(claimed)
        return replay.report(are_over, statuses)

    async def _wait_for(self, replay: BulkReplay, are_over: Sequence[IsOver], timeout: float) -> list[JobStatus]:
        delays = polling_delays(time.monotonic() + timeout)
        while True:
            statuses = await self._read(queries.find_job_statuses(replay.sent))
            seconds = next(delays)
            if seconds is None or all(is_over(status) for is_over, status in zip(are_over, statuses, strict=True)):
                return statuses
            await asyncio.sleep(seconds)

    async def _release(self, claimed: Sequence[DeadLetter]) -> None:
        """Give dead letters back. If that fails, their claim ends by itself."""
        with suppress(RollbookError):
            await self._read(queries.release_dead_letters(claimed))
