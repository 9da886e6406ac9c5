"""Dead letters, as reads return them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from rollbook.models.model import Model

if TYPE_CHECKING:
    from rollbook.models.job import JobStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter(Model):
    """A job that cannot be applied as it stands, kept until a person replays or drops it."""

    id: str
    """The job's id. A message that has none is named for its content (`unidentified-...`)."""
    key: str
    """Distinguishes dead letters of one id: several different jobs may have been sent under it."""
    kind: str | None
    """The job's kind; None if the message does not say it."""
    code: str
    """Why, for programs: one of `DeadLetterCode`, which says what to do about each. A later version may have others."""
    reason: str
    """Why, for people: fields and positions, no values."""
    failed_at: datetime
    """When the worker gave it up: aware."""
    trace_id: str | None = None
    """The trace in which it was published, as 32 hexadecimal digits, if that was recorded."""
    body: str | None = field(default=None, repr=False)
    """The message as it arrived, with its personal data, but without users who were erased since; None in lists."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetterGroup(Model):
    """The dead letters of one code."""

    code: str
    """One of `DeadLetterCode`."""
    count: int
    """How many there are; 10,000 also if there are more."""
    is_exact: bool
    """False: there are more."""
    oldest: datetime
    """When the first of them failed: aware."""
    newest: datetime
    """When the last of them failed: aware."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UnsentReplay(Model):
    """A dead letter that a replay of many left as it was, because its job would only fail again."""

    id: str
    """The job's id."""
    key: str
    """Distinguishes dead letters of one id."""
    reason: str
    """Why, for people. It quotes no value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayReport(Model):
    """What became of a replay of many dead letters."""

    finished: tuple[JobStatus, ...]
    """The jobs that workers have finished, or stored for later. Their dead letters are dropped; a job that is `dead`
    again has a new one."""
    unsent: tuple[UnsentReplay, ...]
    """Dead letters that were not replayed."""
    unfinished: tuple[str, ...]
    """The ids of jobs that were sent and not finished in time. Their dead letters stay; replaying them again is
    safe."""
    after: str | None
    """Pass it as `after` to go on with the next dead letters; None: there were no more."""

    @property
    def applied(self) -> int:
        """How many of the jobs took effect."""
        return sum(status.state == "applied" for status in self.finished)
