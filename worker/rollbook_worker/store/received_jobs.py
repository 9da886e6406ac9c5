"""The store's seam: jobs arrive as text, and each gets an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rollbook_shared.errors import Undecodable
from rollbook_shared.jobs.codec import decode_with_digest, text_digest
from rollbook_shared.jobs.models import Job
from rollbook_shared.outcomes import DeadLetterCode, JobState


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How one arrival ended: its `state`, and why a job is dead (`code`). None of it is personal data.

    A message without a `job_id` is named for its content, `nameless-...`; of one that says no `kind` it is empty.
    """

    job_id: str
    kind: str
    state: JobState
    code: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivedJob:
    """A message as it came (`text`), and the `job` it holds, or why it holds none.

    `digest` tells two jobs of one id apart; see `rollbook_shared.jobs.codec`.
    """

    text: str
    job: Job | Undecodable
    digest: bytes

    @classmethod
    def of(cls, message: object) -> ReceivedJob:
        """Decode a message; never fails."""
        text = message if isinstance(message, str) else repr(message)
        try:
            job, digest = decode_with_digest(message)
            return cls(text=text, job=job, digest=digest)
        except Undecodable as error:
            return cls(text=text, job=error, digest=text_digest(text))

    @classmethod
    def of_no_job(cls, text: str, reason: str) -> ReceivedJob:
        """A message in which there is no job to look for; `reason` holds nothing of its text."""
        return cls(text=text, job=Undecodable(DeadLetterCode.MALFORMED, reason), digest=text_digest(text))

    @classmethod
    def given_up(cls, text: str, code: str, reason: str) -> ReceivedJob:
        """A message that is not to be tried any more. It is known by the job that it holds, if it holds one."""
        arrival = cls.of(text)
        job_id, kind = (
            (arrival.job.job_id, arrival.job.kind)
            if isinstance(arrival.job, Undecodable)
            else (arrival.job.id, arrival.job.kind)
        )
        return cls(text=text, job=Undecodable(code, reason, job_id=job_id, kind=kind), digest=arrival.digest)


class Store(Protocol):
    """Keeps what jobs say."""

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int) -> list[Outcome]:
        """Apply the jobs together, and say in the same order how each ended. `now` in microseconds since 1970.

        Each job is kept whole or not at all; when this raises, perhaps none is. Calling again with the same jobs, in
        whatever company, is always safe.

        Raises:
            Unavailable: the store could not be reached, or was too busy; trying again may succeed.
        """
