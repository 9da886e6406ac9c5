"""A job as it travels, ready to be published by those who did not make it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rollbook_shared.errors import Undecodable
from rollbook_shared.jobs.codec import decode, encode, encode_bulk_identify
from rollbook_shared.jobs.models import Job
from rollbook_shared.jobs.summaries import summary, users_summary

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedJob:
    """The job's text, and what is written on the outside."""

    id: str
    kind: str
    body: str
    shown: str
    """What monitors show: never a value."""
    trace: str | None = None
    """The trace that it was told in, where that is not the one of the moment it is sent."""
    callers: Sequence[SpanContext] = ()
    """Who told of its users, where these were several."""

    @classmethod
    def of(cls, job: Job) -> Self:
        """The job, encoded."""
        return cls(id=job.id, kind=job.kind, body=encode(job), shown=summary(job))

    @classmethod
    def of_users(
        cls, id: str, users: Sequence[bytes], timestamps: Sequence[int], callers: Sequence[SpanContext] = ()
    ) -> Self:
        """The bulk identify of users that are encoded already, each told of at its moment."""
        body = encode_bulk_identify(id, users, timestamps)
        return cls(id=id, kind="bulk_identify", body=body, shown=users_summary(len(users)), callers=callers)

    @classmethod
    def kept(cls, *, id: str, kind: str, body: str, trace: str | None) -> Self:
        """A job that was kept as text; one that this version cannot read travels all the same."""
        try:
            shown = summary(decode(body))
        except Undecodable:
            shown = "(not a job known here)"
        return cls(id=id, kind=kind, body=body, shown=shown, trace=trace)
