"""A job as it travels, ready to be published by those who did not make it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rollcall_shared.codec import decode, encode
from rollcall_shared.errors import Undecodable
from rollcall_shared.jobs import Job
from rollcall_shared.summaries import summary


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedJob:
    """The job's text, and what is written on the outside."""

    id: str
    kind: str
    body: str
    shown: str
    """What monitors show: never a value."""

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(id=job.id, kind=job.kind, body=encode(job), shown=summary(job))

    @classmethod
    def kept(cls, *, id: str, kind: str, body: str) -> Self:
        """A job that was kept as text; one that this version cannot read travels all the same."""
        try:
            shown = summary(decode(body))
        except Undecodable:
            shown = "(not a job known here)"
        return cls(id=id, kind=kind, body=body, shown=shown)
