"""A job as text, with what a publisher needs to know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rollbook_shared.errors import Undecodable
from rollbook_shared.jobs.codec import decode, encode, encode_bulk_identify
from rollbook_shared.jobs.models import Job
from rollbook_shared.jobs.summaries import summarize, summarize_users

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedJob:
    """The job's text, and what its message shows without decoding it."""

    id: str
    kind: str
    body: str
    summary: str
    """What monitors show of it: never a value."""
    trace: str | None = None
    """The trace of the call that made it, when it is not sent within that trace."""
    callers: Sequence[SpanContext] = ()
    """Span contexts of the calls whose users were gathered into this job."""

    @classmethod
    def of(cls, job: Job) -> Self:
        """The job, encoded."""
        return cls(id=job.id, kind=job.kind, body=encode(job), summary=summarize(job))

    @classmethod
    def of_users(
        cls, id: str, users: Sequence[bytes], timestamps: Sequence[int], callers: Sequence[SpanContext] = ()
    ) -> Self:
        """A bulk identify of encoded users, each with the time of its call."""
        body = encode_bulk_identify(id, users, timestamps)
        return cls(id=id, kind="bulk_identify", body=body, summary=summarize_users(len(users)), callers=callers)

    @classmethod
    def from_stored(cls, *, id: str, kind: str, body: str, trace: str | None) -> Self:
        """A job that was stored as text. One that this version cannot decode is sent as well: a worker may know it."""
        try:
            text = summarize(decode(body))
        except Undecodable:
            text = "(not a job known here)"
        return cls(id=id, kind=kind, body=body, summary=text, trace=trace)
