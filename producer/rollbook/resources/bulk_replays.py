"""The replay of many dead letters: which jobs are sent, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rollbook import commands, models, queries
from rollbook.resources.job_polling import IsOver, replayed_since, sent_job
from rollbook_shared.errors import InvalidRequest
from rollbook_shared.job_states import DeadLetterCode

if TYPE_CHECKING:
    from rollbook.models import DeadLetter, JobStatus, ReplayReport, UnsentReplay
    from rollbook.queries import SentJob
    from rollbook_shared import jobs
    from rollbook_shared.limits import Limits

MAX_REPLAYS: Final = 100
"""Dead letters of one call: the bodies of all of them are in memory."""
_KEY_DIGITS: Final = 16
_ID_CHARACTERS: Final = 128


@dataclass(frozen=True, slots=True)
class PlannedReplay:
    """A dead letter and the job that is sent in its place."""

    dead_letter: DeadLetter
    job: jobs.Job
    sent: SentJob


class BulkReplay:
    """The replays of one call."""

    def __init__(self, claimed: Sequence[DeadLetter], *, limit: int, limits: Limits, now: int) -> None:
        self._claimed = claimed
        self._limit = limit
        self._unsent: list[UnsentReplay] = []
        self.planned: list[PlannedReplay] = []
        for dead_letter in claimed:
            try:
                job = commands.replay(dead_letter, job_id=id_of_its_own(dead_letter), body=None, limits=limits, now=now)
            except InvalidRequest as error:
                self._unsent.append(models.UnsentReplay(id=dead_letter.id, key=dead_letter.key, reason=str(error)))
            else:
                self.planned.append(PlannedReplay(dead_letter, job, sent_job(job.id, job)))

    @property
    def sent(self) -> list[SentJob]:
        """The jobs whose statuses to read."""
        return [planned.sent for planned in self.planned]

    def are_over(self, before: Sequence[JobStatus]) -> list[IsOver]:
        """Of each job, whether it was received since these statuses of it were read."""
        return [replayed_since(status) for status in before]

    def finished(self, are_over: Sequence[IsOver], statuses: Sequence[JobStatus]) -> list[DeadLetter]:
        """The dead letters whose jobs are over."""
        return [
            planned.dead_letter
            for planned, is_over, status in zip(self.planned, are_over, statuses, strict=True)
            if is_over(status)
        ]

    def report(self, are_over: Sequence[IsOver], statuses: Sequence[JobStatus]) -> ReplayReport:
        """What became of all of them."""
        over = [is_over(status) for is_over, status in zip(are_over, statuses, strict=True)]
        has_more = len(self._claimed) == self._limit
        return models.ReplayReport(
            finished=tuple(status for status, is_over in zip(statuses, over, strict=True) if is_over),
            unsent=tuple(self._unsent),
            unfinished=tuple(status.id for status, is_over in zip(statuses, over, strict=True) if not is_over),
            after=queries.cursor_of(self._claimed[-1]).as_text() if has_more else None,
        )


def id_of_its_own(dead_letter: DeadLetter) -> str | None:
    """Another id for the job if its own is another job's. A second try makes the same one, and is a duplicate."""
    if dead_letter.code != DeadLetterCode.ID_REUSED:
        return None
    return f"{dead_letter.id[: _ID_CHARACTERS - _KEY_DIGITS - 1]}.{dead_letter.key[:_KEY_DIGITS]}"
