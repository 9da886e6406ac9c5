"""The store's interface: jobs arrive as text, and each gets an outcome."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from rollbook_shared.errors import Undecodable
from rollbook_shared.job_states import DeadLetterCode, JobState, StandingJob
from rollbook_shared.jobs.codec import decode_with_digest, text_digest
from rollbook_shared.jobs.models import Job
from rollbook_shared.observability.tracing import storable_trace, trace_id_of

_CODES: Final = {str(code): code for code in DeadLetterCode}


# Both are tuples: every job makes one of each, and a frozen dataclass takes five times as long.
class Outcome(NamedTuple):
    """What one received job led to: its `state`, and why a job is dead (`code`). None of it is personal data.

    A message without a `job_id` is named for its content, `unidentified-...`; if it has no `kind`, that is empty.
    """

    job_id: str
    kind: str
    state: JobState
    code: str | None = None
    key: str | None = None
    """Of a dead letter: which one it is, if several have this job id."""
    standing: StandingJob | None = None
    """The job that this id belongs to: of a duplicate the job itself, of a dead letter another one, if there is one."""


class ReceivedJob(NamedTuple):
    """A message as it came (`text`), and the `job` in it, or why there is none.

    `digest` distinguishes two jobs with one id; see `rollbook_shared.jobs.codec`. `trace` is where the job was sent, if
    that is recorded: it changes nothing of what the job does.
    """

    text: str
    job: Job | Undecodable
    digest: bytes
    trace: str | None = None

    @classmethod
    def of(cls, message: object, trace: str | None = None) -> ReceivedJob:
        """Decode a message; never fails."""
        text = message if isinstance(message, str) else _as_text(message)
        try:
            job, digest = decode_with_digest(message)
            return cls(text, job, digest, trace and storable_trace(trace))
        except Undecodable as error:
            return cls(text, error, text_digest(text), trace and storable_trace(trace))

    @classmethod
    def of_no_job(cls, text: str, reason: str) -> ReceivedJob:
        """A message that cannot hold a job; `reason` quotes nothing of its text."""
        return cls(text=text, job=Undecodable(DeadLetterCode.MALFORMED, reason), digest=text_digest(text))

    @classmethod
    def failed(cls, text: str, code: str, reason: str) -> ReceivedJob:
        """A message that is not tried any more. It keeps the id and kind of the job in it, if there is one.

        Any program may have written the code: one that is unknown here becomes `malformed`.
        """
        received = cls.of(text)
        job_id, kind = received.job_id, received.kind
        known = _CODES.get(code, DeadLetterCode.MALFORMED)
        return cls(text=text, job=Undecodable(known, reason, job_id=job_id, kind=kind), digest=received.digest)

    @property
    def trace_id(self) -> str | None:
        """The id of the trace, 32 hexadecimal digits."""
        return None if self.trace is None else trace_id_of(self.trace)

    @property
    def job_id(self) -> str | None:
        """The job's id, if the message has one."""
        return self.job.job_id if isinstance(self.job, Undecodable) else self.job.id

    @property
    def kind(self) -> str | None:
        """The job's kind, if the message has one."""
        return self.job.kind


def _as_text(message: object) -> str:
    try:
        return json.dumps(message, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return repr(message)


class Store(Protocol):
    """Keeps what jobs say."""

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int | None = None) -> list[Outcome]:
        """Apply the jobs together; return their outcomes in the same order.

        now: the time, in microseconds since 1970, instead of that of the store's own clock.

        Each job is kept whole or not at all; if this raises, perhaps none is. Calling again with the same jobs,
        together with any others, is always safe.

        Raises:
            Unavailable: the store could not be reached, or was too busy; trying again may succeed.
        """
